"""Which files count as existing when a training script is about to write: those whose content a user would miss.

These do not: empty files, devices and pipes, links (whose target stays), files that the command itself has
made or changed since it began, and caches that Python and the libraries make again.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pipeprof.profiles.worker.writes.touches import Touch

_NO_FILES = ("/dev/", "/proc/", "/sys/")
# Where libraries keep what they make again: the variable that names the folder, and the folder without it.
_CACHES = (
    ("XDG_CACHE_HOME", "~/.cache"),
    ("KERAS_HOME", "~/.keras"),
    ("MPLCONFIGDIR", "~/.config/matplotlib"),
    ("CUDA_CACHE_PATH", "~/.nv"),
    ("TFHUB_CACHE_DIR", ""),
    ("JAX_COMPILATION_CACHE_DIR", ""),
    ("TORCHINDUCTOR_CACHE_DIR", ""),
)


def cache_folders(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The folders of libraries' caches, each ending with a slash.

    Example:
        >>> cache_folders({"XDG_CACHE_HOME": "/c", "KERAS_HOME": "/k"})[:2]
        ('/c/', '/k/')
    """
    named = (environment.get(variable) or default for variable, default in _CACHES)
    return tuple(f"{Path(folder).expanduser().absolute()}/" for folder in named if folder)


class Existing:
    """The rule, with what the script has done so far.

    Args:
        since: When the command began, in ns since 1970: what was changed later is the command's own.
        made: Paths that earlier processes of the command have written.
    """

    def __init__(self, since: int, made: Iterable[str] = (), environment: Mapping[str, str] = os.environ) -> None:
        self._since = since
        self._made = {_real(path) for path in made}
        # Changed since then, and yet with content from before.
        self._kept: set[str] = set()
        self._caches = cache_folders(environment)

    def lost(self, touch: Touch) -> str | None:
        """The first file with content that a call would make the user lose; None where there is none."""
        if touch.verb is None or touch.path == touch.moved_from:
            return None
        # A deletion or a new name takes a link itself; what writes follows it.
        follows = touch.verb == "overwrite" and touch.moved_from is None
        return next((path for path in files_at(touch) if self._counts(_real(path, follows=follows))), None)

    def note(self, touch: Touch) -> None:
        """Remember what a call, which goes on, is about to do."""
        if touch.kind != "file" or touch.verb == "delete":
            return
        path = _real(touch.path, follows=touch.moved_from is None)
        if touch.moved_from is not None:
            self._make(path, new=self._is_ours(_real(touch.moved_from)))
        elif touch.verb is not None or not os.path.lexists(path):
            self._make(path, new=True)
        elif not self._is_ours(path):
            self._make(path, new=False)

    def is_cache(self, path: str) -> bool:
        """Whether Python or a library makes the file again if it goes, or it is none."""
        return "/__pycache__/" in path or path.startswith((*self._caches, *_NO_FILES))

    def was_written(self, path: str) -> bool:
        """Whether the file was made or changed since the command began."""
        return _real(path) in self._made or self._is_new(path)

    def is_new(self, path: str, *, anew: bool) -> bool:
        """Whether nothing is left in the file of what was there before the command.

        Args:
            anew: Whether what writes it begins with an empty one, as far as that could be seen.
        """
        whole = _real(path)
        return whole in self._made or (anew and self._is_ours(whole))

    def _make(self, path: str, *, new: bool) -> None:
        self._made.discard(path)
        self._kept.discard(path)
        (self._made if new else self._kept).add(path)

    def _counts(self, path: str) -> bool:
        if self.is_cache(path):
            return False
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size > 0 and not self._is_ours(path)

    def _is_ours(self, path: str) -> bool:
        return path in self._made or (path not in self._kept and self._is_new(path))

    def _is_new(self, path: str) -> bool:
        try:
            return os.lstat(path).st_mtime_ns >= self._since
        except (OSError, ValueError):
            return False


def files_at(touch: Touch) -> Iterator[str]:
    """The files at a place."""
    if touch.kind == "prefix":
        return glob.iglob(f"{glob.escape(touch.path)}*")  # noqa: PTH207 - no folder ends the prefix
    if touch.kind == "tree" and Path(touch.path).is_dir():
        return (str(path) for path in Path(touch.path).rglob("*"))
    return iter((touch.path,))


def _real(path: str, *, follows: bool = False) -> str:
    """A path with the links of its folders followed, and its own if `follows`."""
    whole = Path(path)
    return str(whole.resolve() if follows else whole.parent.resolve() / whole.name)
