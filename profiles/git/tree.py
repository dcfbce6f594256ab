"""The tree of a git ref, written into a folder of its own: the user's work tree is never touched.

The folder stands among links to the neighbours of the work tree and of the folders above it, so that ``../data`` leads
where it leads from the work tree. What git does not track is linked from the work tree, as data rarely is in git.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.ops.values.values import ArrayFile, FilePatterns, InputFolder, OutputFile
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.paths import has_scheme, leaves
from pipeprof.profiles.git.calls import GitCalls, GitError, GitView, printable
from pipeprof.profiles.git.config import is_partial
from pipeprof.profiles.git.filters import FilterJob, filters_of_paths, run_filters
from pipeprof.profiles.git.refs import commit_of, has_commit
from pipeprof.profiles.git.repository import repository_at

_LINK = "120000"
SUBMODULE = "160000"
"""Modes of entries of a tree."""
CODE_FOLDERS = frozenset({"__pycache__", ".venv", "venv", "pipeprof-out", ".git"})
_CODE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".pth"})
_LEVELS = 3
"""Folders above the work tree whose entries are linked."""
_MOST_NEIGHBOURS = 1000
"""Entries of a folder above the work tree; of one that has more, none is linked."""
_MOST_SEEN = 20_000
"""Entries of a folder that are looked at for code: data sets have no end."""
_MOST_LINKS = 40
"""Symbolic links that a path may lead through, as in Linux."""
_MOST_DEPTH = 8
"""Submodules in submodules."""


@dataclass(frozen=True)
class RefTree:
    """A tree on disk.

    Attributes:
        data_only: Paths that lead out of the tree, relative to its root, and why only data are read through them.
        withheld: Paths of the ref that the tree lacks, and why.
    """

    ref: str
    folder: Path
    work_tree: Path
    commit: str
    data_only: dict[str, str] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)

    def current_folder(self) -> Path:
        """The place in the tree of the current folder, also of one above the work tree; itself where it is elsewhere.

        Raises:
            ProfileError: It is a file at the ref.
        """
        here, above = Path.cwd(), list(self.work_tree.parents)[:_LEVELS]
        if here in above:
            return self.folder.parents[above.index(here)]
        if not here.is_relative_to(self.work_tree):
            return here
        place = self.folder / here.relative_to(self.work_tree)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            raise ProfileError(f"{self.ref}: the current folder is none there") from None
        return place

    def refusal(self, path: Path, *, data: bool) -> str | None:
        """Why a file of the tree, a path with any links in it, must not be read; None where it may."""
        for name in self._places(path):
            if name in self.withheld:
                return f"{name} at {self.ref} {self.withheld[name]}"
            if name in self.data_only and not data:
                return f"{name} at {self.ref} {self.data_only[name]}: only data is read there"
        return None

    def reasons(self, text: str) -> list[str]:
        """Why files that a text names are not in the tree, at most three."""
        named = [name for name in self.withheld if name in text or (str(Path(name).parent) + "/") in text]
        return [f"{name} at {self.ref} {self.withheld[name]}" for name in named[:3]]

    def _places(self, path: Path) -> Iterator[str]:
        """The path and the folders that lead to it, from the root of the tree on, each link followed by itself."""
        at, rest, followed = Path("/"), list(path.absolute().parts[1:]), 0
        while rest:
            part = rest.pop(0)
            if part == "..":
                at = at.parent
                continue
            at = at / part
            if at.is_relative_to(self.folder):
                yield at.relative_to(self.folder).as_posix()
            with contextlib.suppress(OSError):
                target = at.readlink()
                followed += 1
                if followed > _MOST_LINKS:
                    return
                at = Path("/") if target.is_absolute() else at.parent
                rest = [*(target.parts[1:] if target.is_absolute() else target.parts), *rest]


def check_out(calls: GitCalls, ref: str, near: Path, into: Path) -> RefTree:
    """Write the tree of a ref below the folder `into`, which does not exist yet.

    Raises:
        ProfileError: This is no git repository, or the ref does not exist, or its tree cannot be read.
    """
    view = calls.find(near)
    if view is None:
        place = near if near.is_dir() else near.parent
        raise ProfileError(f"{printable(str(place.resolve()))} is in no git repository, which a target `git:REF` needs")
    root = view.repository.root
    commit = commit_of(calls, view, ref)
    tree = RefTree(f"git:{ref}", _among_neighbours(root, into.resolve()), root, commit)
    _Writing(calls, tree).write(view, commit, tree.folder, depth=0)
    return tree


def _among_neighbours(root: Path, into: Path) -> Path:
    """An empty folder for a tree, among links to the neighbours of its work tree."""
    above = list(root.parents)[:_LEVELS]
    at = into
    at.mkdir(parents=True)
    for number in range(len(above) - 1, -1, -1):
        below = (above[number - 1] if number else root).name
        for entry in _entries(above[number]):
            if entry != below:
                (at / entry).symlink_to(above[number] / entry)
        at = at / (below or "root")
        at.mkdir()
    if not above:
        at = into / "root"
        at.mkdir()
    return at


def _entries(folder: Path) -> list[str]:
    """Names in a folder; none where there are many, or where they may not be seen."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names, not paths
    except OSError:
        return []
    return names if len(names) <= _MOST_NEIGHBOURS else []


