"""The tree of a git ref, written into a folder of its own: the user's work tree is never touched.

pipeprof writes the files itself, each as its bytes are stored: no filter runs, and a file that needs one other than
that of Git LFS is withheld. The folder stands among links to the neighbours of the work tree, so that ``../data``
leads where it leads from there. What git does not track is linked from the work tree, as data rarely is in git.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.paths import Leaf, has_scheme, leaves
from pipeprof.profiles.git.calls import (
    GitCalls,
    GitError,
    Repository,
    git_calls,
    printable,
    repository_at,
    repository_root,
)
from pipeprof.profiles.git.refs import commit_of, commits_of

_LINK = "120000"
_PROGRAM = "100755"
SUBMODULE = "160000"
"""Modes of entries of a tree."""
CODE_FOLDERS = frozenset({"__pycache__", ".venv", "venv", "pipeprof-out", ".git"})
_CODE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".pth"})
_MOST_NEIGHBOURS = 1000
"""Entries of the folder above the work tree; of one that has more, none is linked."""
_MOST_SEEN = 20_000
"""Entries of a folder that are looked at for code: data sets have no end."""
_MOST_LINKS = 40
"""Symbolic links that a path may lead through, as in Linux."""
MOST_DEPTH = 8
"""Submodules in submodules."""
_PART = 1 << 20


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
        """The place in the tree of the current folder, or of the one above the work tree; itself if it is elsewhere."""
        here = Path.cwd()
        if here == self.work_tree.parent:
            return self.folder.parent
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
        ProfileError: This is no git repository, or the ref does not exist, or its tree cannot be read or written.
    """
    repository = calls.find(near)
    if repository is None:
        place = near if near.is_dir() else near.parent
        raise ProfileError(f"{printable(str(place.resolve()))} is in no git repository, which a target `git:REF` needs")
    commit = commit_of(calls, repository, ref)
    folder = _beside_neighbours(repository.root, into.resolve())
    tree = RefTree(f"git:{ref}", folder, repository.root, commit)
    try:
        _Writing(calls, tree).write(repository, commit, folder, depth=0)
    except GitError as error:
        raise ProfileError(f"{tree.ref}: its tree cannot be read: {printable(error.said)}") from None
    except (OSError, ValueError) as error:
        raise ProfileError(f"{tree.ref}: its tree cannot be written: {printable(str(error))}") from None
    return tree


def entries_of(calls: GitCalls, repository: Repository, commit: str) -> list[tuple[str, str, str]]:
    """Mode, hash and path of each entry of a commit's tree.

    Raises:
        GitError: There is no such commit.
        ProfileError: A path is none that git writes.
    """
    listed = calls.run(repository, "ls-tree", "-r", "-z", "--full-tree", commit)
    found = []
    for line in filter(None, listed.decode(errors="surrogateescape").split("\0")):
        head, _, path = line.partition("\t")
        if any(part.lower() in ("", ".", "..", ".git") for part in path.split("/")):
            raise ProfileError(f"the tree of {commit[:10]} has the path {printable(path)}, which leads out of it")
        mode, _, name = head.split(" ")
        found.append((mode, name, path))
    return found


def filters_of(calls: GitCalls, repository: Repository, root: Path, paths: Sequence[str]) -> dict[str, str]:
    """The filter's name of each path whose attributes, as the files below `root` have them, name one."""
    given = "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")
    asked = ("check-attr", "-z", "--stdin", "filter")
    with calls.output(repository, *asked, given=given, work_tree=root) as printed:
        words = printed.read().decode(errors="surrogateescape").split("\0")
    named = zip(words[::3], words[2::3], strict=False)
    return {path: name for path, name in named if name not in ("unspecified", "unset", "set", "")}


def _beside_neighbours(root: Path, into: Path) -> Path:
    """An empty folder for a tree, among links to the neighbours of its work tree."""
    folder = into / (root.name or "root")
    folder.mkdir(parents=True)
    # Where there are many, or where they may not be seen, none is linked.
    with contextlib.suppress(OSError):
        names = os.listdir(root.parent)  # noqa: PTH208 - names, not paths
        for name in names if len(names) <= _MOST_NEIGHBOURS else ():
            if name != root.name:
                (into / name).symlink_to(root.parent / name)
    return folder


