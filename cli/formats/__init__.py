"""Output formats, one module each: adding a module adds the format."""
