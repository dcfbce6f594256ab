"""Several hosts that train together: what each of them reads, and which of them is late."""
