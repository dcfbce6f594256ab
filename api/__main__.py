"""``python -m pipeprof``: the command line, without the console script."""

import sys

if not getattr(sys.flags, "safe_path", False):
    # For `-m`, Python puts the current folder first: a `signal.py` in it would take the place of Python's own.
    del sys.path[0]

from pipeprof.cli.main import main

main()
