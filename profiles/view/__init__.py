"""Views of a pipeline, of its graph or its spec, for rules and predictions."""
