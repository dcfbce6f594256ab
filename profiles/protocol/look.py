"""What `check` asks the process that builds its targets, and what that answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pipeprof.profiles.protocol.messages import Sketch

READY: Final = b"ready\n"
"""First line of the answers: TensorFlow is loaded."""


@dataclass(frozen=True)
class LookJob:
    """A spec or a function to build.

    Attributes:
        file: Of the target.
        arguments: Of a function.
        data: The spec's, as `as_pairs` has it; None for a function.
        made: Folders of the entries under ``data:`` that have been made.
    """

    target: str
    file: str
    arguments: list[tuple[str, str]] = field(default_factory=list)
    data: Any = None
    base_dir: str = ""
    made: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LookAnswer:
    """The graph of a target as written, or why there is none.

    Attributes:
        kind: Why it failed; empty if it did not: ``spec``: TensorFlow refuses the spec; ``target``: the function is
            none, or its arguments do not fit; ``python``: the user's Python raised; ``unmade``: data has to be read
            that has not been made; ``installation``: there is no TensorFlow; ``ended``: the process ended by itself.
        address: The stage, where that is known.
        op_path: The call inside it, as `BuildError` has it.
        lines: Traceback lines in the user's Python, the innermost call last.
        notes: Codes and texts of warnings.
    """

    sketch: Sketch | None = None
    kind: Literal["", "spec", "target", "python", "unmade", "installation", "ended"] = ""
    message: str = ""
    address: str = ""
    op_path: str = ""
    lines: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
