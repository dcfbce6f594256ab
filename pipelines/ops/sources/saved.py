"""Sources of existing datasets: saved ones, those of tensorflow_datasets, and the user's Python functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.ops.base import Inner, Source, stages
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Closed, argument
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
    one_of,
)

Compressed = Annotated[str, one_of("GZIP", "SNAPPY")]


def _false(value: Any) -> bool:
    if value is not False:
        raise mismatch(value, "flag", "false: pipeprof downloads nothing")
    return False


Never = Annotated[bool, Checked(_false, {"const": False})]


def _stage_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise mismatch(value, "texts", "a list of stages such as [shuffle, batch]")
    for index, name in enumerate(value):
        if not isinstance(name, str) or name not in stages():
            raise failure((index,), unknown("stage", name, stages()), name)
    return tuple(value)


StageNames = Annotated[tuple[str, ...], Checked(_stage_names, {"type": "array", "items": {"type": "string"}})]


class Load(Source):
    """A dataset written by `tf.data.Dataset.save`."""

    op: ClassVar[str] = "load"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"reader_func"})

    path: Folder = argument("The folder, relative to the spec.")
    element_spec: Signature | None = argument("Shapes and dtypes; default: read from the folder.", default=None)
    compression: Compressed | None = argument("GZIP or SNAPPY, as it was saved.", default=None)
    reader_func: PipelineFunction | None = argument(
        "Stages that combine the files: their input is a dataset with one dataset per file.", default=None
    )
    wait: Flag = argument("Whether to wait until the folder exists.", default=False)

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

    shuffle_seed: Integer | None = argument("Seed of the shuffle of files.", default=None)
    shuffle_reshuffle_each_iteration: Flag | None = argument("Whether to reshuffle in each epoch.", default=None)
    interleave_cycle_length: PositiveOrAutotune | None = argument("Files read concurrently.", default=None)
    interleave_block_length: Positive | None = argument("Consecutive examples from one file.", default=None)
    num_parallel_calls_for_decode: PositiveOrAutotune | None = argument("Examples decoded in parallel.", default=None)
    num_parallel_calls_for_interleave_files: PositiveOrAutotune | None = argument(
        "Files read in parallel.", default=None
    )
    try_autocache: Flag | None = argument("Whether to cache small datasets.", default=None)
    add_tfds_id: Flag | None = argument("Whether to add an id to elements.", default=None)
    skip_prefetch: Flag | None = argument("Whether to omit the final prefetch.", default=None)
    enable_ordering_guard: Flag | None = argument("Whether an unordered read is an error.", default=None)
    assert_cardinality: Flag | None = argument("Whether to check the number of examples.", default=None)
    override_buffer_size: NotNegative | None = argument("Bytes read ahead.", default=None)


class TfdsLoad(Source):
    """A prepared dataset of the package tensorflow_datasets; nothing is downloaded."""

    op: ClassVar[str] = "tfds.load"
    holder: ClassVar[str] = "tensorflow_datasets"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"download", "read_config"})

    name: FilledText = argument("Name of the dataset, such as mnist or mnist:3.0.1.")
    split: FilledText = argument("The split, such as train or train[:80%].")
    data_dir: Folder | None = argument("Folder of prepared datasets; default: ~/tensorflow_datasets.", default=None)
    batch_size: Positive | None = argument("Number of examples in a batch; default: no batches.", default=None)
    shuffle_files: Flag = argument("Whether files are shuffled.", default=False)
    download: Never = argument("Must be false: pipeprof downloads nothing; prepare the dataset first.", default=False)
    as_supervised: Flag = argument("Whether elements are tuples of input and label.", default=False)
    read_config: ReadConfig | None = argument("tfds.ReadConfig by its own names.", default=None)

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

    function: Python = argument(
        'A function that returns a tf.data.Dataset, "file.py:function", or with arguments '
        '"file.py:function(..., size=224)".'
    )
    without: StageNames = argument(
        "The last stages of that dataset, by name and in order, that are left out; the stages of the spec "
        "take their place.",
        default=(),
    )

    def build(self, building: Building, address: str) -> Any:
        """The dataset that the function returns."""
        made = building.returned(self.function, self.without)
        if not isinstance(made, building.tf.data.Dataset):
            raise PlainError(f"{self.function} returned {type(made).__name__}: expected a tf.data.Dataset")
        return made
