"""Strict YAML with positions: reader, nodes, references, writer."""
