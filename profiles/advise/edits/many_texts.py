"""Maps of texts that get many at once, with the filters, buckets and chunks that come after them: lines to paste."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.read.function_facts import ELEMENTWISE, SILENT
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.instead.lengths import by_counts, counted, cut, is_of_each
from pipeprof.pipelines.static.rewritten import takes_any_texts
from pipeprof.pipelines.static.written_calls import WrittenArguments, arguments_given
from pipeprof.profiles.advise.edits.in_place import in_place
from pipeprof.profiles.advise.edits.own_python import given_text, in_its_file
from pipeprof.profiles.advise.edits.snippets import free_name
from pipeprof.profiles.view.texts import file_text, written_call, written_function
from pipeprof.profiles.wording import call_around, stage_name, stage_place

if TYPE_CHECKING:
    from pipeprof.profiles.document.stages import Stage

_CHUNK = 256
_OF_TEXTS = re.compile(r"Lookup\w+|\w*String\w*|\w*Regex\w+|Unicode\w+|Substr")
_OF_WHOLE = frozenset({"StringFormat"})
_WORD = re.compile(r"\w+")
_BUCKETS, _LENGTH = "bucket_by_sequence_length", "element_length_func"
_OF_BUCKETS = frozenset({_LENGTH, "bucket_boundaries", "bucket_batch_sizes", "drop_remainder"})
"""Arguments that mean the same of texts as of what is made of them."""
_PLACES = 3
"""Of the first ones of these."""
_SIZES = "sizes"


def texts_in_chunks(line: Sequence[Stage], stage: Stage) -> tuple[str, str] | None:
    """Return how maps of texts get many at once where no batch comes next; None for others.

    What they make of a text may have any length: unbatch gives each its own again.

    Args:
        line: The stages that follow each other where the stage is.
    """
    maps = maps_of_texts(line, stage)
    if not maps:
        return None
    if (more := with_what_follows(line, stage)) is not None:
        return more
    calls = [f".map({given_text(one)}, num_parallel_calls=tf.data.AUTOTUNE)" for one in maps]
    at = stage_place(maps[0])
    replaced = f"  # {at}, in place of {''.join(f'.map({given_text(one)}, …)' for one in maps)}" if at else ""
    # What unbatch makes of rows of different lengths is a ragged tensor, which padded batches refuse; a map's is none.
    made = maps[-1].element_spec or ()
    several = len(made) > 1 and all(one.name.isdigit() for one in made)
    lengths = any(one.shape is None or None in one.shape for one in made)
    dense = f".map(lambda {'*row' if several else 'row'}: row)" if lengths else ""
    text = f"batch {_CHUNK} texts, call it on the batch, and unbatch: tf.strings and lookup tables take whole batches"
    if dense:
        text += "; the last map makes plain tensors of ragged ones"
    return text, in_its_file(stage, f".batch({_CHUNK}){''.join(calls)}.unbatch(){dense}{replaced}")


def with_what_follows(line: Sequence[Stage], stage: Stage) -> tuple[str, str] | None:
    """Return the same with the buckets, or the rows, that the results are put into; None where neither follows."""
    maps = maps_of_texts(line, stage)
    after = line[line.index(maps[-1]) + 1 :] if maps else []
    found = (_in_buckets(maps, after) or _in_rows(maps, after)) if maps else None
    return (found[0], in_its_file(stage, found[1])) if found is not None else None


def _in_buckets(maps: Sequence[Stage], after: Sequence[Stage]) -> tuple[str, str] | None:
    """Texts in buckets by the lengths that a map gives them, which are counted first, and the map on whole batches.

    Args:
        after: The stages after the map.
    """
    stage, place = maps[0], maps[0].location
    passing = list(itertools.takewhile(_keeps_texts, after))
    bucket = next(iter(after[len(passing) :]), None)
    if len(maps) > 1 or place is None or bucket is None or call_around(bucket.op, bucket.location) != _BUCKETS:
        return None
    text, name = file_text(place.file), given_text(stage)
    made = counted(text, name, place.line)
    given = _arguments(text, bucket)
    if made is None or given is None or not {*given.by_name} <= _OF_BUCKETS or len(given.by_place) > _PLACES:
        return None
    taken = set(_WORD.findall(text))
    sizes = [free_name("size" if made.alone else f"size_{at}", *taken) for at in range(len(made.counts))]
    length = (*given.by_place, given.by_name.get(_LENGTH, ""))[0]
    calls = [_of_sizes(text, one, made.parameters, sizes) for one in passing]
    function = _lambda(text, bucket, length, made.parameters, sizes)
    written = given.with_values((_LENGTH,), {_LENGTH: function}) if function is not None else None
    if written is None or None in calls:
        return None
    count, encode = free_name("with_sizes", *taken), free_name("on_bucket", *taken)
    names, called = ", ".join(made.parameters), f"{name}({', '.join(made.parameters)})"
    lines = [
        f"def {count}({names}):",
        *(f"    {size} = tf.cast({one}, tf.int32)" for size, one in zip(sizes, made.counts, strict=True)),
        f"    return {', '.join([names, *sizes])}",
        f"def {encode}({', '.join([names, *sizes])}):",
        f"    return {called}.to_tensor()" if made.alone else f"    return tuple(one.to_tensor() for one in {called})",
        in_place(
            {place.file: text},
            [stage, *passing, bucket],
            f".batch({_CHUNK}).map({count}, num_parallel_calls=tf.data.AUTOTUNE).unbatch(){''.join(map(str, calls))}"
            f".{_BUCKETS}({written}).map({encode}, num_parallel_calls=tf.data.AUTOTUNE)",
        ),
    ]
    words = (
        f"count the lengths of its results first, on batches of {_CHUNK} texts, put texts into buckets by them, and "
        "call it on the batch of each bucket"
    )
    return words, "\n".join(lines)


def _in_rows(maps: Sequence[Stage], after: Sequence[Stage]) -> tuple[str, str] | None:
    """Texts that are cut into rows of one length, many at once: a flat_map makes a dataset of each."""
    place, made = maps[0].location, maps[-1].element_spec or ()
    filters = list(itertools.takewhile(lambda one: traits(one.op).predicate and not traits(one.op).ends_early, after))
    rows = next(iter(after[len(filters) :]), None)
    if place is None or rows is None or [one.shape for one in made] != [[None]] or not traits(rows.op).opens:
        return None
    text = file_text(place.file)
    given = _arguments(text, rows)
    found = cut(text, given.by_place[0], place.line) if given is not None and given.by_place else None
    functions = [written_function(one) for one in maps]
    kept = [_condition(text, one) for one in filters]
    if found is None or None in functions or None in kept:
        return None
    taken = set(_WORD.findall(text))
    name, values = free_name("rows_of", *taken), "texts"
    for function in functions:
        values = f"{function.called}({values})" if function is not None else values
    of_kept = [
        "    values = tf.ragged.boolean_mask(values, "
        f"{str(one).replace(_SIZES, 'tf.cast(values.row_lengths(), tf.int32)')})"
        for one in kept
    ]
    if found.padded:
        last = [
            f"    missing = -values.row_lengths() % {found.length}",
            "    zeros = tf.zeros([tf.reduce_sum(missing)], values.dtype)",
            "    values = tf.concat([values, tf.RaggedTensor.from_row_lengths(zeros, missing)], 1)",
        ]
    else:
        last = [
            f"    whole = values.row_lengths() // {found.length} * {found.length}",
            "    places = tf.ragged.range(values.row_lengths())",
            "    values = tf.ragged.boolean_mask(values, places < whole[:, None])",
        ]
    calls = f".batch({_CHUNK}).map({name}, num_parallel_calls=tf.data.AUTOTUNE).unbatch()"
    lines = [
        f"def {name}(texts):",
        f"    values = {values}",
        *of_kept,
        *last,
        f"    return tf.reshape(values.values, [-1, {found.length}])",
        in_place({place.file: text}, [*maps, *filters, rows], calls),
    ]
    words = (
        f"batch {_CHUNK} texts, call it on the batch, and cut them into rows of {found.length} in the same call: "
        f"{stage_name(rows)} makes a dataset for each text"
    )
    return words, "\n".join(lines)


def _keeps_texts(stage: Stage) -> bool:
    """Whether a stage may come before the map: it chooses, orders or holds elements, whatever they are."""
    row = traits(stage.op)
    return (row.predicate and not row.ends_early) or row.shuffles or row.repeats or row.prefetches


def _arguments(text: str, stage: Stage) -> WrittenArguments | None:
    place = stage.location
    return arguments_given(text, place.line, place.column, place.call or stage.op) if place is not None else None


def _lambda(text: str, stage: Stage, given: str, names: Sequence[str], sizes: Sequence[str]) -> str | None:
    """A function of a map's results as one of what it gets and of the lengths of what it makes."""
    value = by_counts(text, given, stage.location.line, sizes) if given and stage.location is not None else None
    return f"lambda {', '.join([*names, *sizes])}: {value}" if value is not None else None


