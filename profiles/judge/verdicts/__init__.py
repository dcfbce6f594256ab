"""What a session says: metrics, changes with their intervals, verdicts, the end of a gate."""
