"""What a training script is about to overwrite or delete, and what it has written.

Python's own calls are heard through `sys.addaudithook`, before they do anything; TensorFlow's and Keras' writers, which
are not Python's, through the methods that `hooks` wraps. What cannot be seen beforehand stands in docs/targets.md.

These files do not count as existing: empty ones, devices and pipes, links (whose target stays), those that the command
itself has made or changed since it began, and caches that Python and the libraries make again.
"""

from __future__ import annotations

import contextlib
import glob
import inspect
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from pipeprof.pipelines.target.user_files import is_generated
from pipeprof.profiles.document.shared import ErrorFrame, WrittenFile
from pipeprof.profiles.protocol.wrapped import WRITTEN_BY
from pipeprof.profiles.user_frames import users_frame_of
from pipeprof.profiles.wording import as_typed

_MOST_FILES = 10_000
"""That are looked at for the list of what was written."""

Verb = Literal["overwrite", "delete"]
Kind = Literal["file", "prefix", "tree"]


@dataclass(frozen=True)
class Touch:
    """A place that a call is about to write to or to delete.

    Attributes:
        path: Absolute.
        verb: None where nothing that is there gets lost: an append, a new name for a file.
        kind: ``prefix``: every file whose path begins like this; ``tree``: a folder with all that is in it.
        moved_from: The file that gets this place as its name.
    """

    path: str
    verb: Verb | None = "overwrite"
    kind: Kind = "file"
    moved_from: str | None = None


Touches = tuple[Touch, ...]


