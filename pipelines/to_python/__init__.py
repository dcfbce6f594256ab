"""From a spec to Python."""
