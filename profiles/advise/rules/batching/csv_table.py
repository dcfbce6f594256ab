"""Batches that ``make_csv_dataset`` makes row by row, and the code that parses batches of lines instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.written_calls import WrittenArguments, arguments_given, repeated_dtype
from pipeprof.profiles.advise.edits.in_place import in_place
from pipeprof.profiles.view.view import PipelineView, StageView

CALL = "make_csv_dataset"
ROWS = "CsvDataset"
_PLACES = ("file_pattern", "batch_size", "column_names", "column_defaults", "label_name", "select_columns")
_NOT_HERE = ("select_columns", "compression_type", "ignore_errors", "encoding")
_NO = ("None", "False", "''", "'utf-8'")
_NAMES = "NAMES"
_IN_DECODER = ("field_delim", "use_quote_delim", "na_value")


@dataclass(frozen=True)
class CsvTable:
    """One call of ``make_csv_dataset``.

    Attributes:
        rows: The stage that gives the rows.
        stages: All that the call makes, in the order of the data.
        batch: The one that makes batches.
        own: The arguments of the call, as the user's file has them.
    """

    rows: StageView
    stages: tuple[StageView, ...]
    batch: StageView
    own: WrittenArguments
    texts: Mapping[str, str]

    @property
    def size(self) -> int:
        """Rows of a batch."""
        return int(self.batch.arguments["batch_size"])

    @property
    def can_be_written(self) -> bool:
        """Whether its arguments have a form in `decode_csv` and `TextLineDataset`."""
        return not any(self._given(name) for name in _NOT_HERE)

    def python(self) -> str:
        """The code that gives the same batches from lines."""
        label = self._given("label_name")
        parse = [
            f"columns = dict(zip({self._given('column_names') or _NAMES}, columns))",
            f"return columns{f', columns.pop({label})' if label else ''}",
        ]
        options = "".join(f", {name}={self._given(name)}" for name in _IN_DECODER if self._given(name))
        given, known = self._given("column_defaults"), self.rows.arguments.get("record_defaults")
        # A dtype in its place says that a value is required, which decode_csv says otherwise.
        values = isinstance(known, list) and not any(isinstance(one, str) for one in known)
        defaults = given if given and values else defaults_text(self.rows, given)
        return "\n".join(
            [
                *self._header(),
                f"def parse(lines):  # {self.size} lines at a time",
                f"    columns = tf.io.decode_csv(lines, {defaults}{options})",
                *(f"    {line}" for line in parse),
                in_place(self.texts, self.stages, self._dataset(), source=True),
            ]
        )

    def _given(self, name: str) -> str:
        """An argument as the file has it; empty where it has none, or says that there is none."""
        place = _PLACES.index(name) if name in _PLACES else len(self.own.by_place)
        text = self.own.by_place[place] if place < len(self.own.by_place) else self.own.by_name.get(name, "")
        return "" if text in _NO else text

    def _header(self) -> list[str]:
        """The lines that read the names of the columns, where the call has none."""
        if self._given("column_names"):
            return []
        return [
            f"with open(tf.io.gfile.glob({self._given('file_pattern')})[0]) as file:",
            f"    {_NAMES} = file.readline().strip().split({self._given('field_delim') or repr(',')})",
        ]

    def _dataset(self) -> str:
        given = self._given
        shuffles = self.own.by_name.get("shuffle", "True") != "False"
        seed = f", seed={given('shuffle_seed')}" if given("shuffle_seed") else ""
        lines = "tf.data.TextLineDataset(name)" + (".skip(1)" if self.own.by_name.get("header") != "False" else "")
        several = given("num_parallel_reads")
        parallel = f", cycle_length={several}, num_parallel_calls={several}" if several else ", cycle_length=1"
        epochs = self.own.by_name.get("num_epochs", "None")
        shuffled = f".shuffle({given('shuffle_buffer_size') or '10000'}{seed})" if shuffles else ""
        return (
            f"tf.data.Dataset.list_files({given('file_pattern')}, shuffle={shuffles}{seed if shuffles else ''})"
            f".interleave(lambda name: {lines}{parallel}){shuffled}"
            f"{ {'None': '.repeat()', '1': ''}.get(epochs, f'.repeat({epochs})') }"
            f".batch({given('batch_size')}{', drop_remainder=True' if epochs == 'None' else ''})"
            f".map(parse, num_parallel_calls=tf.data.AUTOTUNE)"
            f".prefetch({given('prefetch_buffer_size') or 'tf.data.AUTOTUNE'})"
        )


def csv_tables(view: PipelineView, least_columns: float, least_rows: float) -> Iterable[CsvTable]:
    """Yield the calls whose batches have many columns; none whose rows are chosen, packed or filtered by the call."""
    for rows in view.stages:
        place = rows.location
        if rows.op != ROWS or place is None or place.call != CALL or len(rows.element or ()) < least_columns:
            continue
        stages = tuple(stage for stage in view.stages if stage.location == place)
        batches = [stage for stage in stages if traits(stage.op).batches is not None]
        own = arguments_given(view.texts.get(place.file, ""), place.line, place.column, CALL)
        if own is None or len(batches) != 1 or not isinstance(batches[0].arguments.get("batch_size"), int):
            continue
        table = CsvTable(rows, stages, batches[0], own, view.texts)
        if table.size >= least_rows and table.can_be_written:
            yield table


def defaults_text(rows: StageView, written: str) -> str:
    """Return the defaults of the columns: as the file has them if it counts them, else as the graph has them.

    Args:
        rows: The stage that gives a row, a component for each column.
        written: The argument in the user's file; empty where there is none.
    """
    dtypes = [component.dtype for component in rows.element or ()]
    repeated = repeated_dtype(written)
    if repeated is not None and {*dtypes} == {repeated.dtype}:
        return f"[tf.constant([], tf.{repeated.dtype})] * {repeated.count}"
    known = rows.arguments.get("record_defaults")
    every: Sequence[Any] = known if isinstance(known, list) and len(known) == len(dtypes) else dtypes
    each = [f"tf.constant([], tf.{one})" if isinstance(one, str) else f"[{one}]" for one in every]
    runs = [(text, len(list(same))) for text, same in groupby(each)]
    return " + ".join(f"[{text}] * {many}" if many > 1 else f"[{text}]" for text, many in runs)
