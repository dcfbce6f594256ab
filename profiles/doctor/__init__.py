"""The installation and the machine as ``pipeprof doctor`` shows them, and what to mend."""
