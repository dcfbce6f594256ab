"""Messages between the worker and the harness."""
