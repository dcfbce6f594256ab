"""Rules about the Python that makes a pipeline, or that it runs: by its text, and by its measured lines."""
