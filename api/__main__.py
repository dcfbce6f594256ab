"""The command line as it starts: the console script, and ``python -m pipeprof``."""

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    # For `-m`, Python puts the current folder first: a `signal.py` in it would take the place of Python's own.
    del sys.path[0]

import os
import signal


def main() -> None:
    """Run the command; Ctrl-C while its modules are imported ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from pipeprof.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
