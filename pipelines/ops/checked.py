"""Validation functions of values and their JSON schemas, as parts of types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, eq=False)
class Checked:
    """Marks a type: its values are what a function makes of what was written.

    As pydantic's ``PlainValidator``, which also prepares to write the values out again and looks into the type three
    times for it. A spec is only read.

    Attributes:
        schema: JSON schema for editors; None allows anything.
    """

    check: Callable[[Any], Any]
    schema: dict[str, Any] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """The function alone."""
        return core_schema.no_info_plain_validator_function(
            self.check, json_schema_input_schema=core_schema.any_schema()
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: Any) -> dict[str, Any]:
        """The schema that belongs to the function."""
        return handler(core) if self.schema is None else self.schema.copy()
