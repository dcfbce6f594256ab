"""The tree of a git ref, checked out into a folder of its own: the user's work tree is never touched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeprof.pipelines.errors import ProfileError

PREFIX = "git:"
TREES = "pipeprof-trees-"
"""Beginning of the names of the temporary folders that trees are checked out into, locked by who made them."""
NEW_SECONDS = 60.0
"""A folder of this age or less may be about to be locked by the command that made it."""
_SECONDS = 120
_CODE = frozenset({"__pycache__", ".venv", "venv", "pipeprof-out"})
_CODE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".pth"})


@dataclass(frozen=True)
class RefTarget:
    """A target at a ref.

    Attributes:
        ref: As typed: a branch, a tag, a commit.
        path: The target there; None for that of the other side.
    """

    ref: str
    path: str | None


@dataclass(frozen=True)
class CheckedOut:
    """A tree on disk.

    Attributes:
        folder: Its root.
        work_tree: Root of the user's work tree.
        commit: Full hash.
    """

    folder: Path
    work_tree: Path
    commit: str


def parse_ref(text: str) -> RefTarget | None:
    """Read ``git:REF`` or ``git:REF:path``; None for another target.

    Example:
        >>> parse_ref("git:main:specs/a.yaml")
        RefTarget(ref='main', path='specs/a.yaml')
    """
    if not text.startswith(PREFIX):
        return None
    ref, _, path = text.removeprefix(PREFIX).partition(":")
    return RefTarget(ref, path or None)


@contextlib.contextmanager
def folder_for_trees(within: Path | None = None) -> Iterator[Path]:
    """Make a temporary folder; those that killed commands left, which are not locked, are removed.

    Args:
        within: Where; None for the system's folder for temporary files.
    """
    with TemporaryDirectory(prefix=TREES, dir=within) as folder, contextlib.ExitStack() as held:
        # Where a file system has no locks, nothing is removed either.
        with contextlib.suppress(OSError):
            held.enter_context(_held(Path(folder)))
        for other in Path(within or tempfile.gettempdir()).glob(f"{TREES}*"):
            with contextlib.suppress(OSError):
                _remove_abandoned(other)
        yield Path(folder)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises:
        OSError: Another process holds it, or the file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder of this user's that is not new and not locked; links in it are not followed."""
    found = folder.lstat()
    if found.st_uid == os.getuid() and time.time() - found.st_ctime > NEW_SECONDS:
        with _held(folder):
            shutil.rmtree(folder)


def check_out(ref: str, near: Path, into: Path) -> CheckedOut:
    """Write the tree of a ref into a folder.

    Args:
        ref: A branch, a tag, a commit.
        near: A file or folder in the work tree.
        into: An empty folder.

    Raises:
        ProfileError: This is no git repository, or the ref does not exist.
    """
    folder = near if near.is_dir() else near.parent
    root = Path(_git(folder, "rev-parse", "--show-toplevel").decode().rstrip("\n"))
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", ref=ref)
    name = commit.decode().strip()
    # With an index of its own; an archive would leave out what the repository does not export.
    with TemporaryDirectory(prefix="pipeprof-index-") as folder_of_index:
        index = {"GIT_INDEX_FILE": str(Path(folder_of_index, "index"))}
        _git(root, "read-tree", name, environment=index)
        _git(root, "checkout-index", "--all", f"--prefix={into.resolve()}/", environment=index)
    _link_data(root, into)
    return CheckedOut(into, root, name)


def _link_data(root: Path, into: Path) -> None:
    """Let the tree have what git does not track, through links into the work tree: data is rarely in git.

    Python files are left out: the code is that of the ref alone.
    """
    listed = _git(root, "ls-files", "-z", "--others", "--directory").decode(errors="surrogateescape")
    for name in filter(None, listed.split("\0")):
        path = Path(name.rstrip("/"))
        if _CODE.isdisjoint(path.parts) and path.suffix not in _CODE_SUFFIXES and (into / path.parent).is_dir():
            link = into / path
            if not (link.exists() or link.is_symlink()):
                link.symlink_to(root / path)


def is_dirty(near: Path) -> bool | None:
    """Whether the work tree differs from its last commit; None outside of git."""
    try:
        return bool(_git(near if near.is_dir() else near.parent, "status", "--porcelain", "--untracked-files=no"))
    except ProfileError:
        return None


def _git(folder: Path, *arguments: str, ref: str | None = None, environment: Mapping[str, str] | None = None) -> bytes:
    own = {**os.environ, **(environment or {})}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=_SECONDS, env=own)
    except FileNotFoundError:
        msg = "git is not installed, which a target `git:REF` needs"
        raise ProfileError(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"git {arguments[0]} took longer than {_SECONDS} s"
        raise ProfileError(msg) from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
    if ref is not None:
        msg = f"git:{ref}: no such branch, tag or commit in {folder.resolve()}"
        raise ProfileError(msg)
    if "not a git repository" in said:
        msg = f"{folder.resolve()} is in no git repository, which a target `git:REF` needs"
        raise ProfileError(msg)
    msg = f"git {arguments[0]} failed: {said or f'exit status {done.returncode}'}"
    raise ProfileError(msg)
