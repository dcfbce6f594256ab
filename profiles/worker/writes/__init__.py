"""What a training script is about to overwrite, and what it has written."""
