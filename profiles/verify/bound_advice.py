"""What one can do about a stage that is the limit and that no edit makes faster, by its kind: pure functions.

A stage that holds no code of the user's and only passes on what others make has no advice: others have it.
"""

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeprof.pipelines.graph.read.function_facts import ELEMENTWISE, SILENT
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.rewritten import Numbered, all_rounds, numbered, whole_arrays
from pipeprof.profiles.advise.edits.snippets import from_python
from pipeprof.profiles.advise.text.hot_lines import PYTHON_SHARE
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import PythonCost, Stage
from pipeprof.profiles.lines import inside, line_of
from pipeprof.profiles.time.attribution.trace_work import MOST_OPS
from pipeprof.profiles.time.top_stage import are_twins
from pipeprof.profiles.verify.file_points import Point, choose_point
from pipeprof.profiles.verify.guessing.replacements import replacements
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.view.texts import file_text, written_function
from pipeprof.profiles.view.view import ComponentView
from pipeprof.profiles.wording import as_typed, called, percent, size, stage_name, stage_place, stages_in_a_row

WAITS_FROM = 0.5
"""Share of a stage's time, blocked and not on a core, from which it waits."""
_CALLS = 16
"""Parallel calls of what waits."""

_CHUNK = 256
_OF_TEXTS = re.compile(r"Lookup\w+|\w*String\w*|\w*Regex\w+|Unicode\w+|Substr")
"""Ops that take any number of texts, or of what was made of them, each by itself."""
_OF_WHOLE = frozenset({"StringFormat"})
_NUMPY = {"string": "object"}


def in_own_python(stage: Stage) -> tuple[str, str] | None:
    """Return what to do about a stage that runs Python, and the lines that do it; None where no rewriting is known."""
    hot = max(stage.python or (), key=lambda cost: cost.ms_per_batch, default=None)
    if hot is None or hot.file is None or hot.line is None:
        return None
    if (loop := _without_loop(hot)) is not None:
        return loop
    row = traits(stage.op)
    if row.wrapped and row.computes:
        made = numbered(file_text(hot.file), hot.function, hot.line)
        return _by_number(stage, hot, made) if made is not None else None
    return _waiting(stage)


def _without_loop(hot: PythonCost) -> tuple[str, str] | None:
    """A loop over numbers in one line or two, on the whole array."""
    shares = hot.lines or [(hot.line or 0, 1.0)]
    made = whole_arrays(file_text(hot.file or ""), [line for line, _ in shares])
    if made is None:
        return None
    share = hot.share * sum(part for line, part in shares if made.first <= line <= made.last)
    if share < PYTHON_SHARE.value:
        return None
    at = f"{made.first}-{made.last}" if made.last > made.first else str(made.first)
    file = as_typed(hot.file or "").rpartition("/")[2]
    text = f"compute the loop of {called(hot.function)} ({file}:{at}), {percent(share)} of its time, on the whole array"
    return text, "\n".join([f"# in the place of lines {at}", *made.lines])


def _by_number(stage: Stage, hot: PythonCost, made: Numbered) -> tuple[str, str]:
    """A generator's elements, made in parallel calls of a map."""
    components = [
        ComponentView(one.dtype, tuple(one.shape) if one.shape is not None else None)
        for one in stage.element_spec or ()
    ]
    names = [one.name for one in stage.element_spec or () if not one.name.isdigit()]
    order = f"{'.shuffle(len(items))' if made.shuffled else ''}{'.repeat()' if made.endless else ''}"
    values, types = f"{made.name}(items[i])", [_NUMPY.get(one.dtype, one.dtype) for one in components]
    if names:
        values = f"[row[key] for row in [{values}] for key in {names}]"
    # A generator's values are cast to its signature, those of numpy_function are not.
    alone = len(types) == 1 and not names
    cast = f"np.asarray({values}, {types[0]!r})" if alone else f"list(map(np.asarray, {values}, {types}))"
    call = f"lambda i: {cast}, [i]"
    lines = [
        *made.before,
        f"items = list({made.items})",
        *made.function,
        "def element(i):",
        *(f"    {line}" for line in from_python(components, names, call, batched=False)),
        f"dataset = tf.data.Dataset.range(len(items)){order}  # in the place of from_generator",
        "dataset = dataset.map(element, num_parallel_calls=tf.data.AUTOTUNE)",
    ]
    text = f"make its elements in parallel calls of a map: {called(hot.function)} becomes a function of one element"
    return text, "\n".join(lines)


