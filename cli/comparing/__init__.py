"""Two pipelines side by side on the command line: options, sides, the session and its report."""