def touches_of_method(method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Touches:
    """The places of a call of a wrapped method, by its name in `WRAPPED`; empty where it overwrites nothing.

    Args:
        arguments: With the object of a method first.

    Example:
        >>> [touch.path for touch in touches_of_method("keras.Model.save", (None, "/m.keras"), {})]
        ['/m.keras']
    """
    if method not in READERS:
        return ()
    at, name, places = READERS[method]

    def given(at: int, name: str, default: Any = None) -> Any:
        return named.get(name, arguments[at] if len(arguments) > at else default)

    path = given(at, name)
    place = _place(getattr(path, "directory", path))
    flag = given(2, *_FLAGS[method]) if method in _FLAGS else True
    mode = str(flag)
    if place is None or not flag or (mode.startswith("r") and "+" not in mode):
        return ()
    touches = places(place)
    if mode in ("x", "w-") or (mode.startswith("a") and not method.startswith("h5py")):
        return tuple(replace(touch, verb=None) for touch in touches)
    if method.endswith("gfile.rename"):
        return _rename(given(0, "src"), path)
    return touches


def _touching(path: Any, folder: Any = None, verb: Verb | None = "overwrite", kind: Kind = "file") -> Touches:
    place = _place(path, folder)
    return (Touch(place, verb, kind),) if place is not None else ()


def _open(path: Any, mode: Any, flags: Any) -> Touches:
    # A descriptor is open already: nothing is emptied.
    if isinstance(path, int) or not isinstance(flags, int) or flags & os.O_ACCMODE == os.O_RDONLY:
        return ()
    # Without a mode it is `os.open`, which opens locks and databases, too: only emptying the file loses something.
    in_place = mode is not None and not flags & os.O_APPEND
    fails_if_there = flags & os.O_EXCL
    return _touching(path, verb="overwrite" if (flags & os.O_TRUNC or in_place) and not fails_if_there else None)


def _rename(old: Any, new: Any, old_folder: Any = None, new_folder: Any = None) -> Touches:
    source, place = _place(old, old_folder), _place(new, new_folder)
    return (Touch(place, moved_from=source),) if source is not None and place is not None else ()


def _truncate(path: Any, length: Any) -> Touches:
    touches = _touching(path)
    found = _status(touches[0].path, follows=True) if touches else None
    return touches if found is not None and length < found.st_size else ()


EVENTS: Mapping[str, Callable[..., Touches]] = {
    "open": _open,
    "os.remove": lambda path, folder=None: _touching(path, folder, "delete"),
    # `os.replace` is one of them too; these are what `shutil` does beyond it.
    "os.rename": _rename,
    "os.truncate": _truncate,
    "shutil.rmtree": lambda path, folder=None: _touching(path, folder, "delete", "tree"),
}
"""What audit events that change files are about to touch, from their arguments."""


def _file(place: str) -> Touches:
    return (Touch(place),)


def _tree(place: str) -> Touches:
    return (Touch(place, kind="tree"),)


def _saved_folder(place: str) -> Touches:
    if not Path(place).is_dir():
        return _tree(place)
    return tuple(Touch(f"{place}/{name}", kind="prefix") for name in ("saved_model.pb", "fingerprint.pb", "variables/"))


def _numbered(folder: str, prefix: str) -> Touches:
    # The file `checkpoint` names the latest one, so it changes even where the numbers go on.
    return (Touch(f"{folder}/checkpoint"), Touch(prefix, None, "prefix"))


def _checkpoint(place: str) -> Touches:
    return (Touch(f"{place}.index"), Touch(f"{place}.data-", kind="prefix"))


_TOUCHES: Mapping[str, Callable[[str], Touches]] = {
    "file": _file,
    "tree": _tree,
    "deleted file": lambda place: (Touch(place, "delete"),),
    "deleted tree": lambda place: (Touch(place, "delete", "tree"),),
    "saved model": _saved_folder,
    "checkpoint": _checkpoint,
    "numbered": lambda place: _numbered(str(Path(place).parent), f"{place}-"),
    "managed": lambda place: _numbered(place, f"{place}/"),
}
READERS = {name: (at, argument, _TOUCHES[what]) for name, (at, argument, what) in WRITTEN_BY.items()}
_FLAGS: Mapping[str, tuple[str, Any]] = {
    "keras.Model.save": ("overwrite", True),
    "keras.Model.save_weights": ("overwrite", True),
    "keras.saving.save_model": ("overwrite", True),
    "keras.saving.save_weights": ("overwrite", True),
    "tensorflow.io.gfile.copy": ("overwrite", False),
    "tensorflow.io.gfile.rename": ("overwrite", False),
    "tensorflow.io.gfile.GFile.__init__": ("mode", "r"),
    "h5py.File.__init__": ("mode", "r"),
}
"""The third argument where it says whether a file that is there is replaced: its name and default."""


def _place(path: Any, folder: Any = None) -> str | None:
    """The absolute path of what a call names, by a path or by an open descriptor; None for what is no file."""
    if isinstance(path, int):
        return _behind(path)
    try:
        # An eager tensor of TensorFlow's may name it, too.
        text = os.fsdecode(path.numpy() if hasattr(path, "numpy") else path)
    except TypeError:
        return None
    if "://" in text:
        return None
    base = _behind(folder) if isinstance(folder, int) and folder >= 0 else str(Path.cwd())
    if base is None:
        return None
    whole = Path(base, text)
    return str(whole.parent.resolve() / whole.name if ".." in whole.parts else whole)


def _behind(descriptor: int) -> str | None:
    try:
        found = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return None
    return found if found.startswith("/") else None


def _status(path: str, *, follows: bool = False) -> os.stat_result | None:
    with contextlib.suppress(OSError, ValueError):
        return os.stat(path, follow_symlinks=follows)  # noqa: PTH116 - a text
    return None


@dataclass(frozen=True)
class Loss:
    """A file that the script is about to make the user lose.

    Attributes:
        path: Absolute.
        call: What would do it: ``open``, ``os.remove``, ``keras.Model.save``.
        frame: The user's line; None where a thread of a library does it.
        folder: The one in which the script began, which may have left it.
    """

    path: str
    verb: Verb
    call: str
    frame: ErrorFrame | None = None
    folder: Path | None = None

    def __str__(self) -> str:
        frame = self.frame
        who = f"{as_typed(frame.file, self.folder)}:{frame.line}" if frame is not None else "the script"
        return f"{who} would {self.verb} {as_typed(self.path, self.folder)}: `--allow-writes`"


class WriteWatch:
    """The watch over one script; there is one in a process, because an audit hook stays to the process's end.

    Args:
        refuse: Called in the thread that is about to write, before it does; it returns only if that thread may go on.
            None to let everything be written.
    """

    def __init__(self, existing: Existing, refuse: Callable[[Loss], None] | None) -> None:
        self._existing = existing
        self._refuse = refuse
        self._places: dict[tuple[str, str], Touch] = {}
        self._process = 0
        self._folder: Path | None = None

    def begin(self) -> None:
        """Watch from now on."""
        self._process = os.getpid()
        with contextlib.suppress(OSError):  # it is gone
            self._folder = Path.cwd()
        sys.addaudithook(self._hear)

    def saving(self, method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        """A wrapped method is about to run; `method` is its name in `WRAPPED`."""
        if self._process == os.getpid():
            self._consider(method, touches_of_method(method, arguments, named))

    def written(self) -> list[WrittenFile]:
        """The files that were written so far and are still there, by path from where the watch began; no caches."""
        found: dict[str, WrittenFile] = {}
        for touch in self._places.values():
            for path in islice(files_at(touch), _MOST_FILES):
                if path not in found and self._is_result(path) and len(found) < _MOST_FILES:
                    new, status = self._existing.is_new(path, anew=touch.verb is not None), _status(path)
                    size = status.st_size if status is not None else 0
                    found[path] = WrittenFile(file=as_typed(path, self._folder), bytes=size, new=new)
        return [found[path] for path in sorted(found)]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        # Called for all that Python does: what does not concern it must cost next to nothing. At the interpreter's end
        # the names of this module are None.
        if not EVENTS or event not in EVENTS or self._process != os.getpid():
            return
        # What is raised here would be raised by the script's call.
        with contextlib.suppress(Exception):
            touches = EVENTS[event](*arguments)
            empties = event == "open" and arguments[2] & os.O_TRUNC
            if touches and (empties or not _maps_memory(inspect.currentframe())):
                self._consider(event, touches)

    def _consider(self, call: str, touches: Iterable[Touch]) -> None:
        for touch in touches:
            lost = self._existing.lost(touch) if self._refuse is not None else None
            if lost is not None and touch.verb is not None and self._refuse is not None:
                self._refuse(Loss(lost, touch.verb, call, users_frame_of(inspect.currentframe()), self._folder))
        for touch in touches:
            self._existing.note(touch)
            if touch.verb != "delete" and len(self._places) < _MOST_FILES:
                self._places[touch.path, touch.kind] = touch

    def _is_result(self, path: str) -> bool:
        found = _status(path)
        if found is None or not stat.S_ISREG(found.st_mode) or is_generated(path) or self._existing.is_cache(path):
            return False
        return self._existing.was_written(path)


def _maps_memory(hearing: FrameType | None) -> bool:
    """Whether `numpy.memmap` opens the file: for changes by default, and most scripts only read from it."""
    caller = hearing.f_back if hearing is not None else None
    memmap = getattr(sys.modules.get("numpy"), "memmap", None)
    return caller is not None and memmap is not None and caller.f_code is memmap.__new__.__code__


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
        # By path: whether nothing is left of what was there before.
        self._changed = dict.fromkeys(map(_real, made), True)
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
            self._changed[path] = self._is_ours(_real(touch.moved_from))
        elif touch.verb is not None or not os.path.lexists(path):
            self._changed[path] = True
        elif not self._is_ours(path):
            self._changed[path] = False

    def is_cache(self, path: str) -> bool:
        """Whether Python or a library makes the file again if it goes, or it is none."""
        return "/__pycache__/" in path or path.startswith((*self._caches, *_NO_FILES))

    def was_written(self, path: str) -> bool:
        """Whether the file was made or changed since the command began."""
        return self._changed.get(_real(path), False) or self._is_new(path)

    def is_new(self, path: str, *, anew: bool) -> bool:
        """Whether nothing is left in the file of what was there before the command.

        Args:
            anew: Whether what writes it begins with an empty one, as far as that could be seen.
        """
        whole = _real(path)
        return self._changed.get(whole, False) or (anew and self._is_ours(whole))

    def _counts(self, path: str) -> bool:
        found = _status(path) if not self.is_cache(path) else None
        return found is not None and stat.S_ISREG(found.st_mode) and found.st_size > 0 and not self._is_ours(path)

    def _is_ours(self, path: str) -> bool:
        return self._changed[path] if path in self._changed else self._is_new(path)

    def _is_new(self, path: str) -> bool:
        found = _status(path)
        return found is not None and found.st_mtime_ns >= self._since


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
