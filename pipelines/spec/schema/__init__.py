"""The JSON schema of a spec."""
