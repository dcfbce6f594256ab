"""Dataclasses whose methods are made when the first object is: a short command defines many and makes few.

``dataclasses`` writes and compiles five methods for each class, which for 165 classes took a fifth of a `check`. In
everything else a class is the same: ``fields``, ``replace``, ``asdict``, ``is_dataclass`` and ``match`` take it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_LOCK = RLock()


class _Later:
    """An attribute that makes its class a dataclass when it is first read, and then is what ``dataclasses`` puts there.

    Args:
        name: Of the attribute.
        owner: The class that has it.
        options: Of ``dataclasses.dataclass``.
    """

    def __init__(self, name: str, owner: type, options: dict[str, Any]) -> None:
        self.name, self.owner, self.options = name, owner, options

    def __get__(self, instance: object, kind: type) -> Any:
        with _LOCK:
            # Another thread may have made it while this one waited.
            if type(self.owner.__dict__["__init__"]) is _Later:
                _make(self.owner, self.options)
        value = self.owner.__dict__[self.name]
        return value.__get__(instance, kind) if hasattr(value, "__get__") else value


def _make(owner: Any, options: dict[str, Any]) -> None:
    """Make a class a dataclass; its `__init__` comes last, so that no thread sees the class half made."""
    # For a class without a text, `dataclasses` makes one of the arguments of `__init__`, which is not there yet.
    owner.__doc__ = owner.__doc__ or owner.__name__
    dataclasses.dataclass(**options, init=False)(owner)
    names = ("__qualname__", "__dataclass_fields__", "__dataclass_params__", "__post_init__")
    like = type(owner.__name__, (), {name: getattr(owner, name) for name in names if hasattr(owner, name)})
    initial: Any = type(owner.__name__, (like,), {"__qualname__": owner.__qualname__, "__doc__": ""})
    frozen = options.get("frozen", False)
    owner.__init__ = dataclasses.dataclass(repr=False, eq=False, match_args=False, frozen=frozen)(initial).__init__


def _dataclass(cls: type | None = None, /, **options: Any) -> type | Callable[[type], type]:
    if cls is None:
        return lambda cls: _dataclass(cls, **options)  # type: ignore[return-value]
    # With slots it is another class that is returned; an `__init__` of its own stays.
    if options.get("slots") or "init" in options or "__init__" in cls.__dict__:
        return dataclasses.dataclass(**options)(cls)
    for name in ("__init__", "__dataclass_fields__"):
        setattr(cls, name, _Later(name, cls, options))
    return cls


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
