"""``python -m pipeprof``: the command line, without the console script."""

from pipeprof.cli.main import main

main()
