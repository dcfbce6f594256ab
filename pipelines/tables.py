"""Tables that people edit, as JSON files next to the module that reads them: sorted, one entry a line."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from typing import Any


def read_table(package: str, name: str) -> Any:
    """Read a table."""
    # importlib.resources would take longer to import than any table takes to read.
    data = pkgutil.get_data(package, f"{name}.json")
    assert data is not None  # noqa: S101 - for the type checker: a loader of files always has it
    return json.loads(data)


def as_tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a table with tuples in place of its lists, as frozen records have them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
