"""Exit codes: the one table for help texts, documentation and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExitCode:
    """An exit status, and its meaning in one line."""

    code: int
    meaning: str


OK = 0
INTERNAL = 1
USAGE = 2
GATE = 3
INCONCLUSIVE = 4
FAILED = 5
UNUSABLE = 6
HUNG_UP = 129
INTERRUPTED = 130
TERMINATED = 143

EXIT_CODES = (
    ExitCode(OK, "success"),
    ExitCode(INTERNAL, "pipeprof itself failed, or the profile could not be saved"),
    ExitCode(USAGE, "usage error or invalid spec; nothing ran"),
    ExitCode(GATE, "`gate` or a `--fail-on` failed; `doctor` found a fault"),
    ExitCode(INCONCLUSIVE, "`gate` is inconclusive: more pairs would settle it; `gaps` cannot tell"),
    ExitCode(FAILED, "the pipeline raised, died, hung or ran out of memory"),
    ExitCode(UNUSABLE, "a profile, trace or git ref is missing, invalid or not comparable"),
    ExitCode(HUNG_UP, "terminal closed (SIGHUP); the profile holds the steps measured so far"),
    ExitCode(INTERRUPTED, "interrupted (Ctrl-C); the profile holds the steps measured so far"),
    ExitCode(TERMINATED, "terminated (SIGTERM); the profile holds the steps measured so far"),
)
