"""``--set path=value``: change a spec without editing it.

A path is keys, list indices and stage names, joined by dots. A stage (a source, a function in ``ops``, an entry of
``data``) is a mapping with one key, and that key may be left out: ``stages.2.batch_size`` and
``stages.2.batch.batch_size`` are the same. In a list of stages a stage's name stands for its index, and so does the
name of an operation that occurs once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pipeprof.pipelines.spec.faults import describe
from pipeprof.pipelines.spec.nodes import Problem, Span, TextIndex
from pipeprof.pipelines.spec.reader import Address, Document, Place, read
from pipeprof.pipelines.spec.scalars import ScalarError, resolve_scalar
from pipeprof.pipelines.spec.suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAG: Final = "--set "

_YAML_STARTS = ("[", "{", '"', "'", "!")
_MAX_SEGMENTS: Final = 64


class _OverrideError(Exception):
    """This flag cannot be applied; why, and which part of its text says so."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True)
class _Path:
    """The segments of a path, and where each begins in the flag as shown."""

    segments: tuple[str, ...]
    flag: int

    def span(self, first: int, count: int = 1) -> Span:
        before = sum(len(segment) + 1 for segment in self.segments[:first])
        length = len(".".join(self.segments[first : first + count]))
        return Span(1, len(FLAG) + before + 1, max(1, length), self.flag)

    def joined(self, first: int, count: int) -> str:
        return ".".join(self.segments[first : first + count])

    def refuse(self, first: int, code: str, message: str, suggestion: str | None = None) -> NoReturn:
        raise _OverrideError(Problem(self.span(first), code, message, suggestion))


def apply_overrides(document: Document, sets: Sequence[str]) -> list[Problem]:
    """Apply every ``path=value`` to a document's data, later ones over earlier ones.

    Args:
        document: changed in place: its data, and its places (those of changed values are then in the flag).
        sets: the flags' texts, without ``--set``.

    Returns:
        What is wrong with the flags; their spans carry the flag's number and count from the start of ``--set ``.
    """
    problems: list[Problem] = []
    for number, text in enumerate(sets):
        try:
            path, value = _split(text, number)
            _assign(document, path, value)
        except _OverrideError as error:
            problems.append(error.problem)
    return problems


def walk_address(data: Any, parts: Sequence[str | int]) -> Address:
    """Follow an address, whose one-key mappings may be skipped, as far as the data goes.

    Example:
        >>> walk_address({"stages": [{"batch": {"batch_size": 2}}]}, ["stages", 0, "batch_size"])
        ('stages', 0, 'batch', 'batch_size')
    """
    address: Address = ()
    current = data
    for part in parts:
        key = _child(current, part)
        while key is None:
            key = _only_key(address, current)
            if key is None:
                return address
            address, current = (*address, key), current[key]
            key = _child(current, part)
        address, current = (*address, key), current[key]
    return address


def _child(value: Any, part: str | int) -> str | int | None:
    if isinstance(value, dict):
        return next((key for key in value if str(key) == str(part)), None)
    if isinstance(value, list) and _is_index(str(part)) and int(part) < len(value):
        return int(part)
    return None


def _split(text: str, number: int) -> tuple[_Path, Document]:
    path_text, equals, value_text = text.partition("=")
    whole = Span(1, len(FLAG) + 1, max(1, len(text)), number)
    if not equals:
        raise _OverrideError(Problem(whole, "set-form", f"got '{text}' without '=', expected --set path=value"))
    segments = tuple(path_text.strip().split("."))
    path = _Path(segments, number)
    if not all(segments) or len(segments) > _MAX_SEGMENTS:
        message = "got an empty part in the path, expected names and indices joined by dots: stages.2.batch_size"
        if len(segments) > _MAX_SEGMENTS:
            message = f"got a path of {len(segments)} parts, expected at most {_MAX_SEGMENTS}"
        raise _OverrideError(Problem(whole._replace(length=max(1, len(path_text))), "set-form", message))
    return path, _read_value(value_text, number, len(FLAG) + len(path_text) + 1)


def _read_value(text: str, number: int, start: int) -> Document:
    """Read a value: a flow list or mapping or a quoted text as YAML does, anything else as one plain scalar."""
    plain = text.strip()
    if plain.startswith(_YAML_STARTS):
        document = read(text)
    else:
        span = Span(1, len(text) - len(text.lstrip()) + 1, max(1, len(plain)))
        document = _plain_document(plain, span)
    index = TextIndex(text)

    def move(span: Span | None) -> Span:
        if span is None:
            return Span(1, start + 1, max(1, len(text)), number)
        return Span(1, start + 1 + index.offset(span), span.length, number)

    if document.problems:
        problem = document.problems[0]
        raise _OverrideError(Problem(move(problem.span), problem.code, problem.message, problem.suggestion))
    document.places = {
        address: Place(move(place.value), move(place.key) if place.key else None)
        for address, place in document.places.items()
    }
    return document


def _plain_document(text: str, span: Span) -> Document:
    document = Document(places={(): Place(span)}, complete=True)
    try:
        text.encode()
        document.data = resolve_scalar(text)
    except ScalarError as error:
        document.problems.append(Problem(span, "number", str(error)))
    except UnicodeEncodeError:
        document.problems.append(Problem(span, "encoding", "got bytes that are not UTF-8, expected UTF-8 text"))
    if "\0" in text:
        document.problems.append(Problem(span, "control-character", "got a NUL character, expected text"))
    return document


