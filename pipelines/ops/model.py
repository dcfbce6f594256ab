"""The base of every part of a spec: closed, frozen, and with the known names at hand when one is unknown."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, PlainValidator, model_validator

from pipeprof.pipelines.ops.problems import failure, mismatch, unknown


class _Unknown:
    """An unknown key on its way through validation, together with the keys that are known there."""

    def __init__(self, key: Any, known: list[str], what: str) -> None:
        self.key = key
        self.known = known
        self.what = what


def _refuse(value: _Unknown) -> NoReturn:
    raise unknown(value.what, value.key, value.known)


class Closed(BaseModel):
    """A mapping whose keys are exactly the fields of the class.

    Unknown keys are refused by a validator of their own, not by ``extra="forbid"``: its errors name the keys that
    exist, and they come out in the same pass as all others.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True, arbitrary_types_allowed=True)
    __pydantic_extra__: dict[str, Annotated[Any, PlainValidator(_refuse)]]

    noun: ClassVar[str] = "key"
    ways: ClassVar[tuple[str, ...]] = ()
    """Fields of which exactly one is given."""
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
                marked[key] = _Unknown(key, known, cls.noun)
        return marked

    @classmethod
    def keys(cls) -> list[str]:
        """Names of all fields."""
        return list(cls.model_fields)


class Document(Closed):
    """A mapping of the document's own, in which keys that begin with ``x-`` are the user's notes."""

    allows_notes: ClassVar[bool] = True
