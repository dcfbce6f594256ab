"""Base model of all parts of a spec: frozen, unknown keys refused with the known names listed."""

# No `from __future__ import annotations`: pydantic evaluates the annotations of a base anew for every subclass.
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import PydanticUndefined

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.problems import Problems, error, failure, mismatch, unknown

if TYPE_CHECKING:
    from typing_extensions import Self

SCHEMA_PLACEHOLDER = "x-pipeprof-definition"
"""Key of a JSON schema that stands for a definition of that name, filled in by `pipelines.spec.schema.schema`."""
TENSORFLOWS_FUNCTIONS = ("map_func", "predicate", "generator")
"""TensorFlow's own names of function arguments, which may be written instead of pipeprof's."""
_INSIDE: ContextVar[bool] = ContextVar("inside", default=False)


def has_outer_element() -> bool:
    """Whether what is being checked stands in a function that is called with an element."""
    return _INSIDE.get()


@contextmanager
def _with_outer_element() -> Iterator[None]:
    before = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(before)


def argument(description: str, *, default: Any = PydanticUndefined, **more: Any) -> Any:
    """A field of a class below; required without a default."""
    return Field(default, description=description, **more)


class _Unknown:
    """An unknown key on its way through validation, together with the keys that are known there."""

    def __init__(self, key: Any, known: list[str], below: list[str], what: str) -> None:
        self.key = key
        self.known = known
        self.below = below
        self.what = what


def _refuse(value: _Unknown) -> NoReturn:
    raise unknown(value.what, value.key, [*value.known, *value.below], ", ".join(value.known) if value.below else "")


class Closed(BaseModel):
    """A mapping whose keys are exactly the fields of the class.

    Unknown keys are refused by a validator of their own, not by ``extra="forbid"``: its errors name the keys that
    exist, and they come out in the same pass as all others.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True, arbitrary_types_allowed=True)
    __pydantic_extra__: dict[str, Annotated[Any, Checked(_refuse)]]

    noun: ClassVar[str] = "key"
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ()
    """Mutually exclusive fields, exactly one required; those of a tuple belong together, and any of them is enough."""
    opens_element: ClassVar[bool] = False
    """Whether the pipelines in it are made for an element, which they may begin with."""
    allows_notes: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _mark_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise mismatch(value, "mapping_expected", f"a mapping with {', '.join(cls.keys())}")
        marked = {}
        known = cls.keys()
        for key, inner in value.items():
            if key in known:
                marked[key] = inner
            elif not isinstance(key, str):
                raise failure((str(key),), unknown(cls.noun, key, known))
            elif not (cls.allows_notes and key.startswith("x-")):
                marked[key] = _Unknown(key, known, cls._below(key), cls.noun)
        return marked

    @model_validator(mode="wrap")
    @classmethod
    def _exactly_one_way(cls, value: Any, handler: ModelWrapValidatorHandler["Self"]) -> "Self":
        """Also said when other fields are wrong, which a validator that runs afterwards could not do."""
        with _with_outer_element() if cls.opens_element else nullcontext():
            if not cls.ways or not isinstance(value, dict):
                return handler(value)
            problems = Problems()
            ways = [(way,) if isinstance(way, str) else way for way in cls.ways]
            used = [name for way in ways for name in [n for n in way if value.get(n) is not None][:1]]
            if len(used) != 1:
                known = [f"`{way[0]}`" for way in ways if way[0] not in TENSORFLOWS_FUNCTIONS]
                got = "no function" if not used else ("both " if len(used) == 2 else "") + " and ".join(used)
                problems.add((), error(f"{got}: expected exactly one of {' and '.join(known)}", "function"))
            try:
                model = handler(value)
            except ValidationError as found:
                problems.extend(found)
            problems.raise_if_any()
            return model

    @classmethod
    def summary(cls) -> str:
        """The first paragraph of the class's docstring."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())

    @classmethod
    def _below(cls, key: str) -> list[str]:
        """The places of a key in the mappings below this one, as ``measure.steps``."""
        inner = {name: field.annotation for name, field in cls.model_fields.items()}
        return [
            f"{name}.{key}"
            for name, model in inner.items()
            if isinstance(model, type) and issubclass(model, Closed) and key in model.model_fields
        ]

    @classmethod
    def keys(cls) -> list[str]:
        """Names of all fields."""
        return list(cls.model_fields)


class Document(Closed):
    """A mapping of the document's own, in which keys that begin with ``x-`` are the user's notes."""

    allows_notes: ClassVar[bool] = True
