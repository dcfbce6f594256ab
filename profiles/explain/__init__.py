"""From measurements to statements: stages, gaps, memory and the verdict."""
