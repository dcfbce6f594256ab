"""A plan: measured edits of one pipeline, in a file that `pipeprof.apply` reads (`plan_table` has what it may hold)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    PipelineEdit,
    ReplaceStages,
    SetEnvironment,
    from_document,
    known_edits,
    to_document,
)
from pipeprof.pipelines.edits.environment import assignment
from pipeprof.pipelines.edits.plan_table import KEY, MOST_BYTES, VERSIONS, check_plan
from pipeprof.pipelines.edits.plan_values import RefusedError, shown
from pipeprof.pipelines.errors import ProfileError, escape

_EXTENSION = ".plan.json"
_VARIANT = "variant"
_AGAIN: Final = "write it again with pipeprof fix"


class PlanError(ProfileError):
    """A file is no plan, holds what a plan cannot, or was made for another pipeline."""

    def __init__(self, message: str) -> None:
        super().__init__(escape(message))


@dataclass(frozen=True)
class SavedPlan:
    """Edits, and the pipeline that they belong to.

    Attributes:
        steps: The edits, step by step; the addresses of a step are those of the pipeline that the one before it made.
        speedup: Measured steps per second with them over without; ``None`` where they save memory.
        dtypes: Of an element's components; ``variant`` for what is no dense tensor, ``None`` where they are not known.
    """

    target: str
    stages: Mapping[str, str]
    steps: tuple[tuple[PipelineEdit, ...], ...]
    speedup: float | None = None
    dtypes: tuple[str, ...] | None = None
    bodies: Mapping[str, str] = field(default_factory=dict)


def write_plan(plan: SavedPlan) -> str:
    """Return a plan as JSON."""
    document = {
        KEY: VERSIONS[0] if len(plan.steps) < 2 else VERSIONS[1],
        "tool": {"name": "pipeprof"},
        "target": plan.target,
        "speedup": plan.speedup,
        **({"environment": shell_line(plan)} if shell_line(plan) else {}),
        "edits": [to_document(edit) for edit in (plan.steps[0] if plan.steps else ())],
        **({"then": [[to_document(edit) for edit in step] for step in plan.steps[1:]]} if plan.steps[1:] else {}),
        "stages": dict(plan.stages),
        **({"dtypes": list(plan.dtypes)} if plan.dtypes is not None else {}),
        **({"bodies": dict(plan.bodies)} if plan.bodies else {}),
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    try:
        # Tuples are lists there.
        check_plan(json.loads(text))
    except RefusedError as error:
        raise PlanError(f"no plan can hold these changes: {error}") from None
    if len(text) > MOST_BYTES:
        raise PlanError(f"no plan can hold these changes: they need more than {MOST_BYTES:,} characters")
    return text


def checked_edits(documents: Sequence[Mapping[str, Any]]) -> list[PipelineEdit]:
    """Return edits that somebody else may have written, as values.

    Raises:
        PlanError: One of them is not known to this version, or no plan can hold it.
    """
    edits = known_edits(documents)
    if len(edits) < len(documents):
        raise PlanError("one of the edits is not known to this version")
    try:
        # Tuples are lists there.
        check_plan(
            json.loads(json.dumps({KEY: VERSIONS[0], "edits": [to_document(edit) for edit in edits], "stages": {}}))
        )
    except RefusedError as error:
        raise PlanError(str(error)) from None
    return edits


def environment_of(plan: SavedPlan) -> dict[str, str]:
    """Return the variables that the process needs before it starts: no edit of a graph sets them."""
    return {edit.variable: edit.value for step in plan.steps for edit in step if isinstance(edit, SetEnvironment)}


def shell_line(plan: SavedPlan) -> str:
    """Return what stands before the command in the shell; empty where the plan sets no variables.

    Example:
        >>> shell_line(SavedPlan("a.py:b", {}, ((SetEnvironment("OMP_NUM_THREADS", "1"),),)))
        'OMP_NUM_THREADS=1 python …'
    """
    variables = [assignment(name, value) for name, value in environment_of(plan).items()]
    return " ".join([*variables, "python …"]) if variables else ""


def apply_call(dataset: str, plan: str) -> str:
    """Return the call that applies a plan, as Python.

    Example:
        >>> print(apply_call("make()", "fast.plan.json"))
        pipeprof.apply(make(), "fast.plan.json")
    """
    return f"pipeprof.apply({dataset}, {json.dumps(plan, ensure_ascii=False)})"


class _DamageError(ValueError):
    """JSON that says a thing twice, or has a number that JSON does not have."""


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        if len(text) > MOST_BYTES:
            raise _DamageError(f"it has more than {MOST_BYTES:,} characters")
        document = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse_constant)
    except _DamageError as error:
        raise PlanError(f"{name} is damaged: {error}; {_AGAIN}") from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or KEY not in document:
        new = name if name.endswith(_EXTENSION) else f"fast{_EXTENSION}"
        if isinstance(document, dict) and "schema_version" in document:
            raise PlanError(f"{name} is a profile; write its plan with pipeprof show {name} --out {new}")
        raise PlanError(f"{name} is not a plan; write one with pipeprof run TARGET --out {new}")
    return document


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _DamageError(f"duplicate key {shown(key)}")
        found[key] = value
    return found


def _refuse_constant(name: str) -> float:
    raise _DamageError(f"JSON has no number {name}")


def load_plan(path: Path) -> SavedPlan:
    """Read a plan from its file."""
    try:
        # A pipe without a writer would block.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise IsADirectoryError
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise PlanError(f"{path} is not a plan: it has more than {MOST_BYTES:,} bytes")
        text = raw.decode("utf-8")
    except IsADirectoryError:
        raise PlanError(f"{path} is a folder, a device or a pipe: expected a plan") from None
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return read_plan(text, str(path))


def read_plan(text: str, name: str) -> SavedPlan:
    """Parse a plan.

    Raises:
        PlanError: It is no plan, one of another version, or holds something that is not in the table of what a plan may
            hold; the message names the field.

    Example:
        >>> plan = SavedPlan("input.py:train", {"source": "range"}, ())
        >>> read_plan(write_plan(plan), "a.plan.json") == plan
        True
    """
    document = _parsed(text, name)
    version = document[KEY]
    if type(version) is not int or version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise PlanError(f"{name} is a plan of version {shown(version)}, this pipeprof reads versions {known}: {_AGAIN}")
    try:
        check_plan(document)
    except RefusedError as error:
        raise PlanError(f"{name}: {error}; {_AGAIN}") from None
    steps = [tuple(map(_edit, step)) for step in (document["edits"], *document.get("then", ()))]
    dtypes = document.get("dtypes")
    return SavedPlan(
        document.get("target", ""),
        document["stages"],
        tuple(step for step in steps if step),
        document.get("speedup"),
        tuple(dtypes) if dtypes is not None else None,
        document.get("bodies", {}),
    )


def _edit(document: Mapping[str, Any]) -> PipelineEdit:
    edit = from_document(document)
    assert edit is not None  # noqa: S101 - the table has known kinds with all of their fields
    return edit


def describe_misfit(
    plan: SavedPlan, stages: Mapping[str, str], dtypes: Sequence[str] = (), bodies: Mapping[str, str] | None = None
) -> str | None:
    """Return where a pipeline is not the one that a plan was made for; ``None`` where it is.

    Args:
        bodies: Fingerprints of its stages' functions, which count for what a plan keeps, in files or a cache.

    Example:
        >>> plan = SavedPlan("f.py:g", {"source": "range", "stages.0": "map"}, ())
        >>> describe_misfit(plan, {"source": "range", "stages.0": "batch"})
        'stages.0 is batch, the plan has map'
    """
    for address in dict.fromkeys([*plan.stages, *stages]):
        expected, found = plan.stages.get(address), stages.get(address)
        if expected == found:
            continue
        if found is None:
            return f"{address} ({expected}) is missing"
        return f"{address} is {found}, the plan has {expected or 'no such stage'}"
    known = plan.dtypes or ()
    if len(known) == len(dtypes) and any(
        expected != found and _VARIANT not in (expected, found) for expected, found in zip(known, dtypes, strict=True)
    ):
        return f"its elements are {', '.join(dtypes)}, those of the plan {', '.join(known)}"
    for address in _kept(plan):
        before, now = plan.bodies.get(address), (bodies or {}).get(address)
        if before is not None and now is not None and before != now:
            return f"the function of {address} is another one, and the plan keeps what it gave"
    return None


def _kept(plan: SavedPlan) -> list[str]:
    """The stages whose elements an edit keeps: in files that are read instead of them, or in a cache."""
    found: set[str] = set()
    addresses = [address for address in plan.stages if address == "source" or address.count(".") == 1]
    for number, step in enumerate(plan.steps):
        for edit in step:
            if isinstance(edit, ReplaceStages) and "source" in edit.stages:
                last: str | None = edit.stages[-1]
            elif isinstance(edit, InsertStage) and edit.op == "cache":
                last = edit.after
            else:
                continue
            # Later steps have the addresses of the pipeline that the ones before them made.
            known = number == 0 and last in addresses
            found.update(addresses[: addresses.index(last) + 1] if known and last is not None else addresses)
    return sorted(found)
