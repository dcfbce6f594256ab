"""Which files a call is about to write to or to delete: audit events of Python's own calls, and wrapped methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

Verb = Literal["overwrite", "delete"]


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
    kind: Literal["file", "prefix", "tree"] = "file"
    moved_from: str | None = None


Touches = tuple[Touch, ...]


def touches_of_event(event: str, arguments: Sequence[Any]) -> Touches:
    """The places of an audit event; empty for one that changes no file.

    Example:
        >>> [touch.verb for touch in touches_of_event("open", ("model.bin", "w", os.O_WRONLY | os.O_TRUNC))]
        ['overwrite']
        >>> touches_of_event("open", ("data.bin", "r", os.O_RDONLY))
        ()
    """
    read = EVENTS.get(event)
    return read(*arguments) if read is not None else ()


def touches_of_method(method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Touches:
    """The places of a call of a wrapped method, by its name in `hooks.WRAPPED`; empty where it overwrites nothing.

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


def _open(path: Any, mode: Any, flags: Any) -> Touches:
    # A descriptor is open already: nothing is emptied.
    if isinstance(path, int) or not isinstance(flags, int) or flags & os.O_ACCMODE == os.O_RDONLY:
        return ()
    # Without a mode it is `os.open`, which opens locks and databases, too: only emptying the file loses something.
    in_place = mode is not None and not flags & os.O_APPEND
    fails_if_there = flags & os.O_EXCL
    return _files(path, verb="overwrite" if (flags & os.O_TRUNC or in_place) and not fails_if_there else None)


def _remove(path: Any, folder: Any = None) -> Touches:
    place = _place(path, folder)
    return (Touch(place, "delete"),) if place is not None else ()


def _rename(old: Any, new: Any, old_folder: Any = None, new_folder: Any = None) -> Touches:
    source, place = _place(old, old_folder), _place(new, new_folder)
    return (Touch(place, moved_from=source),) if source is not None and place is not None else ()


def _truncate(path: Any, length: Any) -> Touches:
    place = _place(path)
    return (Touch(place),) if place is not None and length < _size(place) else ()


def _remove_tree(path: Any, folder: Any = None) -> Touches:
    place = _place(path, folder)
    return (Touch(place, "delete", "tree"),) if place is not None else ()


EVENTS: Mapping[str, Callable[..., Touches]] = {
    "open": _open,
    "os.remove": _remove,
    # `os.replace` is one of them too; these are what `shutil` does beyond it.
    "os.rename": _rename,
    "os.truncate": _truncate,
    "shutil.rmtree": _remove_tree,
}
"""Audit events that change files."""


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


READERS: Mapping[str, tuple[int, str, Callable[[str], Touches]]] = {
    "keras.Model.save": (1, "filepath", _file),
    "keras.Model.save_weights": (1, "filepath", _file),
    "keras.Model.export": (1, "filepath", _saved_folder),
    "keras.saving.save_model": (1, "filepath", _file),
    "keras.saving.save_weights": (1, "filepath", _file),
    "tensorflow.train.Checkpoint.save": (
        1,
        "file_prefix",
        lambda place: _numbered(str(Path(place).parent), f"{place}-"),
    ),
    "tensorflow.train.Checkpoint.write": (
        1,
        "file_prefix",
        lambda place: (Touch(f"{place}.index"), Touch(f"{place}.data-", kind="prefix")),
    ),
    "tensorflow.train.CheckpointManager.save": (0, "self", lambda place: _numbered(place, f"{place}/")),
    "tensorflow.saved_model.save": (1, "export_dir", _saved_folder),
    "tensorflow.data.Dataset.save": (1, "path", _tree),
    "tensorflow.io.write_file": (0, "filename", _file),
    "tensorflow.io.TFRecordWriter.__init__": (1, "path", _file),
    "tensorflow.io.gfile.GFile.__init__": (1, "name", _file),
    "tensorflow.io.gfile.copy": (1, "dst", _file),
    "tensorflow.io.gfile.rename": (1, "dst", _file),
    "tensorflow.io.gfile.remove": (0, "path", lambda place: (Touch(place, "delete"),)),
    "tensorflow.io.gfile.rmtree": (0, "path", lambda place: (Touch(place, "delete", "tree"),)),
    "h5py.File.__init__": (1, "name", _file),
    "torch.save": (1, "f", _file),
}
"""By wrapped method: which argument names the place, by position and name, and what is written there."""
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


def _files(path: Any, *, verb: Verb | None = "overwrite") -> Touches:
    place = _place(path)
    return (Touch(place, verb),) if place is not None else ()


def _text(path: Any) -> Any:
    """A path that may be an eager tensor of TensorFlow's; what has no value yet stays as it is."""
    return path.numpy() if hasattr(path, "numpy") else path


def _place(path: Any, folder: Any = None) -> str | None:
    """The absolute path of what a call names, by a path or by an open descriptor; None for what is no file."""
    if isinstance(path, int):
        return _behind(path)
    try:
        text = os.fsdecode(_text(path))
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


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
