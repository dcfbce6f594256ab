"""The text of a Python file read for facts about its pipeline; nothing is run."""
