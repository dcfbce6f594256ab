"""Sources that combine whole pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.addresses import join, node_name
from pipeprof.pipelines.ops.base import Inner, Source
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, argument
from pipeprof.pipelines.ops.nested import (
    AnyPipeline,
    Pipeline,
    PipelineList,
    Pipelines,
    PipelineStructure,
    parse_pipeline,
)
from pipeprof.pipelines.ops.problems import error, failure, mismatch
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.values import Flag, Seed, check_shares


def _weights(value: Any) -> tuple[float, ...] | Pipeline:
    if isinstance(value, dict | Pipeline):
        return parse_pipeline(value)
    return check_shares(value)


Weights = Annotated[
    tuple[float, ...] | Pipeline,
    Checked(
        _weights,
        {
            "anyOf": [
                {"type": "array", "minItems": 1, "items": {"type": "number", "minimum": 0}},
                {SCHEMA_PLACEHOLDER: "pipeline"},
            ]
        },
    ),
]


def _built(pipelines: Pipelines, building: Building, address: str) -> Any:
    return pipelines.build(lambda index, inner: building.inner(inner, join(address, "datasets", index)))


class Zip(Source):
    """Elements of several pipelines, zipped into a tuple or mapping."""

    op: ClassVar[str] = "zip"
    own_fields: ClassVar[frozenset[str]] = frozenset({"datasets"})

    datasets: PipelineStructure = argument("Pipelines in lists and mappings, with the structure of the elements.")

    def pipelines(self) -> Iterator[Inner]:
        """The pipelines in order."""
        yield from self.datasets.inner("datasets")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of both; as a keyword ``datasets`` is understood by every TensorFlow."""
        datasets = _built(self.datasets, building, address)
        return building.tf.data.Dataset.zip(datasets=datasets, **building.arguments(self, address))


class Concatenated(Source):
    """Elements of several pipelines, one after the other."""

    op: ClassVar[str] = "concatenate"
    own_fields: ClassVar[frozenset[str]] = frozenset({"datasets"})

    datasets: PipelineList = argument("The pipelines, in order.")

    def pipelines(self) -> Iterator[Inner]:
        """The pipelines in order."""
        yield from self.datasets.inner("datasets")

    @model_validator(mode="after")
    def _several(self) -> Concatenated:
        if len(self.datasets.value) == 1:
            raise failure(("datasets",), mismatch(self.datasets.value, "pipelines", "at least two pipelines"))
        return self

    def build(self, building: Building, address: str) -> Any:
        """TensorFlow has it as a method of the first dataset."""
        first, *others = _built(self.datasets, building, address)
        for other in others:
            first = first.concatenate(other, name=node_name(address))
        return first


class SampleFromDatasets(Source):
    """Elements of several pipelines, drawn at random."""

    op: ClassVar[str] = "sample_from_datasets"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"datasets", "weights"})

    datasets: PipelineList = argument("The pipelines.")
    weights: Weights | None = argument(
        "Sampling weight of each pipeline, or a pipeline of weight lists; default: equal weights.", default=None
    )
    seed: Seed | None = argument("Random seed; default: different in every run.", default=None)
    stop_on_empty_dataset: Flag = argument(
        "Whether to stop when one pipeline ends; otherwise the others continue.", default=False
    )
    rerandomize_each_iteration: Flag | None = argument("Whether to reshuffle in each epoch.", default=None)

    @model_validator(mode="after")
    def _a_weight_each(self) -> SampleFromDatasets:
        weights, count = self.weights, len(self.datasets.value)
        if isinstance(weights, tuple) and len(weights) != count:
            message = f"{len(weights)} weight{'s' * (len(weights) != 1)} for {count} pipelines: expected one for each"
            raise failure(("weights",), error(message, "weights", got=len(weights)), weights)
        return self

    def pipelines(self) -> Iterator[Inner]:
        """The pipelines in order, and the one of the weights."""
        yield from self.datasets.inner("datasets")
        if isinstance(self.weights, Pipeline):
            yield Inner(("weights",), ("weights",), self.weights, per_element=False)

    def build(self, building: Building, address: str) -> Any:
        """The dataset that draws."""
        arguments = building.arguments(self, address)
        if isinstance(self.weights, Pipeline):
            arguments["weights"] = building.inner(self.weights, join(address, "weights"))
        elif self.weights is not None:
            arguments["weights"] = list(self.weights)
        return building.tf.data.Dataset.sample_from_datasets(_built_list(self.datasets, building, address), **arguments)


class ChooseFromDatasets(Source):
    """Elements of several pipelines, in an order given by another pipeline."""

    op: ClassVar[str] = "choose_from_datasets"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"datasets", "choice_dataset"})

    datasets: PipelineList = argument("The pipelines.")
    choice_dataset: AnyPipeline = argument("A pipeline of int64: the index of the pipeline for each element.")
    stop_on_empty_dataset: Flag = argument(
        "Whether to stop when one pipeline ends; otherwise it is skipped.", default=True
    )

    def pipelines(self) -> Iterator[Inner]:
        """The pipelines in order, and the one that chooses."""
        yield from self.datasets.inner("datasets")
        yield Inner(("choice_dataset",), ("choice_dataset",), self.choice_dataset, per_element=False)

    def build(self, building: Building, address: str) -> Any:
        """The dataset that chooses."""
        arguments = building.arguments(self, address)
        arguments["choice_dataset"] = building.inner(self.choice_dataset, join(address, "choice_dataset"))
        return building.tf.data.Dataset.choose_from_datasets(_built_list(self.datasets, building, address), **arguments)


def _built_list(pipelines: Pipelines, building: Building, address: str) -> list[Any]:
    return list(_built(pipelines, building, address))
