"""What a side of a comparison is made of, as hashes: the same digest is the same pipeline, wherever its files lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.python_files import python_files
from pipeprof.pipelines.target.local_imports import local_imports
from pipeprof.profiles.harness.settings import RunSettings

ASIDE = frozenset({"budgets", "description", "name", "version"})
"""What a spec says that changes nothing of its pipeline."""


@dataclass(frozen=True)
class Content:
    """What a pipeline is made of.

    Attributes:
        spec: Hash of what a spec says; None for a Python target.
        python: Hash of each of the user's Python files, by its name from the folder that it is imported from.
        called: What is called, and with which arguments.
        unknown: Why other files may take part, in words; None where none does.
    """

    spec: str | None
    python: tuple[tuple[str, str], ...]
    called: tuple[str, ...]
    unknown: str | None = None

    @property
    def digest(self) -> str:
        """One hash of all."""
        whole = json.dumps([self.spec, self.python, self.called])
        return hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()


def content_of(settings: RunSettings) -> Content:
    """Read what a target is made of, without running it."""
    loaded, target = settings.loaded, settings.target
    files = python_files(loaded) if loaded is not None else [target.path]
    spec = _spec_hash(loaded) if loaded is not None else None
    called = [target.function or "", *(f"{name}={value}" for name, value in target.arguments), *settings.script_args]
    known = [local_imports(path) for path in _each(files)]
    unknown = next((one.unknown for one in known if one.unknown is not None), None)
    hashed = {(_name(file, one.root), _hash(file)) for one in known for file in one.files}
    return Content(spec, tuple(sorted(hashed)), tuple(called), unknown)


def _spec_hash(loaded: LoadedSpec) -> str:
    said = {name: value for name, value in loaded.data.items() if name not in ASIDE and not str(name).startswith("x-")}
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _each(files: Sequence[Path]) -> Iterator[Path]:
    yield from dict.fromkeys(path.resolve() for path in files)


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name


def _hash(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
