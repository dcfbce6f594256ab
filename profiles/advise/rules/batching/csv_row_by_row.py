"""``csv-row-by-row``: rows of a CSV file as many scalars each, put together again in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from pipeprof.pipelines.changes.edits import HandWritten, NewStage, PipelineEdit, ReplaceStages, SetOption, VectoriseMap
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.written_calls import ROW_FUNCTION as _ROW
from pipeprof.pipelines.static.written_calls import (
    WrittenArguments,
    WrittenFunction,
    arguments_given,
    repeated_dtype,
    stacked_row,
)
from pipeprof.profiles.advise.batch_savings import batching, interval_ms, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import function_name, in_place, python_text, stage_call
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, of_interval, stage_name

_SOURCE = "CsvDataset"
_SUMMARY = "parse whole batches of lines"
_SIZE = ("batch_size", "drop_remainder")
_IN_DECODER = ("field_delim", "use_quote_delim", "na_value")
_NOT_IN_DECODER = ("compression_type", "select_cols", "exclude_cols")
_FUSION = "experimental_optimization.map_fusion"
_TABLE = "tf.stack(columns, axis=1)"
_DEFAULTS: Mapping[str, Any] = {"field_delim": ",", "use_quote_delim": True, "na_value": ""}
_CALL = "make_csv_dataset"
_PLACES = ("file_pattern", "batch_size", "column_names", "column_defaults", "label_name", "select_columns")
_NOT_HERE = ("select_columns", "compression_type", "ignore_errors", "encoding")
_NO = ("None", "False", "''", "'utf-8'")
_NAMES = "NAMES"


class CsvRowByRow(Rule):
    """Rows of a CSV file, each a tensor for every column.

    Seen:
        CsvDataset, by itself or in make_csv_dataset, gives rows of many columns, each a scalar tensor of its own, and
        batches are made of them.

    Why:
        TensorFlow's cost of passing an element on is that of its components: 430 columns are 430 tensors for each row,
        made, handed over, put together and copied into the batch one by one, 100 µs to 1 ms of it. tf.io.decode_csv
        takes a batch of lines in one call and gives one tensor for each column of the batch.

    Fix:
        Read lines with TextLineDataset, batch them, and parse the batch with one tf.io.decode_csv, in parallel calls.
        Maps after it get columns of a batch: those that stack columns do so along axis 1, others as they are in
        tf.vectorized_map.

    Ignore when:
        Values contain line breaks within quotes: a line is then no row.
    """

    name = "csv-row-by-row"
    title = "Parse CSV lines in batches"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("columns", 16, "columns", "with fewer, parsing itself takes most of the time", 4),
        Threshold("batch-size", 8, "rows", "below it there are few calls to save"),
        Threshold("time-share", 0.3, "of the interval", "below it something else comes first", 0.1),
        Threshold("batched-gain", 8, "times", "measured on TensorFlow 2.21: 430 columns, batches of 128 lines"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the number of columns."""
        for rows in self._found(view) if view.kind == "static" else ():
            yield rows.proposal()

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside the source, the maps and the batch."""
        interval, gain = interval_ms(view), self.threshold("batched-gain")
        every: list[_Rows | _Table] = [*self._found(view), *self._tables(view)]
        for rows in every:
            ms = sum(stage.table_ms or 0.0 for stage in rows.stages)
            if interval is None or ms < self.threshold("time-share") * interval:
                continue
            parts = {stage.id for stage in rows.stages}
            predicted = saving(view, f"{rows.columns} columns by the batch", ms * (1 - 1 / gain), parts)
            took = f" That takes {of_interval(ms, interval)}."
            found = rows.proposal()
            yield replace(
                found,
                sentence=f"{found.sentence}{took}",
                evidence={**found.evidence, "csv_ms_per_batch": ms},
                predicted=predicted,
            )

    def _tables(self, view: PipelineView) -> Iterable[_Table]:
        least = self.threshold("columns"), self.threshold("batch-size")
        return map(_Table, _calls(view, *least))

    def _found(self, view: PipelineView) -> Iterable[_Rows]:
        for source in view.stages:
            if source.op != _SOURCE or len(source.element or ()) < self.threshold("columns"):
                continue
            between: list[StageView] = []
            at = source
            while len(readers := view.readers(at)) == 1 and batching(view, at) is None:
                at = readers[0]
                between.append(at)
                if not traits(at.op).maps and (not traits(at.op).by_position or traits(at.op).stores):
                    break
            batch = batching(view, at)
            if batch is not None and batch.size >= self.threshold("batch-size"):
                yield _Rows(source, (*between, *batch.between), batch.stage, batch.size)


@dataclass(frozen=True)
class _Table:
    """What one call of ``make_csv_dataset`` makes."""

    table: _Call

    @property
    def columns(self) -> int:
        return len(self.table.rows.element or ())

    @property
    def stages(self) -> tuple[StageView, ...]:
        return self.table.stages

    def proposal(self) -> Proposal:
        """The code that makes the same batches."""
        rows, size = self.table.rows, self.table.size
        by_hand = HandWritten(
            tuple(stage.id for stage in self.stages), "", self.table.python(), "read lines, parse whole batches of them"
        )
        return Proposal(
            stage=rows.id,
            sentence=_of_a_batch(rows, size),
            recommendation=(
                f"Read lines, batch {size} of them, and parse the batch with one tf.io.decode_csv. The same batches "
                "come out unless a value has a line break."
            ),
            evidence={"columns": self.columns, "batch_size": size},
            edits=(by_hand,),
            by_hand=by_hand,
            covers=by_hand.stages,
        )


def _of_a_batch(rows: StageView, size: int) -> str:
    columns = len(rows.element or ())
    return f"{rows.label} makes {columns} tensors of each row, {size * columns:,} for a batch."


@dataclass(frozen=True)
class _Rows:
    """Rows of CSV files, the stages that they pass, and the batch that they go into."""

    source: StageView
    between: tuple[StageView, ...]
    batch: StageView
    size: int

    @property
    def columns(self) -> int:
        return len(self.source.element or ())

    @property
    def maps(self) -> tuple[StageView, ...]:
        """The stages that make something of each row."""
        return tuple(stage for stage in self.between if traits(stage.op).maps)

    @property
    def stages(self) -> tuple[StageView, ...]:
        """All of them, in the order of the data."""
        return (self.source, *self.between, self.batch)

    def proposal(self) -> Proposal:
        """What to do, as far as it is known without a run."""
        names = [stage_name(stage) for stage in self.maps]
        done = f", then {listed(names)} on whole batches" if names else ""
        by_hand = HandWritten(
            tuple(stage.id for stage in self.stages), "", self._python(), "read lines, parse whole batches of them"
        )
        return Proposal(
            stage=self.source.id,
            sentence=_of_a_batch(self.source, self.size),
            recommendation=(
                f"Read lines with TextLineDataset, batch {self.size} of them, and parse the batch with one "
                f"tf.io.decode_csv{done}. The same batches come out unless a value has a line break."
            ),
            evidence={"columns": self.columns, "batch_size": self.size},
            edits=self._edits() or (by_hand,),
            by_hand=by_hand,
            covers=tuple(stage.id for stage in self.stages),
        )

    def _edits(self) -> tuple[PipelineEdit, ...]:
        """The edits that a graph takes; none where lines are no rows of it, or the graph does not show its names."""
        given, files = self.source.arguments, self.source.arguments.get("filenames")
        if (
            self.source.written is not None
            or self.maps != self.between
            or not files
            or not given.get("record_defaults")
        ):
            return ()
        if any(given.get(name) for name in _NOT_IN_DECODER) or (given.get("header") and len(files) > 1):
            return ()
        decoder = {name: given[name] for name in ("record_defaults", *_IN_DECODER) if name in given}
        size = {name: self.batch.arguments[name] for name in _SIZE if name in self.batch.arguments}
        by = (
            NewStage("TextLineDataset", {"filenames": list(files)}),
            *((NewStage("skip", {"count": 1}),) if given.get("header") else ()),
            NewStage("batch", size),
            NewStage("map", {"ops": [{"tf.io.decode_csv": decoder}], "num_parallel_calls": AUTOTUNE}),
        )
        moved = [VectoriseMap(stage.id, self.batch.id) for stage in reversed(self.maps)]
        # Else a tensor for each column passes from one map to the next.
        fused = (SetOption(_FUSION, value=True),) if moved else ()
        return (*moved, ReplaceStages((self.source.id, self.batch.id), by, _SUMMARY, flat=True), *fused)

    def _python(self) -> str:
        arguments = self.source.arguments
        own = self.source.own.by_name if self.source.own is not None else {}
        batch = f".batch({self.size})" if self.batch.own is None else stage_call(self.batch, self.batch.arguments)
        options = "".join(
            f", {name}={own.get(name) or python_text(arguments[name])}"
            for name in (*_IN_DECODER, "select_cols")
            if arguments.get(name, _DEFAULTS.get(name)) != _DEFAULTS.get(name)
        )
        moved = "".join(stage_call(stage, stage.arguments) for stage in self.between if stage not in self.maps)
        result = "columns" if self.maps else "tuple(columns)"
        rows, written = self._on_rows()
        defaults = _defaults_text(self.source, self._given("record_defaults", 1))
        return "\n".join(
            [
                *written,
                f"def parse(lines):  # {self.size} lines at a time",
                f"    columns = tf.io.decode_csv(lines, {defaults}{options})",
                *(f"    columns = tf.vectorized_map({row}, {given})" for row, given in rows),
                f"    return {result}",
                in_place(
                    self.stages,
                    f"{self._lines()}{moved}{batch}.map(parse, num_parallel_calls=tf.data.AUTOTUNE)",
                    source=True,
                ),
            ]
        )

    def _on_rows(self) -> tuple[list[tuple[str, str]], list[str]]:
        """The function of each map with the rows that it gets, and the definition of another form of the first one."""
        rows, several, written = list[tuple[str, str]](), True, list[str]()
        alike = len({component.dtype for component in self.source.element or ()}) == 1
        for stage in self.maps:
            known = stage.given or WrittenFunction(function_name(stage))
            if stage is not self.maps[0] or not alike:
                text = f"lambda row: {known.called}(*row)" if several else known.text
                rows.append((text, "columns"))
            elif (of_row := stacked_row(known.definition)) is not None:
                written = of_row.splitlines()
                rows.append((_ROW, _TABLE))
            else:
                rows.append((f"lambda row: {known.called}(*tf.unstack(row))", _TABLE))
            several = len(stage.element or ()) > 1
        return rows, written

    def _given(self, name: str, place: int) -> str:
        """An argument of the source as the user's file has it; empty where it does not."""
        own = self.source.own
        if own is None:
            return ""
        return own.by_name.get(name) or (own.by_place[place] if place < len(own.by_place) else "")

    def _lines(self) -> str:
        files = self.source.arguments.get("filenames")
        one = files[0] if isinstance(files, list) and len(files) == 1 else files
        shown = self._given("filenames", 0) or (python_text(one) if files else "filenames")
        if not self.source.arguments.get("header"):
            return f"tf.data.TextLineDataset({shown})"
        if isinstance(one, str):
            return f"tf.data.TextLineDataset({shown}).skip(1)"
        of_each = "lambda name: tf.data.TextLineDataset(name).skip(1)"
        return f"tf.data.Dataset.from_tensor_slices({shown}).flat_map({of_each})"


