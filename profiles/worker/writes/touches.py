"""Which files a call is about to write to or to delete: audit events of Python's own calls, and wrapped methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    read = READERS.get(method)
    try:
        return read(*arguments, **named) if read is not None else ()
    except TypeError:
        # The method itself will say what is wrong with its arguments.
        return ()


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


# Each reader has the parameter names of the library's own method, which may be called by them.
def _saved_model(model: Any, filepath: Any, overwrite: bool = True, *_more: Any, **_named: Any) -> Touches:
    del model
    # Without `overwrite`, Keras asks at the terminal.
    return _files(filepath) if overwrite else ()


def _exported(_model: Any, filepath: Any, *_more: Any, **_named: Any) -> Touches:
    return _saved_folder(None, filepath)


def _saved_folder(obj: Any, export_dir: Any, *_more: Any, **_named: Any) -> Touches:
    del obj
    place = _place(export_dir)
    if place is None:
        return ()
    if not Path(place).is_dir():
        return (Touch(place, kind="tree"),)
    names = ("saved_model.pb", "fingerprint.pb", "variables/")
    return tuple(Touch(f"{place}/{name}", kind="prefix") for name in names)


def _checkpoint(_checkpoint: Any, file_prefix: Any, *_more: Any, **_named: Any) -> Touches:
    place = _place(file_prefix)
    if place is None:
        return ()
    # The file `checkpoint` names the latest one, so it changes even where the numbers go on.
    return (Touch(str(Path(place).parent / "checkpoint")), Touch(f"{place}-", None, "prefix"))


def _written_checkpoint(_checkpoint: Any, file_prefix: Any, *_more: Any, **_named: Any) -> Touches:
    place = _place(file_prefix)
    return (Touch(f"{place}.index"), Touch(f"{place}.data-", kind="prefix")) if place is not None else ()


def _managed_checkpoint(manager: Any, *_more: Any, **_named: Any) -> Touches:
    place = _place(manager.directory)
    return (Touch(f"{place}/checkpoint"), Touch(f"{place}/", None, "prefix")) if place is not None else ()


def _opened(_file: Any, name: Any, mode: Any = "r", *_more: Any, **_named: Any) -> Touches:
    if str(mode).startswith("r") and "+" not in str(mode):
        return ()
    return _files(name, verb=None if str(mode).startswith("a") else "overwrite")


def _opened_by_h5py(_file: Any, name: Any, mode: Any = "r", *_more: Any, **_named: Any) -> Touches:
    if mode == "r":
        return ()
    return _files(name, verb=None if mode in ("x", "w-") else "overwrite")


def _written_rows(_writer: Any, path: Any, *_more: Any, **_named: Any) -> Touches:
    return _files(path)


def _written_file(filename: Any, *_more: Any, **_named: Any) -> Touches:
    return _files(filename)


def _torch_saved(obj: Any, f: Any, *_more: Any, **_named: Any) -> Touches:
    del obj
    return _files(f)


def _copied(src: Any, dst: Any, overwrite: bool = False) -> Touches:
    del src
    return _files(dst) if overwrite else ()


def _renamed(src: Any, dst: Any, overwrite: bool = False) -> Touches:
    return _rename(_text(src), _text(dst)) if overwrite else ()


def _saved_dataset(_dataset: Any, path: Any, *_more: Any, **_named: Any) -> Touches:
    place = _place(path)
    return (Touch(place, kind="tree"),) if place is not None else ()


READERS: Mapping[str, Callable[..., Touches]] = {
    "keras.Model.save": _saved_model,
    "keras.Model.save_weights": _saved_model,
    "keras.Model.export": _exported,
    "keras.saving.save_model": _saved_model,
    "keras.saving.save_weights": _saved_model,
    "tensorflow.train.Checkpoint.save": _checkpoint,
    "tensorflow.train.Checkpoint.write": _written_checkpoint,
    "tensorflow.train.CheckpointManager.save": _managed_checkpoint,
    "tensorflow.saved_model.save": _saved_folder,
    "tensorflow.data.Dataset.save": _saved_dataset,
    "tensorflow.io.write_file": _written_file,
    "tensorflow.io.TFRecordWriter.__init__": _written_rows,
    "tensorflow.io.gfile.GFile.__init__": _opened,
    "tensorflow.io.gfile.copy": _copied,
    "tensorflow.io.gfile.rename": _renamed,
    "tensorflow.io.gfile.remove": lambda path: _remove(_text(path)),
    "tensorflow.io.gfile.rmtree": lambda path: _remove_tree(_text(path)),
    "h5py.File.__init__": _opened_by_h5py,
    "torch.save": _torch_saved,
}
"""By wrapped method, what reads the places from its arguments."""


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
