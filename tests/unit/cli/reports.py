"""Reports as tests look at them: their blocks by kind, and findings and searches to report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block, Card, Code, Heading, Table, Text
from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument, to_document
from pipeprof.profiles.document.findings import Edit, Finding, Fix, Verification
from pipeprof.profiles.document.profile import Profile
from tests.unit.conftest import RECORDED

Recorded = Callable[[str], Profile]
Golden = Callable[[str, str], None]
Pipeprof = Callable[..., Any]
Kind = TypeVar("Kind")
NAMES = sorted(path.stem for path in RECORDED.glob("*.json"))
PARALLEL = SetArgument("stages.1", "map", "num_parallel_calls", 8)
MIB = 1 << 20


def shown(blocks: Iterable[Block], **style: Any) -> str:
    return paint(blocks, Style(**{"width": 100, **style}))


def of(kind: type[Kind], blocks: Iterable[Block]) -> list[Kind]:
    """The blocks of a kind, also those that belong to a card."""
    each = [inner for block in blocks for inner in (block, *(block.blocks if isinstance(block, Card) else ()))]
    return [block for block in each if isinstance(block, kind)]


def titles(blocks: Iterable[Block]) -> list[str]:
    return [heading.title for heading in of(Heading, blocks)]


def texts(blocks: Iterable[Block]) -> list[str]:
    return [str(text.text) for text in of(Text, blocks)]


def codes(blocks: Iterable[Block]) -> list[str]:
    return [code.text for code in of(Code, blocks)]


def rows(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*(column.cells for column in table.columns), strict=True))


def measured(speedup: float, width: float = 0.05, pairs: int = 12, **more: Any) -> dict[str, Any]:
    low, high = speedup * (1 - width), speedup * (1 + width)
    return {"speedup": speedup, "low": low, "high": high, "pairs": [speedup] * pairs, **more}


def finding(status: str = "unverified", made: PipelineEdit | None = PARALLEL, **fields: Any) -> Finding:
    known = {
        "rule": "parallel-calls", "title": "Run decode in parallel", "family": "speed", "semantics": "same",
        "stage": "stages.1", "change": "num_parallel_calls: 1 → 8", "sentence": "decode runs one call at a time.",
        "in_spec": True, "edit": [Edit.model_validate(to_document(made))] if made is not None else None,
    }  # fmt: skip
    return Finding.model_validate({**known, "status": status, **fields})


def by_hand(status: str = "unverified", **fields: Any) -> Finding:
    """One that only the user can write."""
    edit = {"kind": "ReplaceStages", "stages": ["stages.1"], "by": [{"op": "interleave", "arguments": {}}]}
    return finding(status, **{"edit": edit, "python": "x = 1", "patch": "- x", "in_spec": False, **fields})


def verified(**fields: Any) -> Verification:
    given = {"seconds": 9.0, "budget_seconds": 60.0, "mode": "alternating", "tried": 1, "block_seconds": 0.3}
    return Verification.model_validate({**given, **fields})


def as_function(profile: Profile) -> Profile:
    profile.target.kind, profile.target.text, profile.target.overrides = "function", "train.py:make", []
    profile.command = ["pipeprof", "run", "train.py:make"]
    return profile


def fix(status: str = "fixed", **changes: Any) -> Fix:
    """A search that has taken one of two changes."""
    taken = {
        "title": "Run decode in parallel", "change": "num_parallel_calls: 1 → 2", "result": "taken", "reason": "",
        "round": 1, "ratios": [1.8] * 4, "speedup": 1.8, "low": 1.7, "high": 1.9, "peak_rss_delta_bytes": 5 * MIB,
    }  # fmt: skip
    lost = {"round": 1, "title": "AUTOTUNE everywhere", "result": "rejected", "reason": "no gain", "speedup": 0.9}
    given: dict[str, Any] = {
        "reason": "1.79× (1.71 to 1.86, 12 rounds) in two processes", "allow": ["same"], "semantics": "same",
        "seconds": 51.0, "budget_seconds": 60.0, "wall_seconds": 90.0, "diff": "--- a/spec.yaml\n+a\n",
        "measured": measured(1.79, data="the first 8 batches are equal"), "edits": [[to_document(PARALLEL)]],
        "changes": ["stages.0: num_parallel_calls: not set → 2"], "steps": [taken, lost],
    }  # fmt: skip
    return Fix.model_validate({"status": status, **given, **changes})
