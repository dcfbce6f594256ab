"""Reports of two pipelines side by side."""
