"""Training steps that take a pipeline's batches."""
