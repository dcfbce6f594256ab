"""Stages that combine two pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.ops.base import Inner, Stage
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.nested import AnyPipeline
from pipeprof.pipelines.ops.protocol import Building


class Concatenate(Stage):
    """Appends the elements of another pipeline."""

    op: ClassVar[str] = "concatenate"
    own_fields: ClassVar[frozenset[str]] = frozenset({"dataset"})

    dataset: AnyPipeline = argument("The pipeline to append.")

    def pipelines(self) -> Iterator[Inner]:
        """The further pipeline."""
        yield Inner(("dataset",), ("dataset",), self.dataset, per_element=False)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """``dataset`` and then the other one."""
        other = building.inner(self.dataset, join(address, "dataset"))
        return dataset.concatenate(other, **building.arguments(self, address))
