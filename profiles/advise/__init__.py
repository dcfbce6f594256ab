"""Advice: rules, the findings they report, and the edits they propose."""
