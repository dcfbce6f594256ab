"""Which rooms of the product a benchmark exercises, from the imports of the modules where it begins."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from planner import changed_lines

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "api": "pipeprof",
    "cli": "pipeprof.cli",
    "profiles": "pipeprof.profiles",
    "pipelines": "pipeprof.pipelines",
}
SHARED = ("benchmarks/tries.py", "benchmarks/copies.py", "benchmarks/stopping.py")
"""Files that measure for several benchmarks: a change of them changes what all cases prove."""


FOR_TYPES = re.compile(r"(?m)^(?:if|elif) (?:typing\.)?TYPE_CHECKING:\n(?:[ ]+.*\n|\n)+")
IMPORT = re.compile(r"(?m)^\s*(?:from (pipeprof[\w.]*) import (\([^)]*\)|.*)|import (pipeprof[\w.]*))")
NAMED = re.compile(r"[\"'](pipeprof\.[\w.]*)")


@cache
def modules(root: Path = ROOT) -> Mapping[str, Path]:
    """The file of every module of the product, below the root."""
    found = {}
    for folder, package in PACKAGES.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = [package, *path.relative_to(root / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.relative_to(root)
    return found


def names_in(source: str) -> tuple[set[str], set[str]]:
    """Modules of the product that a text may import: by statements anywhere in it, and by strings that name one.

    Imports for type checkers do not count. A string that goes on, ``f"pipeprof.profiles.worker.{name}"``, ends with a
    dot. The text is searched, not parsed: 700 modules are parsed in seconds.
    """
    source = FOR_TYPES.sub("", source)
    statements: set[str] = set()
    for module, names, bare in IMPORT.findall(source):
        statements |= {bare} if bare else {module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))}
    return statements, set(NAMED.findall(source))


@cache
def _imports(path: Path) -> frozenset[str]:
    known = modules()
    statements, strings = names_in((ROOT / path).read_text(encoding="utf-8"))
    # A package named by a string is looked through for modules.
    packages = {f"{name}." for name in strings if name in known and known[name].name == "__init__.py"}
    opened = tuple(packages | {name for name in strings if name.endswith(".") and name.count(".") > 2})
    named = statements | strings
    return frozenset(name for name in known if name in named or (opened and name.startswith(opened)))


def reached(roots: Iterable[str], without: Sequence[str], known: Mapping[str, Path]) -> set[str]:
    """Modules that the roots import, those included, on ways that do not pass a room left out."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name not in known or is_inside(known[name], without):
            continue
        found.add(name)
        waiting += _imports(known[name])
    return found


def is_inside(path: Path, rooms: Sequence[str]) -> bool:
    """Whether a module lies in one of the rooms, or in a room of theirs; a module may be named itself."""
    return any(f"{path.with_suffix('')}/".startswith(f"{room}/") for room in rooms)


def covered(roots: Sequence[str], without: Sequence[str]) -> list[str]:
    """The rooms of a case: the folders of all modules that it reaches, and those of data inside them."""
    return list(_covered(tuple(roots), tuple(without)))


@cache
def _covered(roots: tuple[str, ...], without: tuple[str, ...]) -> tuple[str, ...]:
    known = modules()
    full = [root if "." in root else f"pipeprof.cli.commands.{root}" for root in roots]
    rooms = {known[name].parent for name in reached(full, without, known)}
    data = {
        path.parent.relative_to(ROOT)
        for room in rooms
        for path in (ROOT / room).glob("*/*")
        if path.is_file() and path.suffix in {".toml", ".json", ".yaml"}
    }
    return tuple(sorted(f"{room}" for room in rooms | data))


def git(*arguments: str) -> str:
    """The output of a git command in this checkout; empty where it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def files_of(benchmark: str, rooms: Sequence[str]) -> tuple[str, ...]:
    """What git calls the files that a proof depends on: those of the rooms, and those of the benchmark."""
    own = [f":(top,glob)benchmarks/{benchmark}/*.{suffix}" for suffix in ("py", "yaml")]
    return (*(f":(top,glob){room}/*" for room in rooms), *own, *(f":(top,glob){one}" for one in SHARED))


@cache
def changed_since(commit: str, files: tuple[str, ...]) -> int | None:
    """Lines of these files that differ between a commit and HEAD; None where this clone does not have the commit."""
    if not git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        return None
    return changed_lines(git("diff", "--numstat", "--no-renames", commit, "HEAD", "--", *files))


def has_uncommitted(files: tuple[str, ...]) -> bool:
    """Whether the tree differs from HEAD in these files."""
    return bool(git("status", "--porcelain", "--", *files))
