"""Reduction of faults to root causes: faults that follow from another one are dropped or merged with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeprof.pipelines.spec.yaml.reader import Address


@dataclass(frozen=True)
class Fault:
    """A value or key that the model refuses.

    Attributes:
        at_key: whether the key is wrong (or its mapping incomplete) and not the value.
        missing: the missing keys; not reported if each is present in a misspelling.
    """

    address: Address
    at_key: bool
    code: str
    message: str
    suggestion: str | None = None
    missing: tuple[str, ...] = ()


_NO_FUNCTION: Final = "no function: "


def join_faults(faults: Sequence[Fault], data: Any) -> list[Fault]:
    """Return the faults without those that another one explains.

    The missing keys of one mapping are reported together; if it has unknown keys, with the first of these, and not at
    all if each is present in a misspelling. The same holds for a function that is missing.
    """
    faults = [fault for fault in faults if not is_torn(fault, data)]
    unknown: dict[Address, list[Fault]] = defaultdict(list)
    incomplete: dict[Address, list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.code.startswith("unknown-") and fault.at_key:
            unknown[fault.address[:-1]].append(fault)
        elif fault.missing or fault.message.startswith(_NO_FUNCTION):
            incomplete[fault.address].append(fault)
    instead: dict[Fault, Fault] = {}
    for address, missing in incomplete.items():
        instead |= dict(_merge_missing(missing, unknown.get(address, []), data))
    return [said for said in (instead.get(fault, fault) for fault in faults) if said.message]


def _merge_missing(missing: list[Fault], unknown: list[Fault], data: Any) -> list[tuple[Fault, Fault]]:
    """Merge the missing keys of a mapping; return pairs of fault and replacement (empty message: drop it)."""
    names = [name for fault in missing for name in fault.missing]
    misspelt = {_suggested_key(fault.suggestion) for fault in unknown}
    lacking = [name for name in names if name not in misspelt]
    silent = [(fault, replace(fault, message="")) for fault in missing]
    if not unknown:
        if len(missing) < 2 or len(lacking) < 2 or not all(fault.code == "missing-key" for fault in missing):
            return []
        first = missing[0]
        owner = first.message.rpartition(" in ")[2] if first.address else "the spec"
        listed = " and ".join(f"`{name}`" for name in lacking)
        joined = replace(first, message=f"missing keys {listed} in {owner}", missing=tuple(lacking))
        return [(first, joined), *silent[1:]]
    first = unknown[0]
    wrapped = _nested_spec(first, lacking, data)
    if wrapped is not None:
        return [(first, wrapped), *silent]
    function = next((fault.message for fault in missing if fault.message.startswith(_NO_FUNCTION)), "")
    if function and (first.suggestion is None or f"`{first.suggestion}`" not in function):
        hint = function.removeprefix(_NO_FUNCTION).replace("expected", "it takes")
        return [(first, replace(first, message=f"{first.message}; {hint}")), *silent]
    if lacking:
        listed = " and ".join(f"`{name}`" for name in lacking)
        verb = "is" if len(lacking) == 1 else "are"
        return [(first, replace(first, message=f"{first.message}; {listed} {verb} missing")), *silent]
    return silent


def is_torn(fault: Fault, data: Any) -> bool:
    """Return whether an unknown key is the rest of a tuple: ``{shape: (3, 4)}`` is a shape "(3" and a key "4)"."""
    if not (fault.address and fault.code.startswith("unknown-") and str(fault.address[-1]).endswith(")")):
        return False
    for part in fault.address[:-1]:
        data = data[part]
    return any(isinstance(value, str) and value.startswith("(") for value in data.values())


def _suggested_key(suggestion: str | None) -> str | None:
    """Return the key that a suggestion names, which may show its value too."""
    return suggestion.partition(":")[0] if suggestion is not None else None


def _nested_spec(fault: Fault, lacking: list[str], data: Any) -> Fault | None:
    """Return the fault of a whole spec nested in a key; None for any other fault."""
    if len(fault.address) != 1 or not lacking or not isinstance(data, dict):
        return None
    inner = data.get(fault.address[0])
    if not isinstance(inner, dict) or len({"version", "source", "stages"} & inner.keys()) < 2:
        return None
    message = f"the spec is nested in `{fault.address[0]}`: move its keys to the top level of the file"
    return replace(fault, message=message, suggestion=None)
