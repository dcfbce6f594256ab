"""From a pipeline that was built by Python to a spec that says the same."""
