"""The guard of a run: the process that starts its leader and ends all that the run has started."""
