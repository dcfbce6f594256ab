"""What `check` asks the process that builds specs, and what that answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

READY: Final = b"ready\n"
"""First line of the answers: TensorFlow is loaded."""


@dataclass(frozen=True)
class LookJob:
    """A spec to build.

    Attributes:
        data: The spec's, as `as_pairs` has it.
        made: Folders of the entries under ``data:`` that have been made.
    """

    target: str
    data: Any
    base_dir: str
    made: dict[str, str]


@dataclass(frozen=True)
class LookAnswer:
    """The graph of a spec as written, or why there is none.

    Attributes:
        kind: Why it failed; empty if it did not: ``spec``: TensorFlow refuses the spec; ``python``: the user's Python
            raised; ``unmade``: data has to be read that has not been made; ``installation``: there is no TensorFlow;
            ``ended``: the process ended by itself.
        address: The stage, where that is known.
        op_path: The call inside it, as `BuildError` has it.
        lines: Traceback lines in the user's Python, the innermost call last.
    """

    graph: Any = None
    kind: Literal["", "spec", "python", "unmade", "installation", "ended"] = ""
    message: str = ""
    address: str = ""
    op_path: str = ""
    lines: list[str] = field(default_factory=list)
