"""One race for `run` and `fix`: changes measured against a pipeline until it is known what they are."""
