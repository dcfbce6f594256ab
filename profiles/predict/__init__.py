"""A model of the running pipeline: what an edit would give, from one profile."""
