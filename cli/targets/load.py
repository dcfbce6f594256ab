"""Targets of commands: find them, below folders too, read the spec, refuse Python under ``--no-python``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pipeprof.cli.options import CheckOptions, MeasuringOptions
from pipeprof.cli.private import SPEC_ENVIRONMENT
from pipeprof.cli.streams import write_stdout
from pipeprof.cli.values import step as parse_step
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.pipelines.steps.step import Step, check_step, kind_of
from pipeprof.pipelines.target.arguments import parse_arguments
from pipeprof.pipelines.target.names_in_file import describe
from pipeprof.pipelines.target.target import SPEC_SUFFIXES, ParsedTarget, listed_file, parse_target


def list_functions(text: str, *, plain: bool, scripts: bool = False) -> bool:
    """Print the functions of a file for a target such as ``file.py:`` or ``file.py``, and return whether it did.

    Raises:
        UsageError: There is no such file, or not `plain`: the output format is not text.
    """
    path = listed_file(text, scripts=scripts)
    if path is None:
        return False
    name = text.removesuffix(":")
    if not plain:
        raise UsageError(f"{text} lists functions, as text on stdout only; name one of them: {name}:function")
    write_stdout(describe(name, path))
    return True


def load_given(
    text: str, given: CheckOptions | MeasuringOptions, **more: Any
) -> tuple[ParsedTarget, LoadedSpec | None]:
    """Read a target as `load_target` does, with the options of a command."""
    return load_target(
        text,
        sets=given.set or (),
        env=given.env,
        arguments=given.arg or (),
        step=parse_step(given.step) if isinstance(given, MeasuringOptions) else None,
        no_python=given.no_python,
        **more,
    )


def load_target(
    text: str,
    *,
    sets: Sequence[str] = (),
    env: bool = False,
    arguments: Sequence[str] = (),
    step: Step | None = None,
    no_python: bool = False,
    may_read: Callable[[Path], None] | None = None,
    scripts: bool = False,
) -> tuple[ParsedTarget, LoadedSpec | None]:
    """Read the target, its spec if it is one, and its arguments; nothing runs.

    Args:
        no_python: Refuse Python code, in the target, the spec or the step.
        may_read: Raises for a file that is no data and must not be read.

    Raises:
        UsageError: There is no such target, or it names Python that is refused.
        SpecError: The spec is wrong.
    """
    given = parse_arguments(arguments)
    if text.startswith("git:"):
        raise UsageError(f"{text}: only compare and gate take a target at a git ref")
    target = parse_target(text, scripts=scripts)
    if no_python and (target.kind != "spec" or (step is not None and kind_of(step.kind).real)):
        what = f"the step {step.value}" if target.kind == "spec" and step is not None else text
        raise UsageError(f"--no-python: {what} is Python code; use a spec with TensorFlow ops, or remove --no-python")
    if step is not None:
        check_step(step)
    if target.kind == "script":
        return target, None
    if target.kind == "function":
        return replace(target, arguments=given), None
    environment = SPEC_ENVIRONMENT if env else None
    loaded = load_spec(target.path, sets, environment=environment, may_read=may_read)
    if no_python and (files := loaded.python_files):
        names = ", ".join(sorted({path.name for path in files}))
        raise UsageError(f"--no-python: {text} runs Python code ({names}); use `ops:` instead, or remove --no-python")
    return target, loaded


_MOST_BYTES = 1 << 20
"""A larger YAML file is data."""
_LEFT_OUT = frozenset({"node_modules", "pipeprof-out", "site-packages"})
_VERSION = re.compile(r"^[\"']?version[\"']?\s*:\s*1\s*(#.*)?$", re.MULTILINE)
_KEY = re.compile(r"^[\"']?(\w+)[\"']?\s*:", re.MULTILINE)
_OWN_KEYS = frozenset({"source", "stages", "step", "measure", "budgets"})
"""Those of a spec that few other files with a version have."""


class Found(NamedTuple):
    """What is checked, and how many YAML files below folders are no specs."""

    targets: list[str]
    skipped: int


def find_targets(texts: Iterable[str]) -> Found:
    """Targets as typed, and in place of a folder the specs below it; one without specs stays, and is no target."""
    found: list[str] = []
    skipped = 0
    for text in texts:
        # False where a name is too long, or holds what no name may.
        if not text or not os.path.isdir(text):  # noqa: PTH112
            found.append(text)
            continue
        files = list(_files_below(Path(text)))
        specs = [str(path) for path in files if is_spec(path)]
        found += specs or [text]
        skipped += len(files) - len(specs)
    return Found(list(dict.fromkeys(found)), skipped)


def _files_below(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _LEFT_OUT and not name.startswith(".") and not Path(where, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(SPEC_SUFFIXES) and not name.startswith("."):
                yield Path(where, name)


def is_spec(path: Path) -> bool:
    """Whether a YAML file has at its top what is a spec's, right or wrong."""
    try:
        text = read_regular(path, _MOST_BYTES).decode(errors="replace")
    except OSError:
        return False
    keys = set(_KEY.findall(text))
    if {"source", "stages"} <= keys:
        return True
    # `sorce` is a misspelling, `services` is none.
    begun = keys & _OWN_KEYS or get_close_matches("source", keys, cutoff=0.8)
    return bool(begun and _VERSION.search(text))
