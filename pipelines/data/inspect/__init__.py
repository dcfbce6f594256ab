"""Inspection of existing data files, for `init --from`."""
