"""Sources of existing datasets: saved ones, those of tensorflow_datasets, and the user's Python functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.ops.base import Inner, Source, stages
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.nested import PipelineFunction
from pipeprof.pipelines.ops.problems import failure, mismatch, unknown
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.structures import Signature
from pipeprof.pipelines.ops.values.values import (
    FilledText,
    Flag,
    Folder,
    Integer,
    NotNegative,
    Positive,
    PositiveOrAutotune,
    choice,
)

_COMPRESSIONS = ("GZIP", "SNAPPY")
Compressed = Annotated[str, Checked(choice(*_COMPRESSIONS)), WithJsonSchema({"enum": list(_COMPRESSIONS)})]


def _false(value: Any) -> bool:
    if value is not False:
        raise mismatch(value, "flag", "false: pipeprof downloads nothing")
    return False


Never = Annotated[bool, Checked(_false), WithJsonSchema({"const": False})]


def _stage_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise mismatch(value, "texts", "a list of stages such as [shuffle, batch]")
    for index, name in enumerate(value):
        if not isinstance(name, str) or name not in stages():
            raise failure((index,), unknown("stage", name, stages()), name)
    return tuple(value)


StageNames = Annotated[
    tuple[str, ...], Checked(_stage_names), WithJsonSchema({"type": "array", "items": {"type": "string"}})
]


class Load(Source):
    """A dataset written by `tf.data.Dataset.save`."""

    op: ClassVar[str] = "load"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"reader_func"})

    path: Folder = Field(description="The folder, relative to the spec.")
    element_spec: Signature | None = Field(
        default=None, description="Shapes and dtypes; default: read from the folder."
    )
    compression: Compressed | None = Field(default=None, description="GZIP or SNAPPY, as it was saved.")
    reader_func: PipelineFunction | None = Field(
        default=None, description="Stages that combine the files: their input is a dataset with one dataset per file."
    )
    wait: Flag = Field(default=False, description="Whether to wait until the folder exists.")

    def pipelines(self) -> Iterator[Inner]:
        """The function that reads."""
        if self.reader_func is not None and self.reader_func.python is None:
            yield Inner(("reader_func",), ("reader_func",), self.reader_func, per_element=True)

    def build(self, building: Building, address: str) -> Any:
        """The dataset as it was saved."""
        arguments = building.arguments(self, address)
        if self.reader_func is not None:
            arguments["reader_func"] = building.dataset_function(self.reader_func, address, "reader_func")
        return building.tf.data.Dataset.load(**arguments)


class ReadConfig(Closed):
    """tfds.ReadConfig."""

    shuffle_seed: Integer | None = Field(default=None, description="Seed of the shuffle of files.")
    shuffle_reshuffle_each_iteration: Flag | None = Field(
        default=None, description="Whether to reshuffle in each epoch."
    )
    interleave_cycle_length: PositiveOrAutotune | None = Field(default=None, description="Files read concurrently.")
    interleave_block_length: Positive | None = Field(default=None, description="Consecutive examples from one file.")
    num_parallel_calls_for_decode: PositiveOrAutotune | None = Field(
        default=None, description="Examples decoded in parallel."
    )
    num_parallel_calls_for_interleave_files: PositiveOrAutotune | None = Field(
        default=None, description="Files read in parallel."
    )
    try_autocache: Flag | None = Field(default=None, description="Whether to cache small datasets.")
    add_tfds_id: Flag | None = Field(default=None, description="Whether to add an id to elements.")
    skip_prefetch: Flag | None = Field(default=None, description="Whether to omit the final prefetch.")
    enable_ordering_guard: Flag | None = Field(default=None, description="Whether an unordered read is an error.")
    assert_cardinality: Flag | None = Field(default=None, description="Whether to check the number of examples.")
    override_buffer_size: NotNegative | None = Field(default=None, description="Bytes read ahead.")


class TfdsLoad(Source):
    """A prepared dataset of the package tensorflow_datasets; nothing is downloaded."""

    op: ClassVar[str] = "tfds.load"
    holder: ClassVar[str] = "tensorflow_datasets"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"download", "read_config"})

    name: FilledText = Field(description="Name of the dataset, such as mnist or mnist:3.0.1.")
    split: FilledText = Field(description="The split, such as train or train[:80%].")
    data_dir: Folder | None = Field(
        default=None, description="Folder of prepared datasets; default: ~/tensorflow_datasets."
    )
    batch_size: Positive | None = Field(default=None, description="Number of examples in a batch; default: no batches.")
    shuffle_files: Flag = Field(default=False, description="Whether files are shuffled.")
    download: Never = Field(
        default=False, description="Must be false: pipeprof downloads nothing; prepare the dataset first."
    )
    as_supervised: Flag = Field(default=False, description="Whether elements are tuples of input and label.")
    read_config: ReadConfig | None = Field(default=None, description="tfds.ReadConfig by its own names.")

    @property
    def label(self) -> str | None:
        """The name is an argument here, and two sources may have the same one."""
        return None

    def build(self, building: Building, address: str) -> Any:
        """Load the dataset, if the package is installed."""
        tfds = building.tfds
        arguments = {**building.arguments(self, address), "name": str(self.name), "download": False}
        if self.read_config is not None:
            written = self.read_config.model_fields_set
            given = {key: building.convert(getattr(self.read_config, key)) for key in sorted(written)}
            arguments["read_config"] = tfds.ReadConfig(**given)
        return tfds.load(**arguments)


class PythonSource(Source):
    """A dataset returned by a function in a Python file."""

    op: ClassVar[str] = "python"
    holder: ClassVar[str] = ""
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"function", "without"})

    function: Python = Field(
        description='A function that returns a tf.data.Dataset, "file.py:function", or with arguments '
        '"file.py:function(..., size=224)".'
    )
    without: StageNames = Field(
        default=(),
        description="The last stages of that dataset, by name and in order, that are left out; the stages of the spec "
        "take their place.",
    )

    def build(self, building: Building, address: str) -> Any:
        """The dataset that the function returns."""
        del address
        made = building.returned(self.function, self.without)
        if not isinstance(made, building.tf.data.Dataset):
            msg = f"{self.function} returned {type(made).__name__}: expected a tf.data.Dataset"
            raise PlainError(msg)
        return made
