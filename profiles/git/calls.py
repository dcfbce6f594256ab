"""The one place that calls git.

git runs commands that its configuration, the attributes of a tree and the hooks of a repository name. Here it gets a
git directory of pipeprof's own, with links to the refs and the objects, a fixed configuration (see the module `config`)
no hooks and no filters, and an environment whose ``GIT_*`` are all set here. It starts no other process. Nothing is
downloaded. Its processes end with the time of the command and with the command.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.host_files import end_group, nameless_file
from pipeprof.pipelines.regular_files import read_regular
from pipeprof.profiles.git.config import (
    ConfigEntry,
    UserFilter,
    fixed_config,
    known_filters,
    parse_list,
    parse_list_with_origins,
    safe_directories,
)
from pipeprof.profiles.git.repository import GIT_DIR, Repository, around, find_repository, read_line

MOST_SECONDS = 30.0
"""Seconds for all calls together if the command has no time limit."""
OLDEST_GIT: Final = (2, 32)
"""The first git that can leave out the configuration of the user and the system (GIT_CONFIG_GLOBAL)."""
_MOST_CONFIG_BYTES = 1 << 20
_MOST_SAID = 1 << 16
"""Bytes of what git wrote to stderr, for a message."""
_HEAD = re.compile(r"ref: refs/[^\0\n]+|[0-9a-f]{40,64}")
_PASSED_ON: Final = ("GIT_EXEC_PATH",)
_USERS_CONFIG: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_ALONE: Final = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
_ALWAYS: Final = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    # Configuration that the user includes may lie in a checkout.
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LC_ALL": "C",
}
_SHARED_BY_WORK_TREES: Final = ("refs", "packed-refs", "shallow", "logs", "reftable")
_READ_WHOLE: Final = ("packed-refs", "shallow", "objects/info/alternates", "objects/info/commit-graph")
"""Files that git reads to their end."""


@dataclass(frozen=True)
class GitView:
    """A repository as git gets to see it, with the git directory that takes the place of its own."""

    repository: Repository
    directory: Path
    entries: tuple[ConfigEntry, ...] = field(repr=False, default=())


class GitCalls:
    """Calls of git for one command of pipeprof.

    Attributes:
        end_at: The end of the command in seconds of `time.monotonic`; where it has none, all calls together have
            `MOST_SECONDS`.
    """

    def __init__(self, ending: contextlib.ExitStack, end_at: float | None = None) -> None:
        self.end_at = end_at
        self._ending = ending
        self._given: Mapping[str, str] = os.environ
        self._views: dict[Path, GitView] = {}
        self._spent, self._look_until = 0.0, math.inf

    @cached_property
    def folder(self) -> Path:
        """A temporary folder for what git needs; a command that calls no git needs none.

        Raises:
            ProfileError: None can be made.
        """
        try:
            return self._ending.enter_context(folder_for_trees())
        except OSError:
            raise ProfileError(
                "git needs a temporary folder, and there is none that can be written to: set TMPDIR to one"
            ) from None

    def find(self, near: Path) -> GitView | None:
        """The repository that a file or folder is in; None outside of one.

        Raises:
            ProfileError: git is missing or too old, or the repository belongs to another user.
        """
        repository = find_repository(near, self._given)
        return self.view(repository) if repository is not None else None

    def view(self, repository: Repository) -> GitView:
        """A repository for calls.

        Raises:
            ProfileError: git is missing or too old, or the repository belongs to another user.
        """
        root = repository.root
        if root not in self._views:
            self._require_owner(repository)
            self._views[root] = self._made(repository)
        return self._views[root]

    def run(
        self,
        view: GitView,
        *arguments: str,
        work_tree: Path | None = None,
        index: Path | None = None,
        given: bytes = b"",
    ) -> bytes:
        """Run a command of git and return its output.

        Raises:
            GitError: git ended with another code than 0.
            ProfileError: git is missing, or did not end in time.
        """
        root = work_tree or view.repository.root
        places = {
            "GIT_DIR": str(view.directory),
            "GIT_WORK_TREE": str(root),
            "GIT_INDEX_FILE": str(index or view.repository.git_dir / "index"),
            "GIT_OBJECT_DIRECTORY": str(view.repository.common_dir / "objects"),
        }
        return self._call(arguments, places, root, given)

    def filters(self, view: GitView) -> dict[str, UserFilter]:
        """The filters by name; those of the user's own configuration may run."""
        # The tree of a ref stands in the temporary folder.
        checkouts = {self.folder.resolve()}
        for root in (view.repository.root, *self._views):
            checkouts.update(around(root))
        if view.repository.common_dir.name == GIT_DIR:
            checkouts.add(view.repository.common_dir.parent)
        return known_filters(view.entries, self._users, checkouts)

    def seconds_left(self) -> float:
        """For the next call."""
        now = time.monotonic()
        left = MOST_SECONDS - self._spent if self.end_at is None else self.end_at - now
        return max(0.0, min(left, self._look_until - now))

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Give calls less time than the command has left."""
        self._look_until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._look_until = math.inf

    def too_late(self, what: str, seconds: float) -> ProfileError:
        """The error of a process that did not end in its `seconds`; 0 if it was not started."""
        took = f"did not end within {seconds:.3g} s" if seconds else "was not started"
        if self.end_at is None:
            return ProfileError(f"{what} {took}: git has {MOST_SECONDS:.0f} s in all; --max-time gives it more")
        return ProfileError(f"{what} {took}: the command ran out of time; --max-time sets it")

    def _made(self, repository: Repository) -> GitView:
        directory = Path(tempfile.mkdtemp(prefix="git-", dir=self.folder))
        _fill_directory(repository, directory)
        config = directory / "config"
        config.write_text("[core]\n\trepositoryformatversion = 0\n")
        entries = self._entries(repository, directory)
        text = fixed_config(entries, self._users, around(repository.root))
        config.write_text(text, encoding="utf-8", errors="surrogateescape")
        return GitView(repository, directory, tuple(entries))

    def _entries(self, repository: Repository, directory: Path) -> list[ConfigEntry]:
        """The repository's own configuration, without the files that it includes."""
        path = repository.common_dir / "config"
        try:
            data = read_regular(path, _MOST_CONFIG_BYTES)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ProfileError(f"{path}: cannot be read ({error.strerror})") from None
        listed = ("config", "--file", "-", "--no-includes", "--null", "--list")
        return parse_list(self._call(listed, {"GIT_DIR": str(directory)}, directory, data))

    @cached_property
    def _users(self) -> list[ConfigEntry]:
        """The configuration of the user and the system; none where git cannot read it."""
        self._require_version()
        nowhere = self.folder / "no-repository"
        nowhere.mkdir(exist_ok=True)
        places = {"GIT_DIR": str(nowhere), **{name: self._given[name] for name in _USERS_CONFIG if name in self._given}}
        listed = ("config", "--null", "--list", "--show-origin")
        try:
            return parse_list_with_origins(self._call(listed, places, nowhere, own=False))
        except GitError:
            return []

    def _require_version(self) -> None:
        said = self._call(("version",), {}, self.folder).decode(errors="replace")
        found = re.search(r"(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
            oldest = ".".join(map(str, OLDEST_GIT))
            msg = f"{said.strip() or 'this git'} is too old: a target `git:REF` needs git {oldest} or newer"
            raise ProfileError(msg)

    def _require_owner(self, repository: Repository) -> None:
        """Refuse another user's repository, as git does: where all users may write, any of them may plant one above."""
        users, caller = {os.geteuid()}, self._given.get("SUDO_UID", "")
        if users == {0} and caller.isdecimal():
            users.add(int(caller))
        places = (repository.root, repository.git_dir, repository.common_dir)
        owners = {place.stat().st_uid for place in places}
        with contextlib.suppress(OSError):
            owners.add((repository.root / GIT_DIR).lstat().st_uid)
        if owners <= users or {"*", str(repository.root)} & safe_directories(self._users):
            return
        root = repository.root
        raise ProfileError(
            f"{root} belongs to another user, so git:REF is not read from it: if you trust it, "
            f"git config --global --add safe.directory {root}"
        )

    def _call(
        self, arguments: Sequence[str], places: Mapping[str, str], folder: Path, given: bytes = b"", *, own: bool = True
    ) -> bytes:
        path = absolute_path(self._given.get("PATH", os.defpath))
        program = find_program("git", path)
        seconds = self.seconds_left()
        if not seconds:
            raise self.too_late(f"git {arguments[0]}", 0)
        # Those that begin with ``GIT_`` and are not here are not set.
        kept = {name: self._given[name] for name in _PASSED_ON if self._given.get(name, "").startswith("/")}
        variables = {**kept, **_ALWAYS, **(_ALONE if own else {})}
        unset = [word for name in self._given if name.startswith("GIT_") for word in ("-u", name)]
        command = [
            *_with_parent(path),
            find_program("env", path),
            *unset,
            *(f"{name}={value}" for name, value in variables.items()),
        ]
        command += [*(f"{name}={value}" for name, value in places.items()), f"PATH={path}", program, "-C", str(folder)]
        with nameless_file() as standard, nameless_file() as printed, nameless_file() as said:
            standard.write(given)
            standard.seek(0)
            began = time.monotonic()
            code = _run([*command, *arguments], (standard, printed, said), seconds)
            self._spent += time.monotonic() - began
            if code is None:
                raise self.too_late(f"git {arguments[0]}", seconds)
            printed.seek(0)
            said.seek(0)
            if code:
                raise GitError(arguments[0], said.read(_MOST_SAID).decode(errors="replace").strip(), code)
            return printed.read()


class GitError(ProfileError):
    """git ended with a code that is not 0."""

    def __init__(self, command: str, said: str, code: int) -> None:
        self.said = said.removeprefix("fatal: ").removeprefix("error: ")
        super().__init__(f"git {command} failed: {printable(self.said) or f'exit status {code}'}")


@contextlib.contextmanager
def git_calls(max_seconds: float | None = None) -> Iterator[GitCalls]:
    """Calls of git for one command, which leave nothing behind."""
    end_at = time.monotonic() + max_seconds if max_seconds is not None else None
    with contextlib.ExitStack() as ending:
        yield GitCalls(ending, end_at)


def _run(command: list[str], streams: tuple[IO[bytes], ...], seconds: float) -> int | None:
    """Run a command that starts no other; return its exit status, or None if it did not end in time."""
    process = None
    try:
        process = subprocess.Popen(
            command, stdin=streams[0], stdout=streams[1], stderr=streams[2], start_new_session=True
        )
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process is not None and process.returncode is None:
            end_group(process.pid)
            process.wait()


def find_program(name: str, path: str) -> str:
    """The program with a name; `path` has absolute folders, as PATH.

    Raises:
        ProfileError: There is none.
    """
    for folder in path.split(os.pathsep):
        program = Path(folder, name)
        if folder and os.access(program, os.X_OK) and program.is_file():
            return str(program)
    raise ProfileError(f"{name} is not installed, which a target `git:REF` needs")


def absolute_path(path: str) -> str:
    """PATH without the folders that depend on the current one, which may be a checkout."""
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if folder.startswith("/"))


