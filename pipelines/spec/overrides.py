"""``--set path=value``: change a spec without editing it.

A path is keys, list indices and stage names, joined by dots. A stage (a source, a function in ``ops``, an entry of
``data``) is a mapping with one key, and that key may be left out: ``stages.2.batch_size`` and
``stages.2.batch.batch_size`` are the same. In a list of stages a stage's name stands for its index, and so does the
name of an operation that occurs once. ``stages.+=VALUE`` appends, ``stages.+2=VALUE`` puts the value before item 2,
``stages+=[…]`` appends every item; ``null`` removes a key, a stage or a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from pipeprof.pipelines.spec.errors.validation import describe
from pipeprof.pipelines.spec.yaml.nodes import MAX_VALUES, TextIndex
from pipeprof.pipelines.spec.yaml.reader import Address, YamlDocument, read
from pipeprof.pipelines.spec.yaml.references import REFERENCE_START, References
from pipeprof.pipelines.spec.yaml.scalars import ScalarError, resolve_scalar
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem, TextPlace
from pipeprof.pipelines.spec.yaml.tree import (
    Entries,
    Item,
    child,
    find_key,
    flatten,
    grow,
    is_operation,
    operation_key,
    operation_name,
    stage_name,
)
from pipeprof.pipelines.suggest import suggest

FLAG: Final = "--set "

_MAX_SEGMENTS: Final = 64
_ADD: Final = "+"
_EACH: Final = "*"

# Their items are things that can be taken out; in other lists (a shape) nothing is a value.
_LISTS_OF_PARTS: Final = ("stages", "ops", "ignore", "datasets")


class FlagError(Exception):
    """A flag cannot be applied; why, and which part of its text says so."""

    def __init__(self, problem: SpecProblem) -> None:
        """Carry the problem."""
        super().__init__(problem.message)
        self.problem = problem


def read_value(text: str, number: int, start: int, references: References) -> YamlDocument:
    """Read a value: a flow list or mapping or a quoted text as YAML does, anything else as one plain scalar.

    Args:
        references: what to do with ``${VAR}``, and where what is known of them goes.
    """
    plain = text.strip()
    if plain.startswith(("[", "{", '"', "'", "!")):
        document = read(text, environment=references.environment)
    else:
        span = Span(1, len(text) - len(text.lstrip()) + 1, max(1, len(plain)))
        document = _plain_document(plain, span, references.environment)
    index = TextIndex(text)

    def move(span: Span) -> Span:
        return Span(1, start + 1 + index.offset(span), span.length, number)

    references.used.update(document.references.used)
    if document.problems:
        problem = document.problems[0]
        raise FlagError(SpecProblem(move(problem.span), problem.code, problem.message, problem.suggestion))
    references.filled.update({move(span): filled for span, filled in document.references.filled.items()})
    references.left.update({move(span): left for span, left in document.references.left.items()})
    document.places = {
        address: TextPlace(move(place.value), move(place.key) if place.key else None)
        for address, place in document.places.items()
    }
    return document


def _plain_document(text: str, span: Span, environment: Mapping[str, str] | None) -> YamlDocument:
    document = YamlDocument(places={(): TextPlace(span)}, complete=True, references=References(environment))
    try:
        text.encode()
        if REFERENCE_START in text:
            document.data, document.problems = document.references.fill(text, span, plain=True)
        else:
            document.data = resolve_scalar(text)
    except ScalarError as error:
        document.problems.append(SpecProblem(span, "number", str(error)))
    except UnicodeEncodeError:
        document.problems.append(SpecProblem(span, "encoding", "not valid UTF-8"))
    if "\0" in text:
        document.problems.append(SpecProblem(span, "control-character", "NUL character: expected text"))
    return document


@dataclass(frozen=True)
class _Path:
    """The segments of a path, and where each begins in the flag as shown.

    ``adding`` says how the value joins the list that the path leads to: ``+``, ``+2``, or ``*`` for each of its items.
    """

    segments: tuple[str, ...]
    flag: int
    adding: str = ""

    def span(self, first: int, count: int = 1) -> Span:
        before = sum(len(segment) + 1 for segment in self.segments[:first])
        length = len(".".join(self.segments[first : first + count]))
        return Span(1, len(FLAG) + before + 1, max(1, length), self.flag)

    def joined(self, first: int, count: int) -> str:
        return ".".join(self.segments[first : first + count])

    def refuse(self, first: int, code: str, message: str, suggestion: str | None = None) -> NoReturn:
        raise FlagError(SpecProblem(self.span(first), code, message, suggestion))


def apply_sets(root: Item, sets: Sequence[str], references: References) -> list[SpecProblem]:
    """Apply every ``path=value`` to a document's tree, later ones over earlier ones.

    Args:
        root: changed in place; the places of changed values are then in the flag.
        sets: the flags' texts, without ``--set``.

    Returns:
        What is wrong with the flags; their spans carry the flag's number and count from the start of ``--set ``.
    """
    problems: list[SpecProblem] = []
    count = 0
    for number, text in enumerate(sets):
        try:
            path, value = _split(text, number, references)
            count += len(value.places)
            if count > MAX_VALUES:
                path.refuse(0, "alias-bomb", f"more than {MAX_VALUES} values in all flags together")
            _assign(root, path, value)
        except FlagError as error:
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
            key = _left_out(address, current)
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


def _split(text: str, number: int, references: References) -> tuple[_Path, YamlDocument]:
    path_text, equals, value_text = text.partition("=")
    whole = Span(1, len(FLAG) + 1, max(1, len(text)), number)
    if not equals:
        raise FlagError(SpecProblem(whole, "set-form", f"missing '=' in '{text}': expected --set path=value"))
    segments = tuple(path_text.strip().split("."))
    path = _as_path(segments, number)
    if not all(segments) or len(segments) > _MAX_SEGMENTS:
        message = "empty part in the path: expected names and indices joined by dots, as stages.2.batch_size"
        if len(segments) > _MAX_SEGMENTS:
            message = f"path of {len(segments)} parts: expected at most {_MAX_SEGMENTS}"
        raise FlagError(SpecProblem(whole._replace(length=max(1, len(path_text))), "set-form", message))
    return path, read_value(value_text, number, len(FLAG) + len(path_text) + 1, references)


def _as_path(segments: tuple[str, ...], number: int) -> _Path:
    *before, last = segments
    if last.startswith(_ADD) and before:
        return _Path(tuple(before), number, last)
    if last.endswith(_ADD) and last != _ADD:
        return _Path((*before, last[:-1]), number, _EACH)
    return _Path(segments, number)


def _assign(root: Item, path: _Path, value: YamlDocument) -> None:
    """Walk to the last part of the path, make what does not exist yet, and put the value there."""
    holder, position = root, 0
    address: Address = ()
    while True:
        if not isinstance(holder.value, dict | list):
            message = f"'{path.joined(0, position)}' is {_described(holder)}: the path must end there"
            path.refuse(position, "set-path", message)
        key, used = _step(holder, address, path, position)
        position += used
        if position == len(path.segments):
            break
        span = path.span(position - 1)
        entries = holder.value
        if isinstance(entries, dict) and key not in entries:
            entries[key] = Item({}, TextPlace(span, span))
        item = child(holder, key)
        if item.value is None:
            item.value = {}
        elif isinstance(item.value, str) and address and address[-1] == "ops":
            item.value = {item.value: Item(None, TextPlace(item.place.value, item.place.value))}
        holder = item
        address = (*address, key)
    if path.adding:
        _add(_list_at(holder, (*address, key), path), (*address, key), path, value)
    else:
        _put(holder, address, key, value, path.span(position - used, used) if used else None)


def _put(holder: Item, address: Address, key: str | int, value: YamlDocument, key_span: Span | None) -> None:
    entries = holder.value
    item = grow(value)
    item.place = TextPlace(item.place.value, key_span)
    if isinstance(entries, list) and isinstance(key, int):
        if item.value is None and address and address[-1] in _LISTS_OF_PARTS:
            del entries[key]
        else:
            entries[key] = item
    elif isinstance(entries, dict):
        if item.value is None and key in entries and not is_operation(address):
            del entries[key]
        else:
            entries[key] = item


def _list_at(holder: Item, address: Address, path: _Path) -> Item:
    entries, key = holder.value, address[-1]
    span = path.span(len(path.segments) - 1)
    if isinstance(entries, dict) and key not in entries:
        entries[key] = Item([], TextPlace(span, span))
    found = child(holder, key)
    if found.value is None:
        found.value = []
    if not isinstance(found.value, list):
        inner = operation_key(found.value) if is_operation(address) else None
        message = f"this path leads to {_described(found)}: expected the path of a list to append to"
        known = [f"{path.joined(0, len(path.segments))}.{inner}"] if inner is not None else []
        path.refuse(len(path.segments) - 1, "set-path", message, known[0] if known else None)
    return found


def _add(holder: Item, address: Address, path: _Path, value: YamlDocument) -> None:
    items = holder.value
    if not isinstance(items, list):
        return
    at = len(items)
    reference = path.adding[1:] if path.adding != _EACH else ""
    if reference and not (_is_index(reference) and int(reference) == at):
        place = _Path((*path.segments, reference), path.flag)
        at, _ = _list_step(items, address, place, len(path.segments))
    item = grow(value)
    items[at:at] = item.value if path.adding == _EACH and isinstance(item.value, list) else [item]


def _step(holder: Item, address: Address, path: _Path, position: int) -> tuple[str | int, int]:
    if isinstance(holder.value, list):
        return _list_step(holder.value, address, path, position)
    entries: Entries = holder.value if isinstance(holder.value, dict) else {}
    for count in range(len(path.segments) - position, 0, -1):
        key = find_key(entries, path.joined(position, count))
        if key is not None:
            return key, count
    inner = _left_out(address, entries)
    if inner is not None:
        return inner, 0
    segment = path.segments[position]
    return int(segment) if _is_index(segment) else segment, 1


def _list_step(items: list[Item], address: Address, path: _Path, position: int) -> tuple[int, int]:
    what = str(address[-1]) if address else "the list"
    segment = path.segments[position]
    names = {number: stage_name(item) for number, item in enumerate(items)}
    for labels, kind in (
        (names, "name"),
        ({number: operation_name(item) for number, item in enumerate(items)}, "operation"),
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
                path.refuse(position, "ambiguous", f"'{label}' is ambiguous ({places}): use an index")
            if numbers:
                return numbers[0], count
    if _is_index(segment):
        if int(segment) < len(items):
            return int(segment), 1
        allowed = f"expected 0 to {len(items) - 1}" if items else "the list is empty"
        allowed += f"; {what}.+=… appends" if position == len(path.segments) - 1 else ""
        path.refuse(position, "out-of-range", f"index {segment} of '{what}' is out of range: {allowed}")
    known = [label for item in items for label in (stage_name(item), operation_name(item)) if label is not None]
    message = f"no '{segment}' in '{what}': expected an index{_listed(known)}"
    return path.refuse(position, "unknown-stage" if what == "stages" else "set-path", message, suggest(segment, known))


def _listed(known: list[str]) -> str:
    names = list(dict.fromkeys(known))
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f" or one of: {shown}" if names else ""


def _described(item: Item) -> str:
    return describe(flatten(item)[0])


def _left_out(address: Address, value: object) -> str | int | None:
    """Return the key that a path may leave out: the operation's, where a mapping holds exactly one operation."""
    return operation_key(value) if is_operation(address) else None


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