def _waiting(stage: Stage) -> tuple[str, str] | None:
    """More calls at a time of a function that waits, in a pool that has a thread for each."""
    whole, blocked = stage.time_ms_per_batch or 0.0, stage.blocked_ms_per_batch or 0.0
    if not traits(stage.op).maps or blocked < WAITS_FROM * whole or (stage.parallelism or 0.0) >= _CALLS:
        return None
    place = stage_place(stage)
    lines = [
        f".map({_given(stage)}, num_parallel_calls={_CALLS}){f'  # {place}' if place else ''}",
        "options = tf.data.Options()",
        f"options.threading.private_threadpool_size = {_CALLS}",
        "dataset = dataset.with_options(options)  # at the end",
    ]
    return f"let {_CALLS} calls wait at a time, with a thread for each", "\n".join(lines)


def without_rounds(stage: Stage) -> tuple[str, str] | None:
    """Return how a map's loop of TensorFlow is done without its rounds; None where the file does not show it."""
    place = stage.location
    made = all_rounds(file_text(place.file), stage.name, place.line) if stage.loops and place and stage.name else None
    if made is None or place is None:
        return None
    at = f"{made.first}-{made.last}"
    file = as_typed(place.file).rpartition("/")[2]
    text = f"do all rounds of its loop ({file}:{at}) at once: TensorFlow schedules the ops of each round one by one"
    if made.lines[0].startswith("for "):
        text = f"unroll its loop ({file}:{at}): with range, the ops of all rounds are in the graph, without a loop"
    return text, "\n".join([f"# in the place of lines {at}", *made.lines])


def texts_in_chunks(line: Sequence[Stage], stage: Stage) -> tuple[str, str] | None:
    """Return how maps of texts get many at once where no batch comes next; None for others.

    What they make of a text may have any length: unbatch gives each its own again.

    Args:
        line: The stages that follow each other where the stage is.
    """
    place = next((number for number, one in enumerate(line) if one.id == stage.id), 0)
    if not _takes_texts(stage) or not place:
        return None
    first = place
    while first > 1 and _takes_texts(line[first - 1]):
        first -= 1
    maps = list(itertools.takewhile(_takes_texts, line[first:]))
    after = line[first + len(maps) :]
    texts = line[first - 1].element_spec or ()
    if not texts or any(one.dtype != "string" or one.shape != [] for one in texts):
        return None
    if not after or traits(after[0].op).stacks:
        return None
    calls = [f".map({_given(one)}, num_parallel_calls=tf.data.AUTOTUNE)" for one in maps]
    at = stage_place(stage)
    text = (
        f"call it on {_CHUNK} texts at once: the functions of tf.strings and tables take any number of them, and "
        "unbatch gives each result its own length"
    )
    replaced = f"  # {at}, in the place of .map({_given(maps[0])}, …)" if at else ""
    # What unbatch makes of rows of different lengths is a ragged tensor, which padded batches refuse; a map's is none.
    made = maps[-1].element_spec or ()
    several = len(made) > 1 and all(one.name.isdigit() for one in made)
    lengths = any(one.shape is None or None in one.shape for one in made)
    dense = f".map(lambda {'*row' if several else 'row'}: row)" if lengths else ""
    return text, f".batch({_CHUNK}){''.join(calls)}.unbatch(){dense}{replaced}"


def _given(stage: Stage) -> str:
    """The function of a map as the file has it; else its name."""
    given = written_function(stage)
    return given.text if given is not None else stage_name(stage)


def _takes_texts(stage: Stage) -> bool:
    """Whether a map calls functions of texts and tables, as they are and with what they make."""
    if not traits(stage.op).maps or stage.random or stage.python or stage.loops or not stage.name:
        return False
    ops = {op.op for op in stage.ops or ()} - SILENT
    texts = {op for op in ops if _OF_TEXTS.fullmatch(op)} - _OF_WHOLE
    # Slices, shapes and joins of one text's words are others of many texts; of many ops the list is cut.
    return bool(texts) and ops <= texts | ELEMENTWISE and len(stage.ops or ()) < MOST_OPS


