"""Whether a gate may pass without a measurement: both sides are one target, and the other files are the same.

A function may read any file, and what it closes over is in no file, so nothing is worked out from what a pipeline looks
like: the same file and function, and a tree in which nothing differs but documents. What cannot be known is measured.
"""

from __future__ import annotations

import filecmp
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.profiles.git.tree import CODE_FOLDERS, may_match
from pipeprof.profiles.judge import messages
from pipeprof.profiles.protocol.options import Options

_DOCUMENTS = ("README", "CHANGELOG", "LICENSE")
"""Beginnings of names at the root of a repository."""
_DOCUMENT_SUFFIXES = frozenset({"", ".md", ".rst", ".txt"})


def why_unchanged(a: Options, b: Options, tracked: Collection[Path]) -> str | None:
    """Why two sides are the same pipeline, by what git tracks; None where they are not, or may not be."""
    try:
        return _why(a, b, tracked)
    except OSError:
        return None


def _why(a: Options, b: Options, tracked: Collection[Path]) -> str | None:
    refs = [side.at_ref for side in (a, b) if side.at_ref is not None]
    if "script" in {a.target.kind, b.target.kind} or len({ref.work_tree for ref in refs}) > 1:
        return None
    work_tree = Path(refs[0].work_tree) if refs else Path("/")
    roots = [Path(side.at_ref.tree) if side.at_ref is not None else work_tree for side in (a, b)]
    if len({_target(side, root) for side, root in zip((a, b), roots, strict=True)}) > 1:
        return None
    if not refs:
        return messages.unchanged(())
    known = frozenset(path for file in tracked for path in (file, *file.parents)) if len(refs) == 1 else None
    found = _Comparison(roots[0], roots[1], work_tree, known)
    differing = list(found.differing(PurePosixPath()))
    if not all(_is_document(name, roots) for name in differing):
        return None
    read = [*found.linked, *(name for side, root in zip((a, b), roots, strict=True) for name in _named(side, root))]
    if any(may_match((*pattern.parts, "**"), name.parts) for pattern in read for name in differing):
        return None
    return messages.unchanged(differing)


def _target(side: Options, root: Path) -> tuple[object, ...] | None:
    """What is called, with the place of its file; a link in its place is not followed, as it may be another one."""
    target = side.target
    place = target.path.parent.resolve() / target.path.name
    return target.kind, os.path.relpath(place, root), target.function, target.arguments


@dataclass
class _Comparison:
    """Compares the files below two folders, as they are on the disk, whatever an index of git says of them.

    What git tracks, and the folders of that, are None where both are trees of refs. Where links lead that are the same
    on both sides is noted.
    """

    one: Path
    other: Path
    work_tree: Path
    tracked: frozenset[Path] | None
    linked: list[PurePosixPath] = field(default_factory=list)

    def differing(self, folder: PurePosixPath, *, nested: bool = False) -> Iterator[PurePosixPath]:
        """Files that differ below a folder; `nested` in a repository within."""
        nested = nested or (bool(folder.parts) and os.path.lexists(self.other / folder / ".git"))
        for name in sorted(_entries(self.one / folder) | _entries(self.other / folder)):
            path = folder / name
            one, other = self.one / path, self.other / path
            if name == ".git" or (not nested and self._is_left_out(path)):
                continue
            if _is_folder_or_none(one) and _is_folder_or_none(other):
                yield from self.differing(path, nested=nested)
            elif not self._same_link(one, other) and not _same_file(one, other):
                yield path

    def _is_left_out(self, path: PurePosixPath) -> bool:
        """Whether a path is an environment, or what Python and pipeprof keep, which git does not track."""
        if self.tracked is None or path.name not in CODE_FOLDERS or self.work_tree / path in self.tracked:
            return False
        return os.path.lexists(self.one / path) != os.path.lexists(self.other / path)

    def _same_link(self, one: Path, other: Path) -> bool:
        """Whether links lead to one place: that of what git does not track, or the same one within both folders."""
        if one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink():
            target = Path(os.path.realpath(one))
            if target.is_relative_to(self.one):
                self.linked.append(PurePosixPath(target.relative_to(self.one)))
            return True
        return (one.is_symlink() or other.is_symlink()) and os.path.realpath(one) == os.path.realpath(other)


def _entries(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() and not folder.is_symlink() else set()  # noqa: PTH208 - names


def _is_folder_or_none(path: Path) -> bool:
    return not os.path.lexists(path) or (path.is_dir() and not path.is_symlink())


def _same_file(one: Path, other: Path) -> bool:
    """Whether both are files with the same content, which may be run or not alike."""
    try:
        # A pipe would be waited for.
        modes = [path.stat().st_mode for path in (one, other)]
        alike = all(map(stat.S_ISREG, modes)) and len({mode & stat.S_IXUSR for mode in modes}) == 1
        return alike and filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _is_document(name: PurePosixPath, roots: Collection[Path]) -> bool:
    """Whether a path is that of a document that no pipeline reads, and of nothing else on either side."""
    at_top = len(name.parts) == 1 and name.name.startswith(_DOCUMENTS)
    below = name.parts[0] == "docs" and name.suffix != ""
    paths = [root / name for root in roots if os.path.lexists(root / name)]
    plain = all(path.is_file() and not path.is_symlink() for path in paths)
    return (at_top or below) and name.suffix in _DOCUMENT_SUFFIXES and plain


def _named(side: Options, root: Path) -> Iterator[PurePosixPath]:
    """What a spec may name in the folder, as patterns: every text in it, and its own file."""
    if side.loaded is None:
        return
    loaded = side.loaded
    folder = loaded.base_dir.resolve()
    for path in [folder / loaded.path.name, *(Path(os.path.normpath(folder / text)) for text in _texts(loaded))]:
        if path.is_relative_to(root):
            yield PurePosixPath(path.relative_to(root))


def _texts(loaded: LoadedSpec) -> Iterator[str]:
    todo: list[Any] = [loaded.data]
    while todo:
        value = todo.pop()
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, dict):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            todo += value
