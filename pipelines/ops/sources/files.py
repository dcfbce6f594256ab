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

_FILES = "Paths and globs of the files, relative to the spec; data:NAME/… for synthesised ones."
_BUFFER = "Bytes read ahead; TensorFlow chooses by default."
_COMPRESSION = "GZIP, ZLIB, or empty for none."


class ListFiles(Source):
    """The names of the files that match patterns."""

    op: ClassVar[str] = "list_files"
    own_fields: ClassVar[frozenset[str]] = frozenset({"file_pattern"})
    element_argument: ClassVar[str] = "file_pattern"

    file_pattern: Files = Field(description=_FILES)
    shuffle: Flag | None = Field(
        default=None, description="Whether the names are shuffled anew in each epoch (TensorFlow: true)."
    )
    seed: Seed | None = Field(default=None, description="Seed of the shuffle.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of file names."""
        patterns = building.patterns(self.file_pattern)
        return building.tf.data.Dataset.list_files(patterns, **building.arguments(self, address))


class TFRecordDataset(Source):
    """Records of TFRecord files, each a string."""

    op: ClassVar[str] = "TFRecordDataset"
    holder: ClassVar[str] = "tf.data"
    element_argument: ClassVar[str] = "filenames"

    filenames: Files = Field(description=_FILES)
    compression_type: Compression | None = Field(default=None, description=_COMPRESSION)
    buffer_size: NotNegative | None = Field(default=None, description=_BUFFER)
    num_parallel_reads: PositiveOrAutotune | None = Field(
        default=None, description="Number of files read in parallel; one after the other when left out."
    )

    def build(self, building: Building, address: str) -> Any:
        """The dataset of records."""
        return building.tf.data.TFRecordDataset(**building.arguments(self, address))


class TextLineDataset(Source):
    """Lines of text files, each a string."""

    op: ClassVar[str] = "TextLineDataset"
    holder: ClassVar[str] = "tf.data"
    element_argument: ClassVar[str] = "filenames"

    filenames: Files = Field(description=_FILES)
    compression_type: Compression | None = Field(default=None, description=_COMPRESSION)
    buffer_size: NotNegative | None = Field(default=None, description=_BUFFER)
    num_parallel_reads: PositiveOrAutotune | None = Field(
        default=None, description="Number of files read in parallel; one after the other when left out."
    )

    def build(self, building: Building, address: str) -> Any:
        """The dataset of lines."""
        return building.tf.data.TextLineDataset(**building.arguments(self, address))


class FixedLengthRecordDataset(Source):
    """Records of the same number of bytes, one after the other in files."""

    op: ClassVar[str] = "FixedLengthRecordDataset"
    holder: ClassVar[str] = "tf.data"
    element_argument: ClassVar[str] = "filenames"

    filenames: Files = Field(description=_FILES)
    record_bytes: Positive = Field(description="Bytes of a record.")
    header_bytes: NotNegative | None = Field(default=None, description="Bytes to leave out at the beginning of a file.")
    footer_bytes: NotNegative | None = Field(default=None, description="Bytes to leave out at the end of a file.")
    buffer_size: NotNegative | None = Field(default=None, description=_BUFFER)
    compression_type: Compression | None = Field(default=None, description=_COMPRESSION)
    num_parallel_reads: PositiveOrAutotune | None = Field(
        default=None, description="Number of files read in parallel; one after the other when left out."
    )

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
    header: Flag = Field(default=False, description="Whether each file begins with a line to leave out.")
    field_delim: Text = Field(default=",", description="The letter between two fields.")
    use_quote_delim: Flag = Field(default=True, description="Whether double quotes group fields.")
    na_value: Text = Field(default="", description="A further text that stands for an empty field.")
    select_cols: Integers | None = Field(
        default=None, description="Indices of the columns to read, rising; all by default."
    )
    exclude_cols: Integers | None = Field(default=None, description="Indices of the columns to leave out.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of rows."""
        return building.tf.data.experimental.CsvDataset(**building.arguments(self, address))
