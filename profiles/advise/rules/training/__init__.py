"""Rules about what only a training script shows: what it costs there was observed."""
