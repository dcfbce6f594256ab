"""Padding values in the dtype of their component.

TensorFlow makes int32 and float32 of Python's numbers and takes a padding value of the component's own dtype alone, so
that `0` would be refused for int64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from pipeprof.pipelines.errors import PlainError

_LARGEST: Final = {"float16": 65504.0, "bfloat16": 3.4e38, "float32": 3.4028235e38, "complex64": 3.4028235e38}
# Bits of the whole numbers that a dtype holds exactly.
_EXACT: Final = {"float16": 11, "bfloat16": 8, "float32": 24, "complex64": 24, "float64": 53, "complex128": 53}
_NATURAL: Final[dict[type, str]] = {bool: "bool", int: "int32", float: "float32", str: "string"}


def is_natural(value: Any, dtype: str) -> bool:
    """Whether TensorFlow makes ``dtype`` of a value by itself."""
    return _NATURAL.get(type(value)) == dtype and (type(value) is not int or -(2**31) <= value < 2**31)


def fits(value: Any, dtype: str) -> bool:
    """Whether a dtype holds a value: whole numbers exactly, fractions as well as it can.

    Example:
        >>> fits(0, "int64"), fits(0.0, "int64"), fits(0.5, "int64"), fits(300, "uint8"), fits(0, "string")
        (True, True, False, False, False)
    """
    if isinstance(value, bool | str):
        return is_natural(value, dtype)
    if dtype.startswith(("int", "uint")):
        bits = int(dtype.lstrip("uint"))
        least, above = (0, 2**bits) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        return bool(isinstance(value, int) or value.is_integer()) and bool(least <= value < above)
    if dtype not in _EXACT:
        return False
    if isinstance(value, int):
        odd = abs(value) // (value & -value) if value else 0
        return odd.bit_length() <= _EXACT[dtype] and abs(value) <= _LARGEST.get(dtype, 1.7e308)
    return not math.isfinite(value) or abs(value) <= _LARGEST.get(dtype, math.inf)


def number(value: Any, dtype: str) -> Any:
    """The value as Python writes it for a dtype: whole numbers without a point."""
    return int(value) if dtype.startswith(("int", "uint")) else value


def padding_values(written: Any, element: Any) -> Any:
    """Convert the given ``padding_values`` to the dtypes of the components.

    Args:
        written: Dicts and tuples of numbers and texts (None for the default), or one of them for all components.

    Raises:
        PlainError: A component's dtype cannot hold its value.
    """
    if isinstance(written, Mapping | tuple) or written is None:
        return _paired(written, element, "")
    return _for_all(written, element, "")


def _for_all(value: Any, element: Any, path: str) -> Any:
    if isinstance(element, Mapping):
        return {key: _for_all(value, inner, f"{path}.{key}") for key, inner in element.items()}
    if isinstance(element, tuple):
        return _row(element, [_for_all(value, inner, f"{path}.{index}") for index, inner in enumerate(element)])
    return _made(value, element, path)


def _paired(written: Any, element: Any, path: str) -> Any:
    """Value by value; where the structures differ, TensorFlow finds the words."""
    if isinstance(written, Mapping) and isinstance(element, Mapping) and written.keys() == element.keys():
        return {key: _paired(written[key], inner, f"{path}.{key}") for key, inner in element.items()}
    if isinstance(written, tuple) and isinstance(element, tuple) and len(written) == len(element):
        pairs = enumerate(zip(written, element, strict=True))
        return _row(element, [_paired(value, inner, f"{path}.{index}") for index, (value, inner) in pairs])
    if isinstance(written, Mapping | tuple) or written is None:
        return written
    return _made(written, element, path)


def _row(element: tuple[Any, ...], values: list[Any]) -> Any:
    return type(element)(*values) if hasattr(element, "_fields") else tuple(values)


def _made(value: Any, spec: Any, path: str) -> Any:
    dtype = getattr(spec, "dtype", None)
    if dtype is None:
        return value
    if not fits(value, dtype.name):
        where = f"`{path[1:]}`, " if path else ""
        raise PlainError(f"padding_values {value!r} for {where}{dtype.name}: expected a value of that dtype")
    # A number of NumPy's stands in the graph as one that Python wrote would; a tensor would be captured by functions.
    return value if is_natural(value, dtype.name) else dtype.as_numpy_dtype(number(value, dtype.name))
