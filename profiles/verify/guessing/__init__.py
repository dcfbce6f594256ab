"""What is tried although no rule has proposed it."""
