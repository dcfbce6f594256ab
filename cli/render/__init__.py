"""How a profile looks: one module per output format."""
