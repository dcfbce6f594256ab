"""Rules on what the batches cost in the step."""