def printable(text: str) -> str:
    """A text in one line without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _with_parent(path: str) -> list[str]:
    """Prefix of a command that ends with this process (``setpriv``); empty without that program."""
    for folder in path.split(os.pathsep):
        program = Path(folder, "setpriv")
        if sys.platform == "linux" and os.access(program, os.X_OK):
            return [str(program), "--pdeathsig", "KILL"]
    return []


def _fill_directory(repository: Repository, directory: Path) -> None:
    """Make a folder a git directory with the refs and the history of another one, and nothing that git could run.

    Raises:
        ProfileError: Its HEAD is damaged, or a device or a pipe is in place of a file.
    """
    git_dir, common = repository.git_dir, repository.common_dir
    for path in (git_dir / "index", *(common / name for name in _READ_WHOLE)):
        if path.exists() and not path.is_file():
            raise ProfileError(f"{path} is no file: git would not come to its end")
    head = read_line(git_dir / "HEAD") or ""
    if not _HEAD.fullmatch(head):
        raise ProfileError(f"{git_dir / 'HEAD'} names neither a branch nor a commit")
    (directory / "HEAD").write_text(f"{head}\n", encoding="utf-8", errors="surrogateescape")
    for name in _SHARED_BY_WORK_TREES:
        if (common / name).exists() and not (name == "logs" and git_dir != common):
            (directory / name).symlink_to(common / name)
    (directory / "refs").mkdir(exist_ok=True)
    if git_dir != common and (git_dir / "logs").exists():
        (directory / "logs").mkdir()
        for name, place in (("HEAD", git_dir / "logs" / "HEAD"), ("refs", common / "logs" / "refs")):
            if place.exists():
                (directory / "logs" / name).symlink_to(place)
    # ORIG_HEAD, FETCH_HEAD, and the parts of a split index.
    for entry in os.scandir(git_dir):
        if (re.fullmatch(r"[A-Z_]+_HEAD", entry.name) or entry.name.startswith("sharedindex.")) and entry.is_file():
            (directory / entry.name).symlink_to(entry.path)
    (directory / "objects").mkdir()


TREES = "pipeprof-trees-"
"""Beginning of their names."""
MARK = ".made-by-pipeprof"
"""A file in each of them: a folder of the user's that is called so, too, is left alone."""
NEW_SECONDS = 60.0
"""A folder of this age or less may be about to be locked by the command that made it."""


