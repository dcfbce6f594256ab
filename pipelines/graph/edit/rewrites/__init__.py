"""Other ops in the function of a map, by its graph."""
