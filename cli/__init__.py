"""The commands and everything a person sees."""
