"""What a run does to a tf.data service before it has done it: datasets that it registers, jobs that it starts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.meaning.constants import LOCAL
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.wording import listed

if TYPE_CHECKING:
    from pathlib import Path

    from pipeprof.pipelines.spec.load import LoadedSpec

_IMPORTED: Final = re.compile(r"\bdata\.experimental(?:\.service\b|\s+import\s[^\n]*\bservice\b)")
_REGISTERS: Final = re.compile(r"\b(?:distribute|register_dataset)\s*\(")
_STARTS: Final = re.compile(r"\b(?:distribute|from_dataset_id)\s*\(")


def what_is_registered(loaded: LoadedSpec | None, path: Path, *, again: str = "") -> str | None:
    """Say how many datasets and jobs a build makes on the services that its target reads from; None where it does not.

    Args:
        again: Which further processes do the same, for the end of the sentence.
    """
    said = _of_spec(loaded) if loaded is not None else None
    files = [path] if loaded is None else loaded.python_files
    parts = [part for part in (said, *map(_of_file, files)) if part is not None]
    return f"{'; '.join(parts)}{f'; {again}' if again else ''}" if parts else None


def _of_spec(loaded: LoadedSpec) -> str | None:
    services = [one.arguments["service"] for one in loaded.spec.placed() if traits(one.op).remote]
    services = [service for service in services if service != LOCAL]
    if not services:
        return None
    at = listed(sorted(set(services)))
    datasets, jobs = _count(len(services), "dataset"), _count(len(services), "job")
    return f"a build of this pipeline registers {datasets} with the tf.data service {at} and starts {jobs}"


def _of_file(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    datasets, jobs = (len(calls.findall(text)) if _IMPORTED.search(text) else 0 for calls in (_REGISTERS, _STARTS))
    if not datasets and not jobs:
        return None
    return (
        f"{path.name} has calls that register {_count(datasets, 'dataset')} with a tf.data service and start "
        f"{_count(jobs, 'job')} there, each time that a build reaches them"
    )


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
