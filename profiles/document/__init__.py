"""The parts of the profile document."""
