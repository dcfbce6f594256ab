"""Tables that people edit, as JSON files next to the module that reads them: sorted, one entry a line."""

from __future__ import annotations

import json
import pkgutil
from typing import Any


def read_table(package: str, name: str) -> Any:
    """Read a table.

    Args:
        package: The package that the file lies in.
        name: The file's name without ``.json``.
    """
    # importlib.resources would take longer to import than any table takes to read.
    data = pkgutil.get_data(package, f"{name}.json")
    assert data is not None  # noqa: S101 - for the type checker: a loader of files always has it
    return json.loads(data)
