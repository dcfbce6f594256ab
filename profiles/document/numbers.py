"""JSON whose numbers can all be computed with: Python's reader takes NaN, and integers of any length."""

from __future__ import annotations

import json
import math
from typing import Any

_USUAL_DIGITS = 300
"""Digits up to which an integer is surely smaller than the largest float."""


class NumberError(ValueError):
    """A number that JSON does not have, or that is larger than any float."""


def parse_json(raw: bytes) -> Any:
    """Parse JSON.

    Raises:
        NumberError: A number is not finite, or larger than any float.
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    return json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)


def _refuse_constant(name: str) -> float:
    msg = f"JSON has no number {name}"
    raise NumberError(msg)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        msg = f"the number {text[:40]} is too large"
        raise NumberError(msg)
    return value


def _whole(text: str) -> int:
    # One that is larger than any float is an error where it meets a float.
    if len(text) > _USUAL_DIGITS:
        _finite(text)
    return int(text)
