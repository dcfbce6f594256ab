"""Sources that read tables and records in batches, and databases."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.calls.element import RecordDefaults
from pipeprof.pipelines.ops.checked import Checked
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
    choice,
    is_integer,
)

_FILES = "Paths and globs of the files, relative to the spec; data:NAME/… for generated files."
_EPOCHS = "Number of epochs; default: infinite."
_READERS = tuple(op for op, row in SOURCES.items() if row.reads_examples)


def _columns(value: Any) -> tuple[int | str, ...]:
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(is_integer(item) or isinstance(item, str) for item in value)
    ):
        raise mismatch(value, "columns", "a list of names or indices of columns")
    return tuple(value)


Columns = Annotated[
    tuple[int | str, ...],
    Checked(_columns),
    WithJsonSchema({"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}}),
]
Reader = Annotated[str, Checked(choice(*_READERS)), WithJsonSchema({"enum": list(_READERS)})]
Driver = Annotated[str, Checked(choice("sqlite")), WithJsonSchema({"const": "sqlite"})]


class MakeCsvDataset(Source):
    """Batches of rows of CSV files, each a mapping from column to values; dtypes are inferred from the first rows."""

    op: ClassVar[str] = "make_csv_dataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    file_pattern: Files = Field(description=_FILES)
    batch_size: Positive = Field(description="Number of rows in a batch.")
    column_names: Texts | None = Field(default=None, description="Names of the columns; default: from the header.")
    column_defaults: RecordDefaults | None = Field(
        default=None, description="Dtype or default value of each selected column; default: inferred from the rows."
    )
    label_name: FilledText | None = Field(
        default=None, description="Label column: elements are (features, label) tuples."
    )
    select_columns: Columns | None = Field(default=None, description="Columns to read; default: all.")
    field_delim: Text = Field(default=",", description="Field separator.")
    use_quote_delim: Flag = Field(default=True, description="Whether double quotes group fields.")
    na_value: Text = Field(default="", description="Additional string for missing values.")
    header: Flag = Field(default=True, description="Whether the first line of each file holds the column names.")
    num_epochs: Positive | None = Field(default=None, description=_EPOCHS)
    shuffle: Flag = Field(default=True, description="Whether rows are shuffled.")
    shuffle_buffer_size: Positive = Field(default=10000, description="Shuffle buffer size in rows.")
    shuffle_seed: Seed | None = Field(default=None, description="Seed of the shuffle.")
    prefetch_buffer_size: PositiveOrAutotune | None = Field(default=None, description="Number of batches to prefetch.")
    num_parallel_reads: PositiveOrAutotune | None = Field(default=None, description="Files read in parallel.")
    sloppy: Flag = Field(default=False, description="Whether to trade deterministic order for speed.")
    num_rows_for_inference: Positive | None = Field(
        default=100, description="Number of rows for type inference; null: all."
    )
    compression_type: Compression | None = Field(default=None, description="GZIP, ZLIB, or empty for no compression.")
    ignore_errors: Flag = Field(default=False, description="Whether to skip rows with errors.")
    encoding: Text = Field(default="utf-8", description="Encoding of the files.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of batches."""
        return building.tf.data.experimental.make_csv_dataset(**building.arguments(self, address))


class MakeBatchedFeaturesDataset(Source):
    """Batches of parsed examples, each a mapping from feature to values."""

    op: ClassVar[str] = "make_batched_features_dataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"reader"})

    file_pattern: Files = Field(description=_FILES)
    batch_size: Positive = Field(description="Number of examples in a batch.")
    features: Features = Field(description="The features of an example, as for tf.io.parse_example.")
    reader: Reader | None = Field(default=None, description="TFRecordDataset (the default) or TextLineDataset.")
    label_key: FilledText | None = Field(
        default=None, description="Label feature: elements are (features, label) tuples."
    )
    reader_args: Texts | None = Field(default=None, description="Arguments of the reader (compression type).")
    num_epochs: Positive | None = Field(default=None, description=_EPOCHS)
    shuffle: Flag = Field(default=True, description="Whether examples are shuffled.")
    shuffle_buffer_size: Positive = Field(default=10000, description="Shuffle buffer size in examples.")
    shuffle_seed: Seed | None = Field(default=None, description="Seed of the shuffle.")
    prefetch_buffer_size: PositiveOrAutotune | None = Field(default=None, description="Number of batches to prefetch.")
    reader_num_threads: Positive | None = Field(default=None, description="Files read in parallel.")
    parser_num_threads: Positive | None = Field(default=None, description="Batches parsed in parallel.")
    sloppy_ordering: Flag = Field(default=False, description="Whether to trade deterministic order for speed.")
    drop_final_batch: Flag = Field(default=False, description="Whether to drop the last batch if it is smaller.")

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

    driver_name: Driver = Field(description="sqlite, the only supported driver.")
    data_source_name: ArrayPath = Field(description="Path of the database, relative to the spec.")
    query: FilledText = Field(description="The query in SQL.")
    output_types: Dtypes = Field(description="dtypes of the columns, as a list.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of rows."""
        return building.tf.data.experimental.SqlDataset(**building.arguments(self, address))
