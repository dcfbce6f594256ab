"""Memory of a soak: its series, plateau or growth, whose the growth is, and when memory ends."""
