"""The worker process: builds, runs and measures one pipeline."""
