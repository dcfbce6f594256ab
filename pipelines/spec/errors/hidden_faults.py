"""Faults that others hide: a misspelt stage hides what is wrong inside it, any fault hides what is checked afterwards.

The faults found are mended in a copy as their suggestions say, and the copy is validated again.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Sequence
from typing import Any, Final

from pipeprof.pipelines.spec.errors.root_causes import Fault
from pipeprof.pipelines.spec.yaml.reader import Address

_ROUNDS: Final = 4
_ALIKE: Final = 0.6
"""As `difflib.get_close_matches` has it."""
_STAGE: Final = {"prefetch": {"buffer_size": 1}}
"""Takes the place of a stage that cannot be mended: it is right in itself, and any element passes through it."""
_STAGE_DEPTH: Final = 2
_NEEDED: Final = frozenset({"version", "source", "data"})
"""Parts of a spec that others depend on."""


class Mended:
    """A copy of a spec's data in which faults are mended."""

    def __init__(self, data: Any) -> None:
        self.data = copy.deepcopy(data)
        self._written: dict[Address, str] = {}
        self._replaced: list[Address] = []

    def mend(self, faults: Sequence[Fault]) -> bool:
        """Mend what can be mended; whether anything was."""
        return sum(self._mend(fault) for fault in faults) > 0

    def written(self, address: Address) -> Address:
        """The address of a part of the copy in the data as they were written."""
        return tuple(self._written.get(address[: end + 1], part) for end, part in enumerate(address))

    def stands_in(self, address: Address) -> bool:
        """Whether a part of the copy is not what was written there, or is the mapping that lacks it."""
        return any(address[: len(pair)] == pair or address == pair[:-1] for pair in self._replaced)

    def _mend(self, fault: Fault) -> bool:
        if not fault.address or any(fault.address[: len(pair)] == pair for pair in self._replaced):
            return False
        parent, key = self._find(fault.address[:-1]), fault.address[-1]
        unknown = fault.at_key and fault.code.startswith("unknown-")
        if unknown and isinstance(parent, dict) and key in parent:
            name = fault.suggestion
            if name is not None and name.isidentifier() and name not in parent and _is_misspelt(str(key), name):
                items = [(name if one == key else one, value) for one, value in parent.items()]
                parent.clear()
                parent.update(items)
                self._written[(*fault.address[:-1], name)] = str(key)
                return True
        if not fault.missing and self._remove(fault.address, 1 if fault.address[0] in _NEEDED and not unknown else 0):
            return True
        return self._replace_stage(fault.address)

    def _remove(self, address: Address, least: int) -> bool:
        """Remove the value, or what is around it: an item of a list would move those after it."""
        least = max(least, _STAGE_DEPTH if address[0] == "stages" else 0)
        for end in range(len(address), least, -1):
            parent, key = self._find(address[: end - 1]), address[end - 1]
            # An empty mapping would be a fault of its own.
            if isinstance(parent, dict) and key in parent and len(parent) > 1:
                del parent[key]
                self._replaced.append(address[:end])
                return True
        return False

    def _replace_stage(self, address: Address) -> bool:
        stage = address[:_STAGE_DEPTH]
        stages = self.data.get("stages") if isinstance(self.data, dict) else None
        if len(stage) < _STAGE_DEPTH or stage[0] != "stages" or not isinstance(stages, list):
            return False
        stages[int(stage[1])] = copy.deepcopy(_STAGE)
        self._replaced.append(stage)
        return True

    def _find(self, address: Address) -> Any:
        found = self.data
        for part in address:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found


def find_hidden_faults(
    data: Any, faults: Sequence[Fault], validate: Callable[[Any], tuple[Any, list[Fault]]]
) -> tuple[Any, list[Fault], Mended]:
    """Find the faults that others hide.

    Args:
        data: Plain data of a spec; left as it is.
        validate: Gives the model of such data, ``None`` if they are invalid, and their faults.

    Returns:
        The model of the mended data, ``None`` if they could not be mended; the faults that were hidden, with addresses
        in ``data``; and the copy.
    """
    from dataclasses import replace

    from pipeprof.pipelines.spec.errors.root_causes import is_torn

    mended = Mended(data)
    known, hidden, model = {fault.address for fault in faults}, [], None
    for _ in range(_ROUNDS):
        if not mended.mend(faults):
            break
        model, faults = validate(mended.data)
        for fault in faults:
            address = mended.written(fault.address)
            gone = any(mended.stands_in((*fault.address, name)) for name in fault.missing)
            if address not in known and not is_torn(fault, data) and not gone and not mended.stands_in(fault.address):
                known.add(address)
                hidden.append(replace(fault, address=address))
        if model is not None:
            break
    return model, hidden, mended


def _is_misspelt(key: str, name: str) -> bool:
    """Whether a key is a name with mistakes, and no other idea that the name comes closest to."""
    return difflib.SequenceMatcher(None, key.lower(), name.lower()).ratio() >= _ALIKE