def _of_sizes(text: str, stage: Stage, names: Sequence[str], sizes: Sequence[str]) -> str | None:
    """The call of a stage that comes before the map now; None where it needs what the map makes."""
    if not traits(stage.op).predicate:
        return written_call(stage)
    given = _arguments(text, stage)
    function = _lambda(text, stage, given.by_place[0], names, sizes) if given is not None and given.by_place else None
    return f".filter({function})" if function is not None else None


def _condition(text: str, stage: Stage) -> str | None:
    """Which of many texts a filter keeps, by their lengths alone; None where it needs more."""
    given = _arguments(text, stage)
    if given is None or not given.by_place or stage.location is None:
        return None
    value = by_counts(text, given.by_place[0], stage.location.line, [_SIZES])
    return value if value is not None and is_of_each(value) else None


def maps_of_texts(line: Sequence[Stage], stage: Stage) -> list[Stage]:
    """Return a map with those in a row with it that take any number of texts; none where a batch comes next."""
    place = next((number for number, one in enumerate(line) if one.id == stage.id), 0)
    if not takes_texts(stage) or not place:
        return []
    first = place
    while first > 1 and takes_texts(line[first - 1]):
        first -= 1
    maps = list(itertools.takewhile(takes_texts, line[first:]))
    after = line[first + len(maps) :]
    texts = line[first - 1].element_spec or ()
    if not texts or any(one.dtype != "string" or one.shape != [] for one in texts):
        return []
    return [] if not after or traits(after[0].op).stacks else maps


