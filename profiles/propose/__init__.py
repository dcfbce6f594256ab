"""What may help a pipeline, whoever proposes it, and the order in which it is tried."""
