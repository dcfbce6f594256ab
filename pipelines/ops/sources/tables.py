"""Sources that read tables and records in batches, and databases."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.calls.element import RecordDefaults
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.problems import mismatch
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.traits import SOURCES
from pipeprof.pipelines.ops.values.features import Features
from pipeprof.pipelines.ops.values.structures import Dtypes
from pipeprof.pipelines.ops.values.values import (
    ArrayPath,
    Compression,
    Files,
    FilledText,
    Flag,
    Positive,
    PositiveOrAutotune,
    Seed,
    Text,
    Texts,
    is_integer,
    one_of,
)

_FILES = "Paths and globs of the files, relative to the spec; data:NAME/… for generated files."
_EPOCHS = "Number of epochs; default: infinite."


def _columns(value: Any) -> tuple[int | str, ...]:
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(is_integer(item) or isinstance(item, str) for item in value)
    ):
        raise mismatch(value, "columns", "a list of names or indices of columns")
    return tuple(value)


Columns = Annotated[
    tuple[int | str, ...], Checked(_columns, {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}})
]
Reader = Annotated[str, one_of(*(op for op, row in SOURCES.items() if row.reads_examples))]
Driver = Annotated[str, one_of("sqlite")]


class MakeCsvDataset(Source):
    """Batches of rows of CSV files, each a mapping from column to values; dtypes are inferred from the first rows."""

    op: ClassVar[str] = "make_csv_dataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    file_pattern: Files = argument(_FILES)
    batch_size: Positive = argument("Number of rows in a batch.")
    column_names: Texts | None = argument("Names of the columns; default: from the header.", default=None)
    column_defaults: RecordDefaults | None = argument(
        "Dtype or default value of each selected column; default: inferred from the rows.", default=None
    )
    label_name: FilledText | None = argument("Label column: elements are (features, label) tuples.", default=None)
    select_columns: Columns | None = argument("Columns to read; default: all.", default=None)
    field_delim: Text = argument("Field separator.", default=",")
    use_quote_delim: Flag = argument("Whether double quotes group fields.", default=True)
    na_value: Text = argument("Additional string for missing values.", default="")
    header: Flag = argument("Whether the first line of each file holds the column names.", default=True)
    num_epochs: Positive | None = argument(_EPOCHS, default=None)
    shuffle: Flag = argument("Whether rows are shuffled.", default=True)
    shuffle_buffer_size: Positive = argument("Shuffle buffer size in rows.", default=10000)
    shuffle_seed: Seed | None = argument("Seed of the shuffle.", default=None)
    prefetch_buffer_size: PositiveOrAutotune | None = argument("Number of batches to prefetch.", default=None)
    num_parallel_reads: PositiveOrAutotune | None = argument("Files read in parallel.", default=None)
    sloppy: Flag = argument("Whether to trade deterministic order for speed.", default=False)
    num_rows_for_inference: Positive | None = argument("Number of rows for type inference; null: all.", default=100)
    compression_type: Compression | None = argument("GZIP, ZLIB, or empty for no compression.", default=None)
    ignore_errors: Flag = argument("Whether to skip rows with errors.", default=False)
    encoding: Text = argument("Encoding of the files.", default="utf-8")


class MakeBatchedFeaturesDataset(Source):
    """Batches of parsed examples, each a mapping from feature to values."""

    op: ClassVar[str] = "make_batched_features_dataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"reader"})

    file_pattern: Files = argument(_FILES)
    batch_size: Positive = argument("Number of examples in a batch.")
    features: Features = argument("The features of an example, as for tf.io.parse_example.")
    reader: Reader | None = argument("TFRecordDataset (the default) or TextLineDataset.", default=None)
    label_key: FilledText | None = argument("Label feature: elements are (features, label) tuples.", default=None)
    reader_args: Texts | None = argument("Arguments of the reader (compression type).", default=None)
    num_epochs: Positive | None = argument(_EPOCHS, default=None)
    shuffle: Flag = argument("Whether examples are shuffled.", default=True)
    shuffle_buffer_size: Positive = argument("Shuffle buffer size in examples.", default=10000)
    shuffle_seed: Seed | None = argument("Seed of the shuffle.", default=None)
    prefetch_buffer_size: PositiveOrAutotune | None = argument("Number of batches to prefetch.", default=None)
    reader_num_threads: Positive | None = argument("Files read in parallel.", default=None)
    parser_num_threads: Positive | None = argument("Batches parsed in parallel.", default=None)
    sloppy_ordering: Flag = argument("Whether to trade deterministic order for speed.", default=False)
    drop_final_batch: Flag = argument("Whether to drop the last batch if it is smaller.", default=False)

    def build(self, building: Building, address: str) -> Any:
        """The dataset of batches."""
        arguments = building.arguments(self, address)
        if self.reader is not None:
            arguments["reader"] = getattr(building.tf.data, self.reader)
        return building.tf.data.experimental.make_batched_features_dataset(**arguments)


class SqlDataset(Source):
    """Rows of an SQL query, each a tuple."""

    op: ClassVar[str] = "SqlDataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    driver_name: Driver = argument("sqlite, the only supported driver.")
    data_source_name: ArrayPath = argument("Path of the database, relative to the spec.")
    query: FilledText = argument("The query in SQL.")
    output_types: Dtypes = argument("dtypes of the columns, as a list.")
