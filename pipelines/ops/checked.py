"""Validation functions of values as part of their types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic_core import CoreSchema, core_schema


class Checked(NamedTuple):
    """Marks a type: its values are what a function makes of what was written.

    As pydantic's ``PlainValidator``, which also prepares to write the values out again and looks into the type three
    times for it. A spec is only read.
    """

    check: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """The function alone."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            self.check, json_schema_input_schema=core_schema.any_schema()
        )
