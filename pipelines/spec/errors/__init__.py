"""Errors of a spec: validation, root causes, diagnostics."""
