"""Merging of specs: mappings merge, ``stages`` merge by name, everything else is replaced."""

from __future__ import annotations

from typing import Final

from pipeprof.pipelines.spec.yaml.reader import Address
from pipeprof.pipelines.spec.yaml.spans import SpecProblem
from pipeprof.pipelines.spec.yaml.tree import (
    Entries,
    Item,
    child,
    find_key,
    is_operation,
    operation_key,
    operation_name,
    stage_name,
)
from pipeprof.pipelines.steps.registry import written_kinds
from pipeprof.pipelines.suggest import suggest

_STAGES: Final = "stages"

# Where only one of several forms can be meant, the upper one replaces the lower one.
_WHOLE_FORMS: Final = tuple(
    frozenset(names)
    for names in (
        ("npy", "npz", "array", "files", "lines", "ragged", "sparse", "csv"),
        ("FixedLenFeature", "VarLenFeature", "FixedLenSequenceFeature", "RaggedFeature", "SparseFeature"),
    )
)
_FORM_ARGUMENTS: Final = frozenset({"mmap_mode", "key", "dtype"})
_FUNCTION_FORMS: Final = (frozenset({"ops"}), frozenset({"python"}), frozenset({"source", "stages"}))


def merge(lower: Item, upper: Item) -> list[SpecProblem]:
    """Lay a spec over another.

    A key of ``upper`` with nothing as its value removes that key. A stage of ``upper`` merges into the stage of the
    same name, else it goes to the end. ``stages`` may also be a mapping from a stage's name (or its operation, where
    that occurs once) to the arguments to change, or to nothing, which removes the stage.

    Args:
        upper: parts of it become parts of ``lower``.

    Returns:
        What is wrong with ``upper``.
    """
    problems: list[SpecProblem] = []
    _merge(lower, upper, (), problems)
    return problems


def _merge(lower: Item, upper: Item, address: Address, problems: list[SpecProblem]) -> None:
    below, above = lower.value, upper.value
    if address and address[-1] == _STAGES and isinstance(below, list) and all(map(_is_stage, below)):
        if isinstance(above, list) and all(map(_is_stage, above)):
            _merge_stages(below, above, address, problems)
            return
        if isinstance(above, dict):
            _change_stages(below, above, address, problems)
            return
    if isinstance(below, dict) and isinstance(above, dict) and not _is_another(below, above, address):
        _drop_other_forms(below, above, address)
        _merge_entries(below, above, address, problems)
        return
    lower.value, lower.place = above, upper.place


def _merge_entries(below: Entries, above: Entries, address: Address, problems: list[SpecProblem]) -> None:
    for name, item in above.items():
        key = find_key(below, name)
        if key is None:
            below[name] = item
        elif item.value is not None:
            _merge(below[key], item, (*address, key), problems)
        elif not is_operation(address):
            del below[key]


def _is_another(below: Entries, above: Entries, address: Address) -> bool:
    """Whether two mappings stand for different things, so that their keys do not belong together."""
    if is_operation(address):
        names = operation_key(below), operation_key(above)
        return None not in names and str(names[0]) != str(names[1])
    for forms in _WHOLE_FORMS:
        kinds = [{str(key) for key in value} for value in (below, above)]
        if all(kind & forms and kind <= forms | _FORM_ARGUMENTS for kind in kinds):
            return kinds[0] & forms != kinds[1] & forms
    return False


def _drop_other_forms(below: Entries, above: Entries, address: Address) -> None:
    if address == ("step",):
        forms: tuple[frozenset[str], ...] = tuple(frozenset({kind.name}) for kind in written_kinds())
    elif len(address) > 2 and address[-3] == _STAGES:
        forms = _FUNCTION_FORMS
    else:
        return
    given = {key for key, item in above.items() if item.value is not None}
    chosen = [form for form in forms if form & given]
    if len(chosen) == 1:
        for name in frozenset().union(*forms) - chosen[0]:
            below.pop(name, None)


def _is_stage(item: Item) -> bool:
    return operation_key(item.value) is not None


def _merge_stages(below: list[Item], above: list[Item], address: Address, problems: list[SpecProblem]) -> None:
    by_name = {name: index for index, item in reversed([*enumerate(below)]) if (name := stage_name(item)) is not None}
    seen: set[str] = set()
    for item in above:
        name = stage_name(item)
        if name is not None and name in seen:
            message = f"duplicate stage name '{name}': change each stage only once"
            problems.append(SpecProblem(item.place.value, "duplicate-name", message))
        elif name is not None and name in by_name:
            _merge(below[by_name[name]], item, (*address, by_name[name]), problems)
        else:
            below.append(item)
        seen.update([name] if name is not None else [])


def _change_stages(below: list[Item], above: Entries, address: Address, problems: list[SpecProblem]) -> None:
    removed: list[Item] = []
    stages = list(below)
    for reference, change in above.items():
        if str(reference).startswith("x-"):
            continue
        index = _find_stage(stages, str(reference))
        if index is None:
            problems.append(_unknown_stage(stages, str(reference), change))
        elif change.value is None:
            removed.append(stages[index])
        else:
            operation = operation_key(stages[index].value)
            if operation is None:
                continue
            inner = child(change, operation) if operation_key(change.value) == operation else change
            arguments = child(stages[index], operation)
            if arguments.value is None:
                arguments.value = {}
            _merge(arguments, inner, (*address, index, operation), problems)
    below[:] = [item for item in below if not any(item is other for other in removed)]


def _find_stage(stages: list[Item], reference: str) -> int | None:
    for label in (stage_name, operation_name):
        found = [index for index, item in enumerate(stages) if label(item) == reference]
        if len(found) == 1:
            return found[0]
    return None


def _unknown_stage(stages: list[Item], reference: str, change: Item) -> SpecProblem:
    known = [name for item in stages for name in (stage_name(item), operation_name(item)) if name is not None]
    span = change.place.key or change.place.value
    if reference in known:
        message = f"'{reference}' matches several stages: use the name of one"
        return SpecProblem(span, "ambiguous", message)
    listed = ", ".join(list(dict.fromkeys(known))[:8])
    message = f"no stage '{reference}': expected the name of a stage, or an operation that occurs once: {listed}"
    return SpecProblem(span, "unknown-stage", message, suggest(reference, known))
