"""Memory readings inside the worker."""
