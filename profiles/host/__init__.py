"""The machine: processes, limits, files, the sampler."""
