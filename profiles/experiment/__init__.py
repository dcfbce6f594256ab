"""One experiment for all commands: arms that take turns, their schedule, statistics and the decision."""
