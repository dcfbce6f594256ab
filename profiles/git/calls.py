"""The one place that calls git.

git runs commands that its configuration, the attributes of a tree and the hooks of a repository name. Here it gets a
git directory of pipeprof's own, with links to the refs and the objects and a configuration that names no command, and
an environment whose ``GIT_*`` are all set here. It starts no other process. Nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.host_files import nameless_file, read_regular

MOST_SECONDS = 30.0
"""Seconds for all calls together if the command has no time limit."""
OLDEST_GIT: Final = (2, 32)
"""The first git that can leave out the configuration of the user and the system (GIT_CONFIG_GLOBAL)."""
_MOST_CONFIG_BYTES = 1 << 20
_MOST_SAID = 1 << 16
"""Bytes of what git wrote to stderr, for a message."""
_HEAD = re.compile(r"ref: refs/[^\0\n]+|[0-9a-f]{40,64}")
_USERS_CONFIG: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_ALWAYS: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    # Configuration that the user includes may lie in a checkout.
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LC_ALL": "C",
}
_SHARED_BY_WORK_TREES: Final = ("refs", "packed-refs", "shallow", "reftable")
_READ_WHOLE: Final = ("packed-refs", "shallow", "objects/info/alternates", "objects/info/commit-graph")
"""Files that git reads to their end."""
_FIXED: Final = """[core]
	repositoryformatversion = 1
	bare = false
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
	untrackedCache = false
[protocol]
	allow = never
[status]
	submoduleSummary = false
