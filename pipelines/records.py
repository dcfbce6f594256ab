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
    """An attribute that makes its class a dataclass when it is asked for, and then is what ``dataclasses`` puts there.

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
            if self.owner.__dict__["__init__"].__class__ is _Later:
                del self.owner.__init__, self.owner.__dataclass_fields__  # type: ignore[misc, attr-defined]
                dataclasses.dataclass(**self.options)(self.owner)
        value = self.owner.__dict__[self.name]
        return value.__get__(instance, kind) if hasattr(value, "__get__") else value


def _dataclass(cls: type | None = None, /, **options: Any) -> type | Callable[[type], type]:
    if cls is None:
        return lambda cls: _dataclass(cls, **options)  # type: ignore[return-value]
    # With slots it is another class that is returned; its own `__init__` stays as it is.
    if options.get("slots") or "__init__" in cls.__dict__:
        return dataclasses.dataclass(**options)(cls)
    for name in ("__init__", "__dataclass_fields__"):
        setattr(cls, name, _Later(name, cls, options))
    return cls


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
