"""Pages that describe something else than a measurement: a checked target, rules."""