@contextlib.contextmanager
def folder_for_trees(within: Path | None = None) -> Iterator[Path]:
    """Make a temporary folder; those that killed commands left, which are not locked, are removed."""
    # For TMPDIR=. the name is relative, and git runs in other folders.
    folder = Path(tempfile.mkdtemp(prefix=TREES, dir=within)).absolute()
    try:
        (folder / MARK).touch()
        with contextlib.ExitStack() as held:
            # Where a file system has no locks, nothing is removed either.
            with contextlib.suppress(OSError):
                held.enter_context(_held(folder))
            for other in Path(within or tempfile.gettempdir()).glob(f"{TREES}*"):
                with contextlib.suppress(OSError):
                    _remove_abandoned(other)
            yield folder
    finally:
        _remove(folder)


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
    """Remove a folder that this user's pipeprof has made, that is not new and not locked."""
    found = folder.lstat()
    is_ours = found.st_uid == os.getuid() and stat.S_ISREG((folder / MARK).lstat().st_mode)
    if is_ours and time.time() - found.st_ctime > NEW_SECONDS:
        with _held(folder):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder; its links are removed, never followed.

    `tempfile.TemporaryDirectory` changes the permissions of what links lead to, where a folder cannot be written to
    (Python before 3.11.8 and 3.12.1).
    """

    def open_up(function: Callable[..., Any], path: str, _error: object) -> None:
        parent = Path(path).parent
        with contextlib.suppress(OSError):
            parent.chmod(stat.S_IRWXU)
            if function in (os.rmdir, os.scandir, os.open) and not Path(path).is_symlink():
                Path(path).chmod(stat.S_IRWXU)
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()

    shutil.rmtree(folder, onerror=open_up)