class _Writing:
    """Writes a tree with its submodules, and tells `tree` which paths are left out."""

    def __init__(self, calls: GitCalls, tree: RefTree) -> None:
        self._calls = calls
        self._tree = tree
        # A link would lead out of the tree, and `..` not back.
        self._way = {Path.cwd(), *Path.cwd().parents}

    def write(self, view: GitView, commit: str, into: Path, *, depth: int) -> None:
        """Write the tree of a commit into an empty folder."""
        index = view.directory / f"index-{commit}"
        try:
            self._calls.run(view, "read-tree", "--reset", "-u", commit, work_tree=into, index=index)
            listed = self._calls.run(view, "ls-files", "--stage", "-z", work_tree=into, index=index)
        except GitError as error:
            partial = "this clone is partial, and nothing is downloaded here: check the ref out once, then come back"
            more = f"; {partial}" if is_partial(view.entries) else ""
            raise ProfileError(f"{self._tree.ref}: its tree cannot be read: {printable(error.said)}{more}") from None
        kinds = dict(entries_of(listed))
        for path in [path for path, (mode, _) in kinds.items() if mode == _LINK]:
            self._keep_or_remove(view, into, path)
        files = [path for path, (mode, _) in kinds.items() if mode not in (_LINK, SUBMODULE)]
        self._filter(view, into, index, files)
        for path, (mode, name) in kinds.items():
            if mode == SUBMODULE:
                self._submodule(view, into, path, name, depth)
        self._link_untracked(view, into)

    def _filter(self, view: GitView, into: Path, index: Path, files: list[str]) -> None:
        """Put what filters make in place of what the history has."""
        known = self._calls.filters(view)
        pointers = {path: pointer for path in files if (pointer := read_pointer(into / path)) is not None}
        named = filters_of_paths(self._calls, view, files if known.keys() - {FILTER} else list(pointers), index)
        jobs: list[FilterJob] = []
        for path, name in named.items():
            found, words = known.get(name), f"goes through the filter {printable(name)}, which"
            if name == FILTER:
                if path in pointers:
                    self._resolve(view, into / path, pointers[path])
            elif found is not None and found.refused:
                self._withhold(into / path, f"{words} {found.refused}: it is not run")
            elif found is not None and found.smudge:
                made = self._calls.folder / f"made-{len(jobs)}"
                jobs.append(FilterJob(found.smudge, path, into / path, made))
            elif found is not None and found.process:
                self._withhold(into / path, f"{words} is a process for many files: it is not run")
        for job, done in zip(jobs, run_filters(self._calls, jobs), strict=True):
            if done:
                # Its permissions stay.
                shutil.copyfile(job.made, job.given)
            else:
                self._withhold(job.given, f"goes through the filter {printable(named[job.path])}, which failed")
            job.made.unlink(missing_ok=True)

    def _resolve(self, view: GitView, file: Path, pointer: tuple[str, int]) -> None:
        """Put an object of the local store of LFS in place of its pointer."""
        stored = stored_object(view, pointer)
        if stored is None:
            self._withhold(file, "is kept by Git LFS, and its object is not in the local store: git lfs fetch")
            return
        file.unlink()
        file.symlink_to(stored)

    def _keep_or_remove(self, view: GitView, into: Path, path: str) -> None:
        """Keep a link that stays in the tree, and one that the work tree has as well; remove any other."""
        link = into / path
        if not link.is_symlink():
            return
        target = str(link.readlink())
        if Path(os.path.realpath(link)).is_relative_to(self._tree.folder):
            return
        own = view.repository.root / path
        link.unlink()
        reason = f"is a link out of the tree, to {printable(target)}"
        if not own.is_symlink() or str(own.readlink()) != target:
            self._withhold(link, f"{reason}, which the work tree does not have")
        elif (real := Path(os.path.realpath(own))).suffix in _CODE_SUFFIXES:
            self._withhold(link, f"{reason}, which is code")
        else:
            self._link_data(link, real, reason)

    def _submodule(self, view: GitView, into: Path, path: str, commit: str, depth: int) -> None:
        """Write the tree of a submodule, if its commit is in the work tree's clone of it."""
        name = printable(path)
        folder = into / path
        root = view.repository.root
        within = repository_at(root / path) if not (_has_link(into, path) or _has_link(root, path)) else None
        if within is None or depth >= _MOST_DEPTH or not folder.is_dir():
            self._withhold(folder, f"is a submodule that is not checked out: git submodule update --init {name}")
            return
        inner = self._calls.view(within)
        if not has_commit(self._calls, inner, commit):
            self._withhold(folder, f"is a submodule whose commit {commit[:10]} is not here: git -C {name} fetch")
            return
        self.write(inner, commit, folder, depth=depth + 1)

    def _link_untracked(self, view: GitView, into: Path) -> None:
        """Link what git does not track; Python files are left out: the code is that of the ref alone."""
        listed = self._calls.run(view, "ls-files", "-z", "--others", "--directory")
        for name in filter(None, listed.decode(errors="surrogateescape").split("\0")):
            path = Path(name.rstrip("/"))
            link = into / path
            if not CODE_FOLDERS.isdisjoint(path.parts) or path.suffix in _CODE_SUFFIXES or _has_link(into, path.parent):
                continue
            if (
                link.parent.is_dir()
                and not (link.exists() or link.is_symlink())
                and self._name(link) not in self._tree.withheld
            ):
                self._link_data(link, view.repository.root / path, "is not in git")

    def _link_data(self, link: Path, own: Path, reason: str) -> None:
        """Link a file or folder that is not of the ref, without the code in it."""
        if own == self._calls.folder.resolve():
            # The temporary folder may lie in the work tree, and the tree in it is being written.
            return
        if own.is_symlink() or not own.is_dir() or not (own in self._way or _holds_code(own)):
            link.symlink_to(own)
        else:
            link.mkdir()
            for entry in os.scandir(own):
                if entry.name not in CODE_FOLDERS and Path(entry.name).suffix not in _CODE_SUFFIXES:
                    self._link_data(link / entry.name, Path(entry.path), reason)
        self._tree.data_only[self._name(link)] = reason

    def _withhold(self, path: Path, reason: str) -> None:
        if not path.is_dir():
            path.unlink(missing_ok=True)
        self._tree.withheld[self._name(path)] = reason

    def _name(self, path: Path) -> str:
        return path.relative_to(self._tree.folder).as_posix()