class _Writing:
    """Writes a tree with its submodules, and tells `tree` which paths are left out."""

    def __init__(self, calls: GitCalls, tree: RefTree) -> None:
        self._calls = calls
        self._tree = tree
        # A link would lead out of the tree, and `..` not back.
        self._way = {Path.cwd(), *Path.cwd().parents}

    def write(self, repository: Repository, commit: str, into: Path, *, depth: int) -> None:
        """Write the tree of a commit into an empty folder."""
        entries = entries_of(self._calls, repository, commit)
        files = [entry for entry in entries if entry[0] not in (_LINK, SUBMODULE)]
        links = [entry for entry in entries if entry[0] == _LINK]
        # Files come first: none is written through a link.
        self._write_blobs(repository, [*files, *links], into)
        self._filter(repository, into, [path for _, _, path in files])
        for _, _, path in links:
            self._keep_or_remove(repository, into, path)
        for mode, name, path in entries:
            if mode == SUBMODULE:
                self._submodule(repository, into, path, name, depth)
        self._link_untracked(repository, into)

    def _write_blobs(self, repository: Repository, entries: Sequence[tuple[str, str, str]], into: Path) -> None:
        given = "".join(f"{name}\n" for _, name, _ in entries).encode()
        with self._calls.output(repository, "cat-file", "--batch", given=given) as printed:
            for mode, name, path in entries:
                _, kind, *size = printed.readline().split()
                if kind != b"blob":
                    raise ProfileError(
                        f"{self._tree.ref}: {printable(path)} ({name[:10]}) is not here. If this clone is partial, "
                        "nothing is downloaded here: check the ref out once, then come back"
                    )
                if _has_link(into, Path(path).parent):
                    raise ProfileError(f"{self._tree.ref}: {printable(path)} lies behind a link of the same tree")
                _write_blob(into / path, mode, printed, int(size[0]))
                printed.read(1)

    def _filter(self, repository: Repository, into: Path, files: Sequence[str]) -> None:
        """Put objects of LFS in place of their pointers; withhold what any other filter would make."""
        for path, name in filters_of(self._calls, repository, into, files).items():
            file = into / path
            if name != LFS:
                self._withhold(file, f"goes through the filter {printable(name)}, which is not run")
            elif (pointer := parse_pointer(_beginning(file))) is not None:
                stored = stored_object(repository, pointer)
                file.unlink()
                if stored is not None:
                    file.symlink_to(stored)
                else:
                    self._withhold(file, "is kept by Git LFS, and its object is not in the local store: git lfs fetch")

    def _keep_or_remove(self, repository: Repository, into: Path, path: str) -> None:
        """Keep a link that stays in the tree, and one that the work tree has as well; remove any other."""
        link = into / path
        target = str(link.readlink())
        if Path(os.path.realpath(link)).is_relative_to(self._tree.folder):
            return
        own = repository.root / path
        link.unlink()
        reason = f"is a link out of the tree, to {printable(target)}"
        if not own.is_symlink() or str(own.readlink()) != target:
            self._withhold(link, f"{reason}, which the work tree does not have")
        elif (real := Path(os.path.realpath(own))).suffix in _CODE_SUFFIXES:
            self._withhold(link, f"{reason}, which is code")
        else:
            self._link_data(link, real, reason)

    def _submodule(self, repository: Repository, into: Path, path: str, commit: str, depth: int) -> None:
        """Write the tree of a submodule, if its commit is in the work tree's clone of it."""
        name, folder, root = shlex.quote(printable(path)), into / path, repository.root
        within = repository_at(root / path) if not (_has_link(into, path) or _has_link(root, path)) else None
        if within is None or depth >= MOST_DEPTH:
            self._withhold(folder, f"is a submodule that is not checked out: git submodule update --init {name}")
            return
        inner = self._calls.enter(within)
        if commits_of(self._calls, inner, [commit]) == [None]:
            self._withhold(folder, f"is a submodule whose commit {commit[:10]} is not here: git -C {name} fetch")
            return
        folder.mkdir(parents=True)
        self.write(inner, commit, folder, depth=depth + 1)

    def _link_untracked(self, repository: Repository, into: Path) -> None:
        """Link what git does not track; Python files are left out: the code is that of the ref alone."""
        listed = self._calls.run(repository, "ls-files", "-z", "--others", "--directory")
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
                self._link_data(link, repository.root / path, "is not in git")

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


