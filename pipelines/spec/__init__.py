"""Reading a spec: strict YAML, models, and every error with its place."""
