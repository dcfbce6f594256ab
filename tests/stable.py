"""Variables of the environment with which all tests run, for what reads some of them when it is imported."""

from __future__ import annotations

import os

# typer forces colour on some CI services unless told otherwise.
os.environ.update(
    {
        "COLUMNS": "80",
        "TERMINAL_WIDTH": "80",
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "_TYPER_FORCE_DISABLE_TERMINAL": "1",
    }
)
for _name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "GITHUB_ACTIONS", "LINES"):
    os.environ.pop(_name, None)
