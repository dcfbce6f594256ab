"""Sources that read files."""

from typing import Any, ClassVar

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.calls.element import RecordDefaults
from pipeprof.pipelines.ops.model import argument
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

    file_pattern: Files = argument(_FILES)
    shuffle: Flag | None = argument("Whether to shuffle the names in each epoch (TensorFlow: true).", default=None)
    seed: Seed | None = argument("Seed of the shuffle.", default=None)

    def build(self, building: Building, address: str) -> Any:
        """The dataset of file names."""
        patterns = building.patterns(self.file_pattern)
        return building.tf.data.Dataset.list_files(patterns, **building.arguments(self, address))


class TFRecordDataset(Source):
    """Records of TFRecord files, each a string."""

    op: ClassVar[str] = "TFRecordDataset"
    holder: ClassVar[str] = "tf.data"
    element_argument: ClassVar[str] = "filenames"

    filenames: Files = argument(_FILES)
    compression_type: Compression | None = argument(_COMPRESSION, default=None)
    buffer_size: NotNegative | None = argument(_BUFFER, default=None)
    num_parallel_reads: PositiveOrAutotune | None = argument(_READS, default=None)


class TextLineDataset(TFRecordDataset):
    """Lines of text files, each a string."""

    op: ClassVar[str] = "TextLineDataset"


class FixedLengthRecordDataset(Source):
    """Records of a fixed number of bytes."""

    op: ClassVar[str] = "FixedLengthRecordDataset"
    holder: ClassVar[str] = "tf.data"
    element_argument: ClassVar[str] = "filenames"

    filenames: Files = argument(_FILES)
    record_bytes: Positive = argument("Record size in bytes.")
    header_bytes: NotNegative | None = argument("Bytes to skip at the start of each file.", default=None)
    footer_bytes: NotNegative | None = argument("Bytes to skip at the end of each file.", default=None)
    buffer_size: NotNegative | None = argument(_BUFFER, default=None)
    compression_type: Compression | None = argument(_COMPRESSION, default=None)
    num_parallel_reads: PositiveOrAutotune | None = argument(_READS, default=None)


class CsvDataset(Source):
    """Rows of CSV files, each a tuple of its columns."""

    op: ClassVar[str] = "CsvDataset"
    holder: ClassVar[str] = "tf.data.experimental"
    element_argument: ClassVar[str] = "filenames"
    takes_name: ClassVar[bool] = False

    filenames: Files = argument(_FILES)
    record_defaults: RecordDefaults = argument(
        "For each selected column a dtype (float32, float64, int32, int64, string: required) or a default; "
        "`{repeat: float32, count: 430}` for 430 columns that are alike."
    )
    compression_type: Compression | None = argument(_COMPRESSION, default=None)
    buffer_size: NotNegative | None = argument(_BUFFER, default=None)
    header: Flag = argument("Whether to skip the first line of each file.", default=False)
    field_delim: Text = argument("Field separator.", default=",")
    use_quote_delim: Flag = argument("Whether double quotes group fields.", default=True)
    na_value: Text = argument("Additional string for missing values.", default="")
    select_cols: Integers | None = argument("Indices of the columns to read, ascending; default: all.", default=None)
    exclude_cols: Integers | None = argument("Indices of the columns to skip.", default=None)
