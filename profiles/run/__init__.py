"""One sample: the parent that watches and the worker that is watched."""
