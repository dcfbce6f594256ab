"""Models of the inputs that a spec can generate."""