def saved_by_chunks(maps: Iterable[Stage]) -> float:
    """Return the share of the pipeline's work that one call of maps for many texts saves.

    These are small ops, and all calls but one: to take the results apart costs a call for each again.
    """
    saved, calls = 0.0, [0.0]
    for stage in maps:
        ops, whole = sum(op.ms_per_batch for op in stage.ops or ()), stage.inside_ms or math.inf
        share = (stage.share or 0.0) * (whole < math.inf)
        saved += share * max(0.0, 1 - ops / whole)
        calls.append(share * min(1.0, (stage.calling_ms_per_batch or 0.0) / whole))
    return max(0.0, saved - max(calls)) * (1 - 1 / _CHUNK)


def is_of_texts(op: str) -> bool:
    """Whether an op takes any number of texts, or of what was made of them, each by itself."""
    return _OF_TEXTS.fullmatch(op) is not None


def takes_texts(stage: Stage) -> bool:
    """Return whether a map calls functions of texts and tables, as they are and with what they make."""
    if not traits(stage.op).maps or stage.random or stage.python or stage.loops or not stage.name:
        return False
    place = stage.location
    # Of one text, tf.strings.split takes a slice of its ragged tensor: only the file shows whose slice it is.
    if place is not None and takes_any_texts(file_text(place.file), stage.name, place.line):
        return True
    # Commands that measure nothing load the rules as well.
    from pipeprof.profiles.time.attribution.trace_work import MOST_OPS

    ops = {op.op for op in stage.ops or ()} - SILENT
    texts = set(filter(is_of_texts, ops)) - _OF_WHOLE
    # Slices, shapes and joins of one text's words are others of many texts; of many ops the list is cut.
    return bool(texts) and ops <= texts | ELEMENTWISE and len(stage.ops or ()) < MOST_OPS