"""
_KEPT: Final = re.compile(
    r"core\.(?:filemode|ignorecase|precomposeunicode|symlinks|autocrlf|eol)|extensions\.(?:objectformat|refstorage)"
    r"|branch\.[^\n]+\.(?:remote|merge)|remote\.[^\n]+\.fetch"
)
"""Settings of the repository that count: how names and contents are written, and the upstream of branches."""


class GitCalls:
    """Calls of git until the end of a command, in seconds of `time.monotonic`; without one, all have `MOST_SECONDS`."""

    def __init__(self, ending: contextlib.ExitStack, end_at: float | None = None) -> None:
        self.end_at = end_at
        self._ending = ending
        self._directories: dict[Path, Path] = {}
        self._spent = 0.0

    @cached_property
    def folder(self) -> Path:
        """A temporary folder for what git needs, or a ProfileError; a command that calls no git needs none."""
        try:
            return self._ending.enter_context(folder_for_trees())
        except OSError:
            raise ProfileError(
                "git needs a temporary folder, and there is none that can be written to: set TMPDIR to one"
            ) from None

    def find(self, near: Path) -> Repository | None:
        """The repository that a file or folder is in, for calls; None outside of one. It is made ready by `enter`."""
        found = find_repository(near, os.environ)
        return self.enter(found) if found is not None else None

    def enter(self, repository: Repository) -> Repository:
        """Make a repository ready for calls.

        Raises:
            ProfileError: git is missing or too old, or the repository is damaged or belongs to another user.
        """
        if repository.root not in self._directories:
            self._require_version()
            self._require_owner(repository)
            directory = Path(tempfile.mkdtemp(prefix="git-", dir=self.folder))
            _fill_directory(repository, directory)
            text = fixed_config(self._config_of(repository))
            (directory / "config").write_text(text, encoding="utf-8", errors="surrogateescape")
            self._directories[repository.root] = directory
        return repository

    def run(self, repository: Repository | None, *arguments: str, **options: Any) -> bytes:
        """Run a command of git and return its output; see `output`."""
        with self.output(repository, *arguments, **options) as printed:
            return printed.read()

    @contextlib.contextmanager
    def output(
        self,
        repository: Repository | None,
        *arguments: str,
        given: bytes = b"",
        most: float = math.inf,
        work_tree: Path | None = None,
        own: bool = True,
    ) -> Iterator[IO[bytes]]:
        """Run a command of git in a work tree, or outside of any; its output is a file.

        Args:
            given: Its standard input.
            most: Seconds that it may take.
            work_tree: Another one than the repository's own: it has no index.
            own: It is not the user's configuration that counts.

        Raises:
            GitError: git ended with another code than 0.
            ProfileError: git is missing, or did not end in time.
        """
        path = absolute_path(os.environ.get("PATH", os.defpath))
        if (program := shutil.which("git", path=path)) is None:
            raise ProfileError("git is not installed, which a target `git:REF` needs")
        seconds = min(most, MOST_SECONDS - self._spent if self.end_at is None else self.end_at - time.monotonic())
        if seconds <= 0:
            raise self._too_late(arguments[0], "was not started")
        kept = () if own else _USERS_CONFIG
        others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in kept}
        always = {name: value for name, value in _ALWAYS.items() if name not in kept}
        places, root = self._places(repository, work_tree)
        with nameless_file() as standard, nameless_file() as printed, nameless_file() as said:
            standard.write(given)
            standard.seek(0)
            began = time.monotonic()
            try:
                code = subprocess.run(
                    [program, *arguments],
                    cwd=root,
                    env={**others, **always, **places, "PATH": path},
                    stdin=standard,
                    stdout=printed,
                    stderr=said,
                    timeout=seconds,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                raise self._too_late(arguments[0], f"did not end within {seconds:.3g} s") from None
            finally:
                self._spent += time.monotonic() - began
            if code:
                said.seek(0)
                raise GitError(arguments[0], said.read(_MOST_SAID).decode(errors="replace").strip(), code)
            printed.seek(0)
            yield printed

    def _places(self, repository: Repository | None, work_tree: Path | None) -> tuple[dict[str, str], Path]:
        """Variables that name what git looks at, and the folder that it runs in."""
        if repository is None:
            return {"GIT_DIR": str(self.folder / "no-repository")}, self.folder
        directory, root = self._directories[repository.root], work_tree or repository.root
        return {
            "GIT_DIR": str(directory),
            "GIT_WORK_TREE": str(root),
            "GIT_INDEX_FILE": str(directory / "no-index" if work_tree else repository.git_dir / "index"),
            "GIT_OBJECT_DIRECTORY": str(repository.common_dir / "objects"),
        }, root

    def _config_of(self, repository: Repository) -> bytes:
        """The repository's own configuration, as a list, without the files that it includes."""
        path = repository.common_dir / "config"
        try:
            data = read_regular(path, _MOST_CONFIG_BYTES)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise ProfileError(f"{path}: cannot be read ({error.strerror})") from None
        return self.run(None, "config", "--file", "-", "--no-includes", "--null", "--list", given=data)

    def _require_version(self) -> None:
        said = self.run(None, "version").decode(errors="replace")
        found = re.search(r"(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
            oldest = ".".join(map(str, OLDEST_GIT))
            msg = f"{said.strip() or 'this git'} is too old: a target `git:REF` needs git {oldest} or newer"
            raise ProfileError(msg)

    def _require_owner(self, repository: Repository) -> None:
        """Refuse another user's repository, as git does: where all users may write, any of them may plant one above."""
        users, caller = {os.geteuid()}, os.environ.get("SUDO_UID", "")
        if users == {0} and caller.isdecimal():
            users.add(int(caller))
        root = repository.root
        owners = {place.stat().st_uid for place in (root, repository.git_dir, repository.common_dir)}
        with contextlib.suppress(OSError):
            owners.add((root / GIT_DIR).lstat().st_uid)
        if owners <= users or {"*", str(root)} & self._trusted():
            return
        raise ProfileError(
            f"{root} belongs to another user, so git:REF is not read from it: if you trust it, "
            f"git config --global --add safe.directory {shlex.quote(str(root))}"
        )

    def _trusted(self) -> set[str]:
        """Folders whose owner the user trusts: an empty value forgets those before it."""
        asked = ("config", "--null", "--type=path", "--get-all", "safe.directory")
        try:
            listed = self.run(None, *asked, own=False)
        except GitError:
            return set()
        return set(listed.decode(errors="surrogateescape").rpartition("\0\0")[2].split("\0"))

    def _too_late(self, command: str, what: str) -> ProfileError:
        if self.end_at is None:
            return ProfileError(f"git {command} {what}: git has {MOST_SECONDS:.0f} s in all; --max-time gives it more")
        return ProfileError(f"git {command} {what}: the command ran out of time; --max-time sets it")


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


def absolute_path(path: str) -> str:
    """PATH without the folders that depend on the current one, which may be a checkout."""
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if folder.startswith("/"))


def printable(text: str) -> str:
    """A text in one line without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def fixed_config(listed: bytes) -> str:
    """The text of the configuration that git runs with; `listed` is the repository's (``git config --null --list``)."""
    lines: list[str] = []
    for text in listed.decode(errors="surrogateescape").split("\0"):
        key, newline, value = text.partition("\n")
        if _KEPT.fullmatch(key):
            section, _, rest = key.partition(".")
            name, _, last = rest.rpartition(".")
            head = f"{section} {_quoted(name)}" if name else section
            lines.append(f"[{head}]\n\t{last}{newline and f' = {_quoted(value)}'}\n")
    # The last of two values counts.
    return "".join(lines) + _FIXED


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _fill_directory(repository: Repository, directory: Path) -> None:
    """Make a folder a git directory with the refs and the history of another one, and nothing that git could run."""
    git_dir, common = repository.git_dir, repository.common_dir
    for path in (git_dir / "index", *(common / name for name in _READ_WHOLE)):
        if path.exists() and not path.is_file():
            raise ProfileError(f"{path} is no file: git would not come to its end")
    head = read_line(git_dir / "HEAD") or ""
    if not _HEAD.fullmatch(head):
        raise ProfileError(f"{git_dir / 'HEAD'} names neither a branch nor a commit")
    (directory / "HEAD").write_text(f"{head}\n", encoding="utf-8", errors="surrogateescape")
    for name in _SHARED_BY_WORK_TREES:
        if (common / name).exists():
            (directory / name).symlink_to(common / name)
    (directory / "refs").mkdir(exist_ok=True)
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
    """Hold the lock of a folder, or raise `OSError`: another process holds it, or the file system has no locks."""
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
    """Remove a folder, with folders in it that cannot be written to; its links are removed, never followed.

    `tempfile.TemporaryDirectory` changes the permissions of what links lead to (Python before 3.11.8 and 3.12.1).
    """
    for place, folders, _ in os.walk(folder):
        for name in folders:
            if not (below := Path(place, name)).is_symlink():
                with contextlib.suppress(OSError):
                    below.chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


