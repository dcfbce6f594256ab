"""Memory: prediction and ledger."""
