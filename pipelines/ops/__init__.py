"""The tables of the language: sources, stages, functions and options."""
