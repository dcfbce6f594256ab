"""The command line: commands, reports and formats."""