GIT_DIR = ".git"
_POINTER = "gitdir:"
_REF = "ref: "
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_BYTES = 4096
"""Largest size of a file that names one folder; PATH_MAX of Linux."""
_MOST_PACKED_BYTES = 64 << 20
"""Of ``packed-refs``: half a million refs."""


@dataclass(frozen=True)
class Repository:
    """A work tree and where git keeps its history: objects and refs are in `git_dir`, but for a linked work tree."""

    root: Path
    git_dir: Path
    common_dir: Path


def repository_root(folder: Path) -> Path | None:
    """The root of the git work tree that a folder is in; None outside of one."""
    return next((place for place in (folder, *folder.parents) if _exists(place / GIT_DIR)), None)


def find_repository(near: Path, environment: Mapping[str, str]) -> Repository | None:
    """The repository that a file or folder is in; None outside of one.

    ``GIT_DIR`` and ``GIT_WORK_TREE`` count where no folder has a ``.git``; ``GIT_CEILING_DIRECTORIES`` end the walk.
    """
    folder = _resolved(near if near.is_dir() else near.parent)
    for place in _places(folder, environment):
        found = repository_at(place)
        if found is not None:
            return found
    return _named(folder, environment)


def repository_at(root: Path) -> Repository | None:
    """The repository whose work tree has its root here: with a folder ``.git``, or a file that names one."""
    entry = root / GIT_DIR
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        if entry.is_dir():
            return _repository(root, entry)
        if entry.is_file() and (text := read_line(entry)) is not None and text.startswith(_POINTER):
            return _repository(root, root / text.removeprefix(_POINTER).strip())
    return None


def checked_out(near: Path, environment: Mapping[str, str]) -> str | None:
    """The commit that the work tree around a file is at, read from files: no git is started.

    None outside of a work tree, before the first commit, and where refs are kept in another form than files of text.
    """
    found = find_repository(near, environment)
    head = read_line(found.git_dir / "HEAD") if found is not None else None
    if found is None or head is None:
        return None
    name = head.removeprefix(_REF)
    if name != head:
        head = read_line(found.common_dir / name) if _is_plain(name) else None
        head = head or _packed(found.common_dir / "packed-refs", name)
    return head if head is not None and _COMMIT.fullmatch(head) else None


def _is_plain(name: str) -> bool:
    """Whether the name of a ref is that of a file below its folder."""
    return name.startswith("refs/") and ".." not in name.split("/")


def _packed(path: Path, name: str) -> str | None:
    try:
        lines = read_regular(path, _MOST_PACKED_BYTES).splitlines()
    except OSError:
        return None
    wanted = [os.fsencode(name)]
    return next((os.fsdecode(line.split()[0]) for line in lines if line.split()[1:] == wanted), None)


def _places(folder: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """The folder and those above it, up to a ceiling, which itself does not count."""
    listed = environment.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    ceilings = {_resolved(Path(text)) for text in listed if text.startswith("/")}
    yield folder
    for place in folder.parents:
        if place in ceilings:
            return
        yield place


def _named(folder: Path, environment: Mapping[str, str]) -> Repository | None:
    """The repository that the environment names, if the folder is in its work tree."""
    named = environment.get("GIT_DIR")
    if not named:
        return None
    root = _resolved(Path(environment.get("GIT_WORK_TREE") or "."))
    return _repository(root, Path(named)) if folder.is_relative_to(root) else None


def _repository(root: Path, git_dir: Path) -> Repository | None:
    git_dir = _resolved(git_dir)
    shared = read_line(git_dir / "commondir")
    common = _resolved(git_dir / shared.strip()) if shared is not None else git_dir
    if not ((git_dir / "HEAD").exists() and (common / "objects").is_dir() and (common / "refs").is_dir()):
        return None
    return Repository(_resolved(root), git_dir, common)


def read_line(path: Path) -> str | None:
    """The text of a file of at most 4,096 bytes, without the end of its line; None for any other."""
    try:
        data = read_regular(path, _MOST_BYTES)
    except OSError:
        return None
    return os.fsdecode(data).rstrip("\r\n") if b"\0" not in data else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()