@dataclass(frozen=True)
class _Call:
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

    @property
    def size(self) -> int:
        """Rows of a batch."""
        return int(self.batch.arguments["batch_size"])

    @property
    def can_be_written(self) -> bool:
        """Whether its arguments have a form in `decode_csv` and `TextLineDataset`."""
        flags = all(self.own.by_name.get(name, "True") in {"True", "False"} for name in ("header", "shuffle"))
        # What stands in a later place has no name here.
        return flags and len(self.own.by_place) <= len(_PLACES) and not any(map(self._given, _NOT_HERE))

    def python(self) -> str:
        """The code that gives the same batches from lines."""
        label = self._given("label_name")
        parse = [
            f"columns = dict(zip({self._given('column_names') or _NAMES}, columns))",
            f"return columns{f', columns.pop({label})' if label else ''}",
        ]
        given_by_name = self.own.by_name
        options = "".join(f", {name}={given_by_name[name]}" for name in _IN_DECODER if name in given_by_name)
        given, known = self._given("column_defaults"), self.rows.arguments.get("record_defaults")
        # A dtype in its place says that a value is required, which decode_csv says otherwise.
        values = isinstance(known, list) and not any(isinstance(one, str) for one in known)
        defaults = given if given and values else _defaults_text(self.rows, given)
        return "\n".join(
            [
                *self._header(),
                f"def parse(lines):  # {self.size} lines at a time",
                f"    columns = tf.io.decode_csv(lines, {defaults}{options})",
                *(f"    {line}" for line in parse),
                in_place(self.stages, self._dataset(), source=True),
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


def _calls(view: PipelineView, least_columns: float, least_rows: float) -> Iterable[_Call]:
    """Yield the calls whose batches have many columns; none whose rows are chosen, packed or filtered by the call."""
    for rows in view.stages:
        place = rows.location
        if rows.op != _SOURCE or place is None or place.call != _CALL or len(rows.element or ()) < least_columns:
            continue
        stages = tuple(stage for stage in view.stages if stage.location == place)
        batches = [stage for stage in stages if traits(stage.op).batches is not None]
        own = arguments_given(view.texts.get(place.file, ""), place.line, place.column, _CALL)
        if own is None or len(batches) != 1 or not isinstance(batches[0].arguments.get("batch_size"), int):
            continue
        table = _Call(rows, stages, batches[0], own)
        if table.size >= least_rows and table.can_be_written:
            yield table


def _defaults_text(rows: StageView, written: str) -> str:
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
