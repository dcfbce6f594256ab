"""Validation errors of the model, with pipeprof's wording and an address in the data.

Most messages come complete from the model (``PydanticCustomError`` with ``candidates`` and ``got``); pydantic's own
errors are reworded here, so that no class name, URL or wording of pydantic's ever reaches a user.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.suggest import suggest, suggest_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from pipeprof.pipelines.spec.yaml_text import Address

_SHOWN_LENGTH: Final = 60
_KEY_MARK: Final = "[key]"
_NO_FUNCTION: Final = "no function: "

# A suggestion takes a millisecond; a file full of mistakes must not take a minute.
_MAX_GUESSES: Final = 500

_EXPECTED: Final[dict[str, str]] = {
    "int": "a whole number", "float": "a number", "finite": "a finite number", "bool": "true or false",
    "string": "text", "list": "a list", "tuple": "a list", "set": "a list", "frozen": "a list", "dict": "a mapping",
    "mapping": "a mapping", "model": "a mapping", "dataclass": "a mapping", "none": "null",
}  # fmt: skip
"""Expected value by the first word of pydantic's error type (``int_parsing``, ``list_type``, …)."""

_LIMITS: Final[dict[str, tuple[str, str]]] = {
    "greater_than_equal": ("a number of at least", "ge"),
    "greater_than": ("a number above", "gt"),
    "less_than_equal": ("a number of at most", "le"),
    "less_than": ("a number below", "lt"),
    "multiple_of": ("a multiple of", "multiple_of"),
    "string_too_short": ("text of a length of at least", "min_length"),
    "string_too_long": ("text of a length of at most", "max_length"),
    "string_pattern_mismatch": ("text of the form", "pattern"),
}


@dataclass(frozen=True)
class Fault:
    """A value or key that the model refuses.

    Attributes:
        at_key: whether the key is wrong (or its mapping incomplete) and not the value.
    """

    address: Address
    at_key: bool
    code: str
    message: str
    suggestion: str | None = None


# A mapping that is named after one of its own keys.
_ARRAYS_OF_SEVERAL: Final = frozenset({"npz"})


@dataclass(frozen=True)
class _LocatedError:
    """A pydantic error with its place in the data, the value there, and its union branches."""

    details: ErrorDetails
    address: Address
    value: Any
    in_mapping: bool
    rest: tuple[int | str, ...]
    branches: tuple[tuple[Address, str], ...]


def describe(value: object) -> str:
    """Return a value as messages show it.

    Example:
        >>> describe("three"), describe(True), describe([1, 2])
        ("'three' (a string)", 'true (a boolean)', 'a list of 2')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a boolean)"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    shown = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
    return f"{shown} (a string)" if isinstance(value, str) else shown


def find_faults(error: ValidationError, data: Any) -> list[Fault]:
    """Convert a validation's errors to faults.

    Args:
        data: plain data with the addresses that the faults shall have.

    Returns:
        One fault per mistake, also where a union tried several branches. What a mapping with an unknown key lacks is
        probably that key.
    """
    chosen = _choose_branches([_place(details, data) for details in error.errors(include_url=False)])
    faults = list(dict.fromkeys(_fault(item, guess=number < _MAX_GUESSES) for number, item in enumerate(chosen)))
    misspelt = {fault.address[:-1] for fault in faults if fault.at_key and fault.code.startswith("unknown-")}
    return [fault for fault in faults if fault.address not in misspelt or not _is_incomplete(fault)]


def _is_incomplete(fault: Fault) -> bool:
    return fault.code.startswith("missing") or fault.message.startswith(_NO_FUNCTION)


def _place(details: ErrorDetails, data: Any) -> _LocatedError:
    """Follow the location through the data; parts that are not in the data name a union's branch, or a missing key."""
    address: Address = ()
    branches: list[tuple[Address, str]] = []
    rest: list[int | str] = []
    current = data
    in_mapping = False
    for part in details["loc"]:
        key = _child(current, part)
        if key is None:
            rest.append(part)
            continue
        branches.extend((address, str(skipped)) for skipped in rest)
        rest.clear()
        in_mapping = isinstance(current, dict)
        address, current = (*address, key), current[key]
    tags = rest[:-1] if details["type"] == "missing" else [part for part in rest if part != _KEY_MARK]
    branches.extend((address, str(skipped)) for skipped in tags)
    return _LocatedError(details, address, current, in_mapping, tuple(rest), tuple(branches))


def _child(value: Any, part: int | str) -> int | str | None:
    if isinstance(value, dict):
        if part in value:
            return part
        return next((key for key in value if isinstance(key, int) and str(key) == part), None)
    if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
        return part
    return None


