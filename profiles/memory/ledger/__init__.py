"""The memory ledger: owners of the measured peak."""
