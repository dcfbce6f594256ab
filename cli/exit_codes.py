"""The one table of exit codes; help texts, documentation and tests read it from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ExitCode:
    """What a command's exit status says.

    Attributes:
        code: The status.
        meaning: One line for a help text.
    """

    code: int
    meaning: str


OK = 0
INTERNAL = 1
USAGE = 2
GATE = 3
INTERRUPTED = 130
TERMINATED = 143

EXIT_CODES = (
    ExitCode(OK, "fine"),
    ExitCode(INTERNAL, "pipeprof itself failed, or the profile could be written nowhere"),
    ExitCode(USAGE, "wrong usage or an invalid spec; nothing was run"),
    ExitCode(GATE, "`check --fail-on warning` has findings"),
    ExitCode(5, "the measured pipeline died, hung, raised or ran out of memory"),
    ExitCode(6, "a saved profile is missing or invalid"),
    ExitCode(INTERRUPTED, "interrupted (Ctrl-C); the profile has what was measured"),
    ExitCode(TERMINATED, "terminated (SIGTERM); the profile has what was measured"),
)


def epilog(*examples: str, codes: Sequence[ExitCode] = EXIT_CODES) -> str:
    r"""The end of a help text: commands that can be typed as they are, and the exit codes.

    Example:
        >>> "pipeprof show a.json" in epilog("pipeprof show a.json")
        True
    """
    # A paragraph that starts with the character \b is not rewrapped.
    shown = "\n".join(f"  {example}" for example in examples)
    listed = "\n".join(f"  {entry.code:>3}  {entry.meaning}" for entry in codes)
    return f"\b\nExamples:\n{shown}\n\n\b\nExit codes:\n{listed}"
