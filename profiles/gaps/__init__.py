"""Why a device idles: gaps in the work of a traced device, and what the host did meanwhile."""