def _has_link(folder: Path, path: str | Path) -> bool:
    """Whether a link leads to a path below a folder: nothing is written through one."""
    at = folder
    for part in Path(path).parts:
        at = at / part
        if at.is_symlink():
            return True
    return False


def _holds_code(path: Path) -> bool:
    """Whether a folder, or one of its first entries, is Python's."""
    if path.suffix in _CODE_SUFFIXES:
        return True
    seen = 0
    for _, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in CODE_FOLDERS]
        if any(Path(name).suffix in _CODE_SUFFIXES for name in files):
            return True
        seen += len(files) + len(folders)
        if seen > _MOST_SEEN:
            return False
    return False


def entries_of(listed: bytes) -> Iterator[tuple[str, tuple[str, str]]]:
    """Path, mode and hash of each entry that ``ls-files --stage -z`` prints."""
    for line in filter(None, listed.decode(errors="surrogateescape").split("\0")):
        head, _, path = line.partition("\t")
        mode, name, _ = head.split(" ")
        yield path, (mode, name)


def lacking(loaded: LoadedSpec, tree: RefTree) -> str | None:
    """Why a spec cannot be measured at a ref: a file that it reads is not there, or it writes through a link."""
    for value in (leaf.value for leaf in leaves(loaded.spec)):
        if isinstance(value, FilePatterns | ArrayFile | InputFolder | OutputFile):
            texts = value.patterns if isinstance(value, FilePatterns) else [str(value)]
            for text in texts:
                reason = _reason(value, text, loaded.base_dir, tree)
                if reason is not None:
                    return reason
    return None