def _assign(document: Document, path: _Path, value: Document) -> None:
    """Walk to the last part of the path, make what does not exist yet, and put the value there."""
    holder: dict[str | int, Any] | list[Any] = document.data
    address: Address = ()
    position = 0
    while True:
        key, used = _step(holder, address, path, position)
        child = (*address, key)
        position += used
        if position == len(path.segments):
            break
        _open(document, holder, child, path.span(position - 1))
        holder = _container(holder[key], path, position)  # type: ignore[index]  # a list's key is always an index
        address = child
    holder[key] = value.data  # type: ignore[index]  # a list's key is always an index
    for known in [known for known in document.places if known[: len(child)] == child]:
        del document.places[known]
    key_span = path.span(position - used, used) if used else None
    for inner, place in value.places.items():
        document.places[(*child, *inner)] = place if inner else Place(place.value, key_span)


def _step(holder: Any, address: Address, path: _Path, position: int) -> tuple[str | int, int]:
    """Return the key or index that comes next, and how many parts of the path it takes (0: it was left out)."""
    if isinstance(holder, list):
        return _list_step(holder, address, path, position)
    remaining = len(path.segments) - position
    by_text = {str(key): key for key in holder}
    for count in range(remaining, 0, -1):
        name = path.joined(position, count)
        if name in by_text:
            return by_text[name], count
    inner = _only_key(address, holder)
    if inner is not None:
        return inner, 0
    segment = path.segments[position]
    return int(segment) if _is_index(segment) else segment, 1


def _list_step(items: list[Any], address: Address, path: _Path, position: int) -> tuple[int, int]:
    what = str(address[-1]) if address else "the list"
    segment = path.segments[position]
    names = {number: _name_of(item) for number, item in enumerate(items)}
    for labels, kind in (
        (names, "name"),
        ({number: _only_name(item) for number, item in enumerate(items)}, "operation"),
    ):
        for count in range(len(path.segments) - position, 0, -1):
            label = path.joined(position, count)
            if kind == "operation" and _is_index(label):
                continue
            numbers = [number for number, known in labels.items() if known == label]
            if _is_index(label) and numbers and numbers != [int(label)] and int(label) < len(items):
                numbers = [int(label), *numbers]
            if len(numbers) > 1:
                places = ", ".join(f"{what}.{number}" for number in numbers)
                path.refuse(position, "ambiguous", f"got '{label}', which is {places}, expected an index")
            if numbers:
                return numbers[0], count
    if _is_index(segment):
        if int(segment) < len(items):
            return int(segment), 1
        allowed = f"0 to {len(items) - 1}" if items else "none, the list is empty"
        path.refuse(position, "out-of-range", f"got index {segment} of '{what}', expected {allowed}")
    known = [label for item in items for label in (_name_of(item), _only_name(item)) if label is not None]
    message = f"got '{segment}' in '{what}', expected an index{_listed(known)}"
    return path.refuse(position, "unknown-stage" if what == "stages" else "set-path", message, suggest(segment, known))


def _listed(known: list[str]) -> str:
    names = list(dict.fromkeys(known))
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f" or one of: {shown}" if names else ""


def _open(document: Document, holder: Any, child: Address, span: Span) -> None:
    """Make a mapping of what is nothing, or nothing yet; a bare name in ``ops`` becomes one with arguments."""
    key = child[-1]
    if isinstance(holder, dict) and key not in holder:
        document.places[child] = Place(span, span)
        holder[key] = {}
    value = holder[key]
    if value is None:
        holder[key] = {}
    elif isinstance(value, str) and len(child) > 1 and child[-2] == "ops":
        place = document.places[child]
        document.places[(*child, value)] = Place(place.value, place.value)
        holder[key] = {value: None}


def _container(value: Any, path: _Path, position: int) -> dict[str | int, Any] | list[Any]:
    if isinstance(value, dict | list):
        return value
    message = (
        f"got a path into '{path.joined(0, position)}', which is {describe(value)}, expected a path that ends there"
    )
    return path.refuse(position, "set-path", message)


def _only_key(address: Address, value: Any) -> str | int | None:
    """Return the key that a path may leave out: the operation's, where a mapping holds exactly one operation."""
    if not isinstance(value, dict) or not address:
        return None
    parent = address[-2] if len(address) > 1 else None
    holds_operation = address[-1] == "source" or parent in ("stages", "ops") or (parent == "data" and len(address) == 2)
    keys = [key for key in value if not str(key).startswith("x-")]
    return keys[0] if holds_operation and len(keys) == 1 else None


def _only_name(item: Any) -> str | None:
    if isinstance(item, str):
        return item
    keys = [key for key in item if not str(key).startswith("x-")] if isinstance(item, dict) else []
    return str(keys[0]) if len(keys) == 1 else None


def _name_of(item: Any) -> str | None:
    """The ``name`` that a stage has among its arguments."""
    operation = _only_name(item)
    arguments = item.get(operation) if isinstance(item, dict) else None
    name = arguments.get("name") if isinstance(arguments, dict) else None
    return str(name) if name is not None else None


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