_SOURCE = "source"
_FLAG = "--convert-to"
_MANY = 64
"""Elements per batch from which on passing them one at a time may be what takes the time."""
_ABOUT_AS_COSTLY = 0.5
"""Of the work of the costliest side."""
_ROWS = "draw row numbers for a batch and take the rows with one tf.gather"


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        text: In one sentence, without its dot.
        python: Lines to paste; empty where only the sentence is known.
    """

    title: str
    text: str
    python: str = ""


def advice_for(profile: Profile, stage: Stage) -> Advice | None:
    """Return what one can do about a stage; None where it does nothing that could be less."""
    name, row = stage_name(stage), traits(stage.op)
    if row.combines:
        return _of_sides(profile, stage)
    if (own := _in_lines(profile, stage)) is not None:
        return Advice(f"Make {name} cheaper", *own)
    if (text := _of_function(stage)) is not None:
        return Advice(f"Make {name} cheaper", in_files(profile, stage, text))
    found: Advice | None = None
    if row.stacks:
        copied = f", now {size(stage.bytes_out_per_batch)} per batch" if stage.bytes_out_per_batch else ""
        text = f"copy fewer bytes into a batch{copied}: smaller elements, or types such as uint8 that the step casts"
        found = Advice(f"Copy less in {name}", text)
    elif row.unbatches:
        text = "keep its batches together, or take them apart after the costly stages: each element costs a call"
        found = Advice(f"Give fewer elements in {name}", text)
    elif stage.id == _SOURCE and not (row.cheap or row.in_memory or row.generates_numbers or row.reorders):
        text = "read less: smaller records, no compression, or several files at a time if there are several"
        found = Advice(f"Read less in {name}", text)
    return found


def _in_lines(profile: Profile, stage: Stage) -> tuple[str, str] | None:
    """What to do about a stage, with the lines to write; None where they are not known."""
    return in_own_python(stage) or without_rounds(stage) or texts_in_chunks(line_of(profile, stage.id), stage)


def name_together(stages: Sequence[Stage]) -> str:
    """Name stages that one line of the program makes, or that follow each other."""
    twins = len(stages) > 1 and are_twins(stages)
    return f"the {len(stages)} stages of {stage_name(stages[0])}" if twins else stages_in_a_row(stages)


def advice_together(profile: Profile, stages: Sequence[Stage]) -> Advice | None:
    """Return what one can do about such stages."""
    name = name_together(stages)
    if are_twins(stages):
        advice = advice_for(profile, stages[0])
        return replace(advice, title=f"Make {name} cheaper") if advice is not None else None
    text = f"{name}: do less in them, on whole batches if possible, or do their work once, before the run"
    return Advice(f"Make {len(stages)} stages in a row cheaper", in_files(profile, stages[-1], text))


def _of_sides(profile: Profile, stage: Stage) -> Advice | None:
    """What to do about a stage that waits for others: it is the costliest of them."""
    sides = [side for side in inside(profile, stage) if side.share]
    side = max(sides, key=lambda side: side.share or 0.0, default=None)
    text = _of_function(side) if side is not None else None
    name = stage_name(stage)
    # What can be written comes before what costs a little more.
    costly = [one for one in sides if side is not None and (one.share or 0.0) >= _ABOUT_AS_COSTLY * (side.share or 0.0)]
    for one in sorted(costly, key=lambda one: -(one.share or 0.0)):
        if (own := _in_lines(profile, one)) is not None:
            return Advice(f"Make {stage_name(one)} in {name} cheaper", *own)
    if side is None or text is None:
        count = round((stage.bytes_out_per_batch or 0.0) / (stage.bytes_per_element or math.inf))
        text = f"each of its {count:,} elements per batch passes alone: batch the datasets that it reads, or {_ROWS}"
        return Advice(f"Choose whole batches in {name}", text) if count >= _MANY else None
    return Advice(f"Make {stage_name(side)} in {name} cheaper", in_files(profile, stage, text))


def _of_function(stage: Stage) -> str | None:
    """What to do about a stage that runs the user's code; None for other stages."""
    row = traits(stage.op)
    if row.function is None and not row.opaque:
        return None
    if row.wrapped and row.computes:
        return "store its elements in files that TensorFlow reads, or make several of it side by side"
    if runs_python(stage):
        return _of_python(stage)
    if instead := replacements(stage):
        return instead
    less = "do less in it, or do its work once, before the run"
    return f"replace its loop by ops on whole tensors, {less}" if stage.loops else less


def _of_python(stage: Stage) -> str:
    """What to do about the Python function that takes most of the time."""
    hot = max(stage.python or (), key=lambda cost: cost.ms_per_batch, default=None)
    if hot is None or hot.file is None or hot.line is None:
        return "write its Python as TensorFlow ops, or do its work once, before the run"
    where = f"{called(hot.function)} ({as_typed(hot.file).rpartition('/')[2]}:{hot.line})"
    return f"write {where} as TensorFlow ops, called in the map itself, or do its work once, before the run"


def in_files(profile: Profile, stage: Stage, text: str) -> str:
    """Add the command that does a stage's work once, where what it gives can be kept in files."""
    point = choose_point(profile)
    if not isinstance(point, Point) or point.for_memory or stage.id not in point.stages:
        return text
    command = f"pipeprof fix {shlex.quote(profile.target.text)} {_FLAG} FOLDER"
    return f"{text.removesuffix('.')}; {command} does the work of {stage_name(stage)} once"


def add_command(profile: Profile, finding: Finding, stages: Sequence[str]) -> None:
    """Add that command to a finding whose upper bound is a gain, unless it has it already."""
    text = finding.change or finding.recommendation
    last = next((stage for stage in profile.stages or () if stage.id == stages[-1]), None)
    if finding.status == "ceiling" and text and last is not None and _FLAG not in text:
        finding.change = in_files(profile, last, text)
