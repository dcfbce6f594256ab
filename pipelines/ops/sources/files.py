"""Sources that read files."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.calls.element import RecordDefaults
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.values import (
    Compression,
    Files,
    Flag,
    Integers,
    NotNegative,
    Positive,
    PositiveOrAutotune,
    Seed,
    Text,
)

_FILES = "Paths and globs of the files, relative to the spec; data:NAME/… for generated files."
_BUFFER = "Read buffer in bytes; chosen by TensorFlow by default."
_READS = "Number of files read in parallel; default: sequential."
_COMPRESSION = "GZIP, ZLIB, or empty for no compression."


class ListFiles(Source):
    """The names of the files that match patterns."""

    op: ClassVar[str] = "list_files"
    own_fields: ClassVar[frozenset[str]] = frozenset({"file_pattern"})
    element_argument: ClassVar[str] = "file_pattern"

    file_pattern: Files = Field(description=_FILES)
    shuffle: Flag | None = Field(
        default=None, description="Whether to shuffle the names in each epoch (TensorFlow: true)."
    )
    seed: Seed | None = Field(default=None, description="Seed of the shuffle.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of file names."""
        patterns = building.patterns(self.file_pattern)
        return building.tf.data.Dataset.list_files(patterns, **building.arguments(self, address))


class _Records(Source):
    """Records of files, of whatever length."""

    op: ClassVar[str] = ""
    holder: ClassVar[str] = "tf.data"
    element_argument: ClassVar[str] = "filenames"

    filenames: Files = Field(description=_FILES)
    compression_type: Compression | None = Field(default=None, description=_COMPRESSION)
    buffer_size: NotNegative | None = Field(default=None, description=_BUFFER)
    num_parallel_reads: PositiveOrAutotune | None = Field(default=None, description=_READS)

    def build(self, building: Building, address: str) -> Any:
        """The dataset of records."""
        return getattr(building.tf.data, self.op)(**building.arguments(self, address))


class TFRecordDataset(_Records):
    """Records of TFRecord files, each a string."""

    op: ClassVar[str] = "TFRecordDataset"


class TextLineDataset(_Records):
    """Lines of text files, each a string."""

    op: ClassVar[str] = "TextLineDataset"


class FixedLengthRecordDataset(Source):
    """Records of a fixed number of bytes."""

    op: ClassVar[str] = "FixedLengthRecordDataset"
    holder: ClassVar[str] = "tf.data"
    element_argument: ClassVar[str] = "filenames"

    filenames: Files = Field(description=_FILES)
    record_bytes: Positive = Field(description="Record size in bytes.")
    header_bytes: NotNegative | None = Field(default=None, description="Bytes to skip at the start of each file.")
    footer_bytes: NotNegative | None = Field(default=None, description="Bytes to skip at the end of each file.")
    buffer_size: NotNegative | None = Field(default=None, description=_BUFFER)
    compression_type: Compression | None = Field(default=None, description=_COMPRESSION)
    num_parallel_reads: PositiveOrAutotune | None = Field(default=None, description=_READS)

    def build(self, building: Building, address: str) -> Any:
        """The dataset of records."""
        return building.tf.data.FixedLengthRecordDataset(**building.arguments(self, address))


class CsvDataset(Source):
    """Rows of CSV files, each a tuple of its columns."""

    op: ClassVar[str] = "CsvDataset"
    holder: ClassVar[str] = "tf.data.experimental"
    element_argument: ClassVar[str] = "filenames"
    takes_name: ClassVar[bool] = False

    filenames: Files = Field(description=_FILES)
    record_defaults: RecordDefaults = Field(
        description="For each selected column a dtype (float32, float64, int32, int64, string: required) or a default."
    )
    compression_type: Compression | None = Field(default=None, description=_COMPRESSION)
    buffer_size: NotNegative | None = Field(default=None, description=_BUFFER)
    header: Flag = Field(default=False, description="Whether to skip the first line of each file.")
    field_delim: Text = Field(default=",", description="Field separator.")
    use_quote_delim: Flag = Field(default=True, description="Whether double quotes group fields.")
    na_value: Text = Field(default="", description="Additional string for missing values.")
    select_cols: Integers | None = Field(
        default=None, description="Indices of the columns to read, ascending; default: all."
    )
    exclude_cols: Integers | None = Field(default=None, description="Indices of the columns to skip.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of rows."""
        return building.tf.data.experimental.CsvDataset(**building.arguments(self, address))
