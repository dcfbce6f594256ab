"""What a person sees of `pipeprof scale`."""
