"""From a pipeline to findings: what rules look at, the rules, and the edits they propose."""
