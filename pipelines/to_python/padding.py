"""Python expressions for padding values, with the dtypes of the padded components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.inference.tensor.shapes import Structure, Tensor, leaves
from pipeprof.pipelines.ops.values.padding import fits, is_natural, number
from pipeprof.pipelines.to_python.code import call, mapped, scalar, text, tupled
from pipeprof.pipelines.to_python.module import Module


class Padding:
    """Renderer of ``padding_values``."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def values(self, stage: Any) -> str | None:
        """Render the values of a stage; None if a dtype is unknown before the run."""
        written = stage.padding_values.value
        if not any(isinstance(value, int | float) and not isinstance(value, bool) for value in _leaves(written)):
            return self._like_written(written)
        element = self._module.elements_before(stage)
        if isinstance(written, Mapping | tuple):
            return self._pair_values(written, element)
        parts = [self._value(written, component) for component in leaves(element)]
        shown = {part for part in parts if part is not None}
        if None in parts or not shown:
            return None
        return shown.pop() if len(shown) == 1 else self._for_all(written, element)

    def _like_written(self, written: Any) -> str:
        if isinstance(written, Mapping):
            return mapped((str(key), self._like_written(inner)) for key, inner in written.items())
        return tupled(map(self._like_written, written)) if isinstance(written, tuple) else scalar(written)

    def _for_all(self, value: Any, element: Structure) -> str:
        if isinstance(element, Mapping):
            return mapped((str(key), self._for_all(value, inner)) for key, inner in element.items())
        if isinstance(element, tuple):
            return tupled(self._for_all(value, inner) for inner in element)
        return self._value(value, element) or scalar(value)

    def _pair_values(self, written: Any, element: Structure) -> str | None:
        if isinstance(written, Mapping):
            inner = element if isinstance(element, Mapping) else {}
            parts = {key: self._pair_values(value, inner.get(key)) for key, value in written.items()}
            found = {str(key): part for key, part in parts.items() if part is not None}
            return mapped(found.items()) if len(found) == len(parts) else None
        if isinstance(written, tuple):
            row = element if isinstance(element, tuple) and len(element) == len(written) else (None,) * len(written)
            items = [self._pair_values(value, inner) for value, inner in zip(written, row, strict=True)]
            known = [item for item in items if item is not None]
            return tupled(known) if len(known) == len(items) else None
        return self._value(written, element)

    def _value(self, value: Any, component: Any) -> str | None:
        if value is None or isinstance(value, bool | str):
            return scalar(value)
        if not isinstance(component, Tensor) or not fits(value, component.dtype):
            return None
        if is_natural(value, component.dtype):
            return scalar(value)
        shown = scalar(number(value, component.dtype))
        if component.dtype == "bfloat16":
            return f"tf.{component.dtype}.as_numpy_dtype({shown})"
        self._module.imports.add("import numpy as np")
        return f"np.{component.dtype}({shown})"


def of_dataset(written: Any) -> str:
    """Render the values with dtypes from ``dataset`` at run time."""
    if isinstance(written, Mapping | tuple):
        return _of(written, "dataset.element_spec")
    return call("tf.nest.map_structure", f"lambda spec: {_of(written, 'spec')}", "dataset.element_spec")


def _of(written: Any, spec: str) -> str:
    if isinstance(written, Mapping):
        return mapped((str(key), _of(inner, f"{spec}[{text(str(key))}]")) for key, inner in written.items())
    if isinstance(written, tuple):
        return tupled(_of(inner, f"{spec}[{index}]") for index, inner in enumerate(written))
    if written is None or isinstance(written, bool | str):
        return scalar(written)
    return f"{spec}.dtype.as_numpy_dtype({scalar(written)})"


def _leaves(written: Any) -> list[Any]:
    if isinstance(written, Mapping | tuple):
        parts = written.values() if isinstance(written, Mapping) else written
        return [leaf for part in parts for leaf in _leaves(part)]
    return [written]
