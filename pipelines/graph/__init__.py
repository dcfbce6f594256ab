"""The stage graph: a pipeline as written, as executed, and as measured."""
