"""Sources that read tables and records in batches, and databases."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.calls.element import RecordDefaults
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.problems import mismatch
from pipeprof.pipelines.ops.protocol import Building
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

_FILES = "Paths and globs of the files, relative to the spec; data:NAME/… for synthesised ones."
_EPOCHS = "Number of epochs; without end when left out."
_READERS = ("TFRecordDataset", "TextLineDataset")


def _columns(value: Any) -> tuple[int | str, ...]:
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(is_integer(each) or isinstance(each, str) for each in value)
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
    """Batches of rows of CSV files, each a mapping from column to values; types are found in the first rows."""

    op: ClassVar[str] = "make_csv_dataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    file_pattern: Files = Field(description=_FILES)
    batch_size: Positive = Field(description="Number of rows in a batch.")
    column_names: Texts | None = Field(
        default=None, description="Names of the columns; those of the header by default."
    )
    column_defaults: RecordDefaults | None = Field(
        default=None, description="For each selected column a dtype or a default; found in the rows by default."
    )
    label_name: FilledText | None = Field(
        default=None, description="Column that comes apart: elements are tuples of the mapping and it."
    )
    select_columns: Columns | None = Field(default=None, description="The columns to read; all by default.")
    field_delim: Text = Field(default=",", description="The letter between two fields.")
    use_quote_delim: Flag = Field(default=True, description="Whether double quotes group fields.")
    na_value: Text = Field(default="", description="A further text that stands for an empty field.")
    header: Flag = Field(default=True, description="Whether each file begins with the names of the columns.")
    num_epochs: Positive | None = Field(default=None, description=_EPOCHS)
    shuffle: Flag = Field(default=True, description="Whether rows are shuffled.")
    shuffle_buffer_size: Positive = Field(default=10000, description="Rows in the buffer of the shuffle.")
    shuffle_seed: Seed | None = Field(default=None, description="Seed of the shuffle.")
    prefetch_buffer_size: PositiveOrAutotune | None = Field(default=None, description="Batches made ahead.")
    num_parallel_reads: PositiveOrAutotune | None = Field(default=None, description="Files read in parallel.")
    sloppy: Flag = Field(default=False, description="Whether the order may change for speed.")
    num_rows_for_inference: Positive | None = Field(
        default=100, description="Rows of a file in which types are found; all of them when null."
    )
    compression_type: Compression | None = Field(default=None, description="GZIP, ZLIB, or empty for none.")
    ignore_errors: Flag = Field(default=False, description="Whether rows that cannot be read are left out.")
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
        default=None, description="Feature that comes apart: elements are tuples of the mapping and it."
    )
    reader_args: Texts | None = Field(
        default=None, description="Further arguments of the reader: the compression type."
    )
    num_epochs: Positive | None = Field(default=None, description=_EPOCHS)
    shuffle: Flag = Field(default=True, description="Whether examples are shuffled.")
    shuffle_buffer_size: Positive = Field(default=10000, description="Examples in the buffer of the shuffle.")
    shuffle_seed: Seed | None = Field(default=None, description="Seed of the shuffle.")
    prefetch_buffer_size: PositiveOrAutotune | None = Field(default=None, description="Batches made ahead.")
    reader_num_threads: Positive | None = Field(default=None, description="Files read in parallel.")
    parser_num_threads: Positive | None = Field(default=None, description="Batches parsed in parallel.")
    sloppy_ordering: Flag = Field(default=False, description="Whether the order may change for speed.")
    drop_final_batch: Flag = Field(default=False, description="Whether a last, smaller batch is dropped.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of batches."""
        arguments = building.arguments(self, address)
        if self.reader is not None:
            arguments["reader"] = getattr(building.tf.data, self.reader)
        return building.tf.data.experimental.make_batched_features_dataset(**arguments)


class SqlDataset(Source):
    """Rows that a query gives, each a tuple."""

    op: ClassVar[str] = "SqlDataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    driver_name: Driver = Field(description="sqlite, the only one there is.")
    data_source_name: ArrayPath = Field(description="Path of the database, relative to the spec.")
    query: FilledText = Field(description="The query in SQL.")
    output_types: Dtypes = Field(description="dtypes of the columns, as a list.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of rows."""
        return building.tf.data.experimental.SqlDataset(**building.arguments(self, address))