def _write_blob(place: Path, mode: str, printed: IO[bytes], size: int) -> None:
    """Write the next `size` bytes as a file, or as a link."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if mode == _LINK:
        place.symlink_to(os.fsdecode(printed.read(size)))
        return
    with place.open("wb") as file:
        while part := printed.read(min(size, _PART)):
            file.write(part)
            size -= len(part)
    if mode == _PROGRAM:
        place.chmod(0o755)


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_MOST_BYTES + 1)


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


def lacking(loaded: LoadedSpec, tree: RefTree) -> str | None:
    """Why a spec cannot be measured at a ref: a file that it reads is not there, or it writes through a link."""
    for leaf in leaves(loaded.data):
        if leaf.kind != "python" and (reason := _reason(leaf, loaded.base_dir, tree)) is not None:
            return reason
    return None


def _reason(leaf: Leaf, folder: Path, tree: RefTree) -> str | None:
    text = leaf.text
    if has_scheme(text) or text.startswith("data:"):
        return None
    path = folder / Path(text).expanduser()
    if leaf.kind == "output":
        inside = Path(os.path.realpath(path)).is_relative_to(tree.folder)
        return None if inside else f"the pipeline at {tree.ref} writes to {text}, which is not in its tree"
    if (refusal := tree.refusal(path, data=True)) is not None:
        return refusal
    short = Path(os.path.normpath(path))
    if not short.is_relative_to(tree.folder):
        return None
    pattern = (*short.relative_to(tree.folder).parts, *(["**"] if leaf.kind == "folder" else []))
    found = next((name for name in tree.withheld if may_match(pattern, Path(name).parts)), None)
    return tree.refusal(tree.folder / found, data=True) if found is not None else None


def may_match(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a glob may stand for a path, or for something below it; both from the same folder on, by parts.

    Example:
        >>> may_match(("img", "*.jpg"), ("img", "a.jpg")), may_match(("img", "*.jpg"), ("text", "a.txt"))
        (True, False)
    """
    if not path or not pattern:
        return not path
    if pattern[0] == "**":
        return may_match(pattern[1:], path) or may_match(pattern, path[1:])
    return fnmatch.fnmatchcase(path[0], pattern[0]) and may_match(pattern[1:], path[1:])


LFS = "lfs"
"""The filter of Git LFS, which keeps files outside of the history: they are found in its local store, never downloaded.

Layout of pointers and of the store: the Git LFS specification, version 1."""
_MOST_BYTES = 1023
"""Largest size of a pointer, by the specification."""
_POINTER = re.compile(rb"version https://[^\n]*\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n")


def parse_pointer(data: bytes) -> tuple[str, int] | None:
    """The hash and the size in bytes of the object that a pointer stands for; None for any other file."""
    found = _POINTER.match(data) if len(data) <= _MOST_BYTES else None
    return (found[1].decode(), int(found[2])) if found else None


def stored_object(repository: Repository, pointer: tuple[str, int]) -> Path | None:
    """The object in the local store; None where it is not there, or of another size."""
    name, size = pointer
    stored = repository.common_dir / "lfs" / "objects" / name[:2] / name[2:4] / name
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


_MOST_SECONDS = 10.0
"""For a look at the work tree, which the report can do without."""
_CHANGED = " M "


def tracked_files(calls: GitCalls, place: Path) -> list[Path]:
    """Files that git tracks at a place and below it; none outside of a work tree. ProfileError if git cannot tell."""
    place = place.resolve()
    repository = calls.find(place)
    if repository is None:
        return []
    root = repository.root
    listed = calls.run(repository, "ls-files", "-z", "--", f":(literal){place.relative_to(root)}")
    return [root / name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def came_with_checkout(paths: Iterable[Path]) -> dict[Path, str]:
    """The files that git tracks, or where it does not say so, with the reason in words."""
    found: dict[Path, str] = {}
    with git_calls() as calls:
        for path in paths:
            if repository_root(path.resolve().parent) is None:
                continue
            try:
                if tracked_files(calls, path):
                    found[path] = f"{path} came with the checkout: git tracks it"
            except ProfileError as error:
                found[path] = f"git does not say whether {path} came with the checkout ({error})"
    return found


def is_dirty(calls: GitCalls, near: Path) -> bool | None:
    """Whether the work tree differs from its last commit; None outside of git, and where git does not tell in time."""
    try:
        repository = calls.find(near)
        return None if repository is None else _differs(calls, repository, depth=0)
    except ProfileError:
        return None


def _differs(calls: GitCalls, repository: Repository, depth: int) -> bool:
    # git would look into submodules with the configuration that they have.
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all")
    printed = calls.run(repository, "status", *options, most=_MOST_SECONDS).decode(errors="surrogateescape")
    lines = list(filter(None, printed.split("\0")))
    paths = [line.removeprefix(_CHANGED) for line in lines if line.startswith(_CHANGED)]
    if len(paths) < len(lines) or not _are_made_by_filters(calls, repository, paths):
        return True
    for mode, commit, path in entries_of(calls, repository, "HEAD"):
        within = repository_at(repository.root / path) if mode == SUBMODULE and depth < MOST_DEPTH else None
        if within is not None:
            inner = calls.enter(within)
            if commits_of(calls, inner, ["HEAD"]) != [commit] or _differs(calls, inner, depth + 1):
                return True
    return False


def _are_made_by_filters(calls: GitCalls, repository: Repository, paths: list[str]) -> bool:
    """Whether files differ from the last commit as their filters make them differ, which are not run."""
    named = filters_of(calls, repository, repository.root, paths)
    for path in paths:
        if path not in named:
            return False
        if named[path] == LFS:
            pointer = parse_pointer(calls.run(repository, "cat-file", "blob", f":{path}"))
            if pointer is None or not is_content_of(repository.root / path, pointer):
                return False
    return True
