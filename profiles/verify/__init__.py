"""Edits tried: pairs of workers, the statistics of their blocks, and what a finding is afterwards."""
