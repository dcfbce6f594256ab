"""Running, sampling, attributing and judging: everything that is measured."""