def _reason(value: object, text: str, folder: Path, tree: RefTree) -> str | None:
    """Why one path of a spec cannot be used."""
    if has_scheme(text) or text.startswith("data:"):
        return None
    path = folder / Path(text).expanduser()
    if isinstance(value, OutputFile):
        inside = Path(os.path.realpath(path)).is_relative_to(tree.folder)
        return None if inside else f"the pipeline at {tree.ref} writes to {text}, which is not in its tree"
    if (refusal := tree.refusal(path, data=True)) is not None:
        return refusal
    short = Path(os.path.normpath(path))
    if not short.is_relative_to(tree.folder):
        return None
    pattern = (*short.relative_to(tree.folder).parts, *(["**"] if isinstance(value, InputFolder) else []))
    found = next((name for name in tree.withheld if may_match(pattern, Path(name).parts)), None)
    return tree.refusal(tree.folder / found, data=True) if found is not None else None


def may_match(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a glob may stand for a path, or for something below it; both from the same folder on, by parts.

    Example:
        >>> may_match(("img", "*.jpg"), ("img", "a.jpg")), may_match(("img", "*.jpg"), ("img",))
        (True, True)
        >>> may_match(("img", "*.jpg"), ("text", "a.txt"))
        False
    """
    if not path or not pattern:
        return not path
    if pattern[0] == "**":
        return may_match(pattern[1:], path) or may_match(pattern, path[1:])
    return fnmatch.fnmatchcase(path[0], pattern[0]) and may_match(pattern[1:], path[1:])


_MOST_BYTES = 1023
"""Largest size of a pointer, by the specification."""
_PART = 1 << 20
_BEGIN = b"version https://"
_OBJECT = re.compile(r"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(r"^size (\d{1,18})$", re.MULTILINE)


FILTER = "lfs"
"""The filter of Git LFS, which keeps files outside of the history: they are found in its local store, never downloaded.

Layout of pointers and of the store: the Git LFS specification, version 1."""


def read_pointer(path: Path) -> tuple[str, int] | None:
    """The hash and the size in bytes of the object that a pointer stands for; None for another file."""
    if path.is_symlink() or not path.is_file() or not 0 < path.stat().st_size <= _MOST_BYTES:
        return None
    return parse_pointer(path.read_bytes())


def parse_pointer(data: bytes) -> tuple[str, int] | None:
    """Parse a pointer from a file's content; None for any other file."""
    if not data.startswith(_BEGIN) or len(data) > _MOST_BYTES:
        return None
    text = data.decode(errors="replace")
    name, size = _OBJECT.search(text), _SIZE.search(text)
    return (name[1], int(size[1])) if name and size else None


def stored_object(view: GitView, pointer: tuple[str, int]) -> Path | None:
    """The object in the local store; None where it is not there, or of another size."""
    name, size = pointer
    stored = view.repository.common_dir / "lfs" / "objects" / name[:2] / name[2:4] / name
    is_there = stored.is_file() and not stored.is_symlink() and stored.stat().st_size == size
    return stored if is_there else None


def is_content_of(path: Path, pointer: tuple[str, int]) -> bool:
    """Whether a file of the work tree is the object that a pointer stands for."""
    name, size = pointer
    if not path.is_file() or path.stat().st_size != size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.hexdigest() == name