def _choose_branches(found: Sequence[_LocatedError]) -> list[_LocatedError]:
    """Keep the best matching branch of each union; errors of other branches are about unintended forms."""
    by_union: dict[Address, dict[str, list[_LocatedError]]] = defaultdict(lambda: defaultdict(list))
    for item in found:
        for address, branch in item.branches:
            by_union[address][branch].append(item)
    dropped: set[int] = set()
    for address, branches in by_union.items():
        best = max(branches.values(), key=lambda items: _progress(items, address))
        kept = {id(item) for item in best}
        dropped |= {id(item) for items in branches.values() for item in items} - kept
    return [item for item in found if id(item) not in dropped]


def _progress(items: Sequence[_LocatedError], union: Address) -> tuple[bool, int, int, int]:
    """Rank a branch by how well it matches the value; the largest is the best."""
    form_fits = not any(item.address == union and item.details["type"] != "missing" for item in items)
    misfits = sum(item.details["type"] in {"missing", "extra_forbidden"} for item in items)
    return form_fits, -misfits, max(len(item.address) for item in items), -len(items)


def _fault(found: _LocatedError, *, guess: bool) -> Fault:
    details = found.details
    context: Mapping[str, Any] = details.get("ctx") or {}
    kind = details["type"]
    if isinstance(context.get("message"), str):
        return _model_fault(found, kind, context, guess=guess)
    if kind == "missing":
        return _missing_fault(found.address, str(found.rest[-1]) if found.rest else "a value", found.value)
    if kind == "extra_forbidden":
        name = str(found.address[-1]) if found.address else "a key"
        return Fault(found.address, True, "unknown-key", f"unknown key `{name}`")
    return _own_words(found, kind, context)


def _missing_fault(address: Address, name: str, given: Any) -> Fault:
    if not address:
        hint = ": add `version: 1`" if name == "version" else " in the spec"
        return Fault(address, True, "missing-key", f"missing key `{name}`{hint}")
    if isinstance(given, str):
        owner = f"`{given}`"
    elif isinstance(given, dict) and _ARRAYS_OF_SEVERAL & given.keys():
        owner = f"`{next(iter(_ARRAYS_OF_SEVERAL & given.keys()))}`"
    elif isinstance(address[-1], int):
        owner = f"an item of `{address[-2]}`" if len(address) > 1 else "an item"
    else:
        owner = f"`{address[-1]}`"
    return Fault(address, True, "missing-key", f"missing key `{name}` in {owner}")


def _model_fault(found: _LocatedError, kind: str, context: Mapping[str, Any], *, guess: bool) -> Fault:
    """Build a fault from an error of the model, with its message unchanged."""
    got, candidates = context.get("got"), [str(name) for name in context.get("candidates") or ()]
    names_key = found.in_mapping and str(found.address[-1]) == str(got) and found.details["input"] != got
    lacks = kind.startswith("missing")
    suggestion = suggest(got, candidates) if guess and isinstance(got, str | int) and not lacks else None
    if suggestion is None and not names_key:
        suggestion = suggest_value(got, kind)
    code = kind.replace("_", "-")
    return Fault(found.address, names_key or lacks, code, context["message"], suggestion)


def _own_words(found: _LocatedError, kind: str, context: Mapping[str, Any]) -> Fault:
    value, at_key = found.details["input"], _KEY_MARK in found.rest
    got = describe(value)
    if kind in {"too_short", "too_long"}:
        least = kind == "too_short"
        limit = context.get("min_length" if least else "max_length")
        message = f"got {got}, expected a list of at {'least' if least else 'most'} {limit} item{'s' * (limit != 1)}"
        return Fault(found.address, at_key, "out-of-range", message)
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return Fault(found.address, at_key, "out-of-range", f"got {got}, expected {words} {context.get(limit)}")
    if kind in {"literal_error", "enum"}:
        expected = str(context.get("expected", "another value"))
        candidates = [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]
        message = f"got {got}, expected {expected.replace(chr(39), '')}"
        return Fault(found.address, at_key, "wrong-value", message, suggest(value, candidates))
    if kind in {"value_error", "assertion_error"}:
        return Fault(found.address, at_key, "wrong-value", str(context.get("error") or f"wrong value: {got}"))
    expected = _EXPECTED.get(kind.split("_", maxsplit=1)[0], "a value of another kind")
    if expected == "a list":
        return Fault(found.address, at_key, "wrong-type", *_no_list(value, got))
    suggestion = suggest_value(
        value, expected.removeprefix("a ") if expected in {"a number", "a whole number"} else kind
    )
    return Fault(found.address, at_key, "wrong-type", f"got {got}, expected {expected}", suggestion)


def _no_list(value: Any, got: str) -> tuple[str, str | None]:
    """Return the message for a missing list, and a suggestion (None for none)."""
    if isinstance(value, dict) and value:
        if all(isinstance(key, str) and key.startswith("-") for key in value):
            return f"got '{next(iter(value))}', expected a list: a space after each '-'", None
        return f"got {got}, expected a list: '- ' before each item", None
    plain = isinstance(value, str) and 0 < len(value) <= _SHOWN_LENGTH and value.isprintable()
    return f"got {got}, expected a list", f"[{value}]" if plain else None
