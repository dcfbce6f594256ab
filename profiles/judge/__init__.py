"""Two pipelines side by side, and the gate: processes in pairs, verdicts, results."""
