"""The user's code as it could be written, for a stage that is the limit: lines to paste."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.read.function_facts import ELEMENTWISE, SILENT
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.by_batch import calls_tensorflow, wrapped
from pipeprof.pipelines.static.imports import in_file
from pipeprof.pipelines.static.numbered import Numbered, numbered
from pipeprof.pipelines.static.rewritten import all_rounds, in_numpy, same_in_all_rounds, takes_any_texts, whole_arrays
from pipeprof.profiles.advise.edits.generator_code import by_number
from pipeprof.profiles.advise.text.hot_lines import PYTHON_SHARE
from pipeprof.profiles.view.texts import file_text, written_function
from pipeprof.profiles.view.view import ComponentView
from pipeprof.profiles.wording import as_typed, called, listed, percent, stage_name, stage_place

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import PythonCost, Stage

WAITS_FROM = 0.5
"""Share of a stage's time, blocked and not on a core, from which it waits."""
_LOCKED_FROM = 0.3
"""Share of a function's time with the GIL from which parallel calls of it bring next to nothing: 0.99 times as much at
0.47, with NumPy on arrays of 150 KB and 2 cores."""
_GETS_ARRAYS = "PyFunc"
"""The op of `tf.numpy_function`: a `py_function` gets tensors."""
_CALLS = 16
"""Parallel calls of what waits."""

OF_INTERVAL = 0.5
"""Part of the time of a batch in which the only call of a map computes, from which more calls are proposed."""
_TWO = 2
LOADS_FROM = 0.2
"""Share of a map's time that reads or decodes, from which a loop that does it again is looked for."""
_LOADS = ("Decode", "Parse", "ReadFile")
_CHUNK = 256
_OF_TEXTS = re.compile(r"Lookup\w+|\w*String\w*|\w*Regex\w+|Unicode\w+|Substr")
_OF_WHOLE = frozenset({"StringFormat"})


def in_own_python(stage: Stage) -> tuple[str, str] | None:
    """Return what to do about a stage that runs Python, and the lines that do it; None where no rewriting is known."""
    if (itself := _called_itself(stage)) is not None:
        return itself
    if (own := in_less_python(stage)) is not None or _hottest(stage) is None:
        return own
    row = traits(stage.op)
    return None if row.wrapped and row.computes else _waiting(stage)


def in_less_python(stage: Stage) -> tuple[str, str] | None:
    """Return the same of what computes in Python, where it can compute less of it, or in parallel."""
    hot = _hottest(stage)
    loop = _without_loop(stage, hot) if hot is not None else None
    known = loop if loop is not None else elements_by_number(stage)
    if known is None and (eager := without_eager(stage)) is not None and eager.share >= PYTHON_SHARE.value:
        return eager.text, "\n".join(eager.lines)
    return known


@dataclass(frozen=True)
class Eager:
    """Ops of TensorFlow that a `numpy_function` calls one by one, in NumPy instead.

    Attributes:
        text: What to do.
        lines: What to write.
        share: Of the time in Python, 0 to 1, that the lines take.
    """

    text: str
    lines: tuple[str, ...]
    share: float


def without_eager(stage: Stage, but: int | None = None) -> Eager | None:
    """Return the costliest function that gets arrays and calls TensorFlow, with NumPy in its place; None without one.

    Args:
        but: A line that is written anew otherwise.
    """
    found = []
    for cost in stage.python or ():
        text = file_text(cost.file or "")
        made = in_numpy(text, cost.function) if cost.parent == _GETS_ARRAYS else None
        if made is None or any(line == but for line, _ in made.lines):
            continue
        rewritten = dict(made.lines)
        share = cost.share * sum(part for line, part in cost.lines or () if line in rewritten)
        what = f"write {listed(made.calls)} in {called(cost.function)}, which run there op by op, with NumPy"
        lines = [f"{new}  # line {line}, in {called(cost.function)}" for line, new in made.lines]
        found.append(Eager(what, tuple(in_file("\n".join(lines), text).splitlines()), share))
    return max(found, key=lambda one: one.share, default=None)


def elements_by_number(stage: Stage) -> tuple[str, str] | None:
    """Return the same of a generator whose elements can be made in parallel calls of a map; None for others."""
    hot, row = _hottest(stage), traits(stage.op)
    if hot is None or hot.line is None or not (row.wrapped and row.computes):
        return None
    made = numbered(file_text(hot.file or ""), hot.function, hot.line)
    return _by_number(stage, hot, made) if made is not None else None


def is_called_itself(stage: Stage) -> bool:
    """Whether a map's way through Python leads to nothing but calls of TensorFlow."""
    return _called_itself(stage) is not None


def _called_itself(stage: Stage) -> tuple[str, str] | None:
    """A function of Python that calls nothing but TensorFlow, called in the map without a way through Python."""
    place, given = stage.location, written_function(stage) if stage.python else None
    found = wrapped(given.definition or given.text) if given is not None else None
    if place is None or given is None or found is None or not calls_tensorflow(file_text(place.file), found.function):
        return None
    text = f"call {called(found.function)} itself, without {found.wrapper}: all that it calls is TensorFlow"
    call, at = f"{found.function}({', '.join(found.inputs)})", f"in place of {found.call}"
    if not given.definition:
        whole = given.text.replace(found.call, call)
        line = f".map({whole}, num_parallel_calls=tf.data.AUTOTUNE)  # {stage_place(stage)}"
        return text, _in_its_file(stage, line)
    return text, f"{', '.join(found.outputs)} = {call}  # in {called(given.text)}, {at}"


def _hottest(stage: Stage) -> PythonCost | None:
    """The function with most of the time; None where its lines are not known."""
    hot = max(stage.python or (), key=lambda cost: cost.ms_per_batch, default=None)
    return hot if hot is not None and hot.file is not None and hot.line is not None else None


def _without_loop(stage: Stage, hot: PythonCost) -> tuple[str, str] | None:
    """A loop over numbers in one line or two, on the whole array.

    It holds the GIL all of the time: calls that run side by side take turns for it, so that its part of the time with
    the GIL held counts.
    """
    shares = hot.lines or [(hot.line or 0, 1.0)]
    made = whole_arrays(file_text(hot.file or ""), [line for line, _ in shares])
    if made is None:
        return None
    share = hot.share * sum(part for line, part in shares if made.first <= line <= made.last)
    held = max(hot.lock_share or 1.0, share) if (stage.parallelism or 1.0) > 1 else 1.0
    if share < PYTHON_SHARE.value * held:
        return None
    of_lock = f" and {percent(share / held)} of that with the GIL held" if held < 1 else ""
    at = f"{made.first}-{made.last}" if made.last > made.first else str(made.first)
    file = as_typed(hot.file or "").rpartition("/")[2]
    part = f"{percent(share)} of its time{of_lock}"
    text = f"compute the loop of {called(hot.function)} ({file}:{at}), {part}, on the whole array"
    lines = "\n".join([f"# in place of lines {at}", *made.lines])
    return text, in_file(lines, file_text(hot.file or ""))


def _by_number(stage: Stage, hot: PythonCost, made: Numbered) -> tuple[str, str] | None:
    """A generator's elements, made in parallel calls of a map; in TensorFlow's ops where NumPy holds the GIL."""
    components = [
        ComponentView(one.dtype, tuple(one.shape) if one.shape is not None else None)
        for one in stage.element_spec or ()
    ]
    keys = [one.name for one in stage.element_spec or ()]
    if not any("." in key for key in keys):
        # A component has the name of what it becomes: only the code shows what the generator itself gives.
        keys = list(made.keys or (["0"] if len(keys) == 1 else ()))
    text = f"make its elements in parallel calls of a map: {called(hot.function)} becomes a function of one element"
    drawn = "; the order of its random numbers changes" if made.random else ""
    lines = by_number(made, components, keys, [stage])
    if lines is None:
        return None
    lines = in_file(lines, file_text(hot.file or ""))
    if (held := hot.lock_share or 0.0) < _LOCKED_FROM:
        return text + drawn, lines
    text = (
        "make its elements in parallel calls of a map, with TensorFlow's ops in place of NumPy: "
        f"{called(hot.function)} holds the GIL {percent(held)} of the time, so calls take turns"
    )
    return text + drawn, f"# to be written with TensorFlow's ops: {made.name}\n{lines}"


def _waiting(stage: Stage) -> tuple[str, str] | None:
    """More calls at a time of a function that waits without the GIL, in a pool that has a thread for each."""
    whole, blocked, hot = stage.time_ms_per_batch or 0.0, stage.blocked_ms_per_batch or 0.0, _hottest(stage)
    if not traits(stage.op).maps or not blocked >= WAITS_FROM * whole > 0 or (stage.parallelism or 0.0) >= _CALLS:
        return None
    if hot is not None and (hot.lock_share or 0.0) >= _LOCKED_FROM:
        return None
    place = stage_place(stage)
    lines = [
        f".map({_given(stage)}, num_parallel_calls={_CALLS}){f'  # {place}' if place else ''}",
        "options = tf.data.Options()",
        f"options.threading.private_threadpool_size = {_CALLS}",
        "dataset = dataset.with_options(options)  # at the end",
    ]
    return f"let {_CALLS} calls wait at a time, with a thread for each", _in_its_file(stage, "\n".join(lines))


def in_parallel(profile: Profile, stage: Stage) -> tuple[str, str] | None:
    """Several calls at a time of a map of TensorFlow ops, whose one call keeps a core busy while others are idle."""
    interval = profile.steps.interval_ms.mean if profile.steps is not None else 0.0
    one_call = stage.parallelism is not None and stage.parallelism <= 1.0 and not stage.tunable
    if not one_call or not traits(stage.op).maps or not traits(stage.op).parallel:
        return None
    if (profile.host.cores or 1.0) < _TWO or (stage.active_ms or 0.0) < OF_INTERVAL * interval or not interval:
        return None
    place = stage_place(stage)
    line = f".map({_given(stage)}, num_parallel_calls=tf.data.AUTOTUNE){f'  # {place}' if place else ''}"
    drawn = "; its random numbers then come to other elements" if stage.random else ""
    return f"run several calls of it at a time: now one core does all of its work{drawn}", _in_its_file(stage, line)


def without_rounds(stage: Stage) -> tuple[str, str] | None:
    """Return how a map's loop of TensorFlow is done without its rounds; None where the file does not show it."""
    place = stage.location
    if (moved := _before_loop(stage)) is not None:
        return moved
    made = all_rounds(file_text(place.file), stage.name, place.line) if stage.loops and place and stage.name else None
    if made is None or place is None:
        return None
    at = f"{made.first}-{made.last}"
    file = as_typed(place.file).rpartition("/")[2]
    text = f"do all rounds of its loop ({file}:{at}) at once: TensorFlow schedules the ops of each round one by one"
    if made.lines[0].startswith("for "):
        text = f"unroll its loop ({file}:{at}): with range, the ops of all rounds are in the graph, without a loop"
    return text, _in_its_file(stage, "\n".join([f"# in place of lines {at}", *made.lines]))


def _before_loop(stage: Stage) -> tuple[str, str] | None:
    """What a loop reads or decodes again in each round, such as one picture for each of its crops."""
    place, ops = stage.location, stage.ops or ()
    loading = sum(op.ms_per_batch for op in ops if op.op.startswith(_LOADS))
    if not stage.loops or place is None or not stage.name or loading < LOADS_FROM * (stage.active_ms or math.inf):
        return None
    same = same_in_all_rounds(file_text(place.file), stage.name, place.line)
    if same is None:
        return None
    at = f"{same.first}-{same.last}" if same.last > same.first else str(same.first)
    file = as_typed(place.file).rpartition("/")[2]
    text = f"read and decode before its loop, not in each round ({file}:{at}): no round changes it"
    return text, _in_its_file(stage, "\n".join([f"# before the loop, in place of line {at}", *same.lines]))


def texts_in_chunks(line: Sequence[Stage], stage: Stage) -> tuple[str, str] | None:
    """Return how maps of texts get many at once where no batch comes next; None for others.

    What they make of a text may have any length: unbatch gives each its own again.

    Args:
        line: The stages that follow each other where the stage is.
    """
    maps = maps_of_texts(line, stage)
    if not maps:
        return None
    calls = [f".map({_given(one)}, num_parallel_calls=tf.data.AUTOTUNE)" for one in maps]
    at = stage_place(maps[0])
    replaced = f"  # {at}, in place of {''.join(f'.map({_given(one)}, …)' for one in maps)}" if at else ""
    # What unbatch makes of rows of different lengths is a ragged tensor, which padded batches refuse; a map's is none.
    made = maps[-1].element_spec or ()
    several = len(made) > 1 and all(one.name.isdigit() for one in made)
    lengths = any(one.shape is None or None in one.shape for one in made)
    dense = f".map(lambda {'*row' if several else 'row'}: row)" if lengths else ""
    text = (
        f"call it on {_CHUNK} texts at once: the functions of tf.strings and tables take any number of them, and "
        "unbatch gives each result its own length"
    )
    if dense:
        text += " (the map after it makes plain tensors of ragged ones)"
    return text, _in_its_file(stage, f".batch({_CHUNK}){''.join(calls)}.unbatch(){dense}{replaced}")


def _in_its_file(stage: Stage, lines: str) -> str:
    """Lines with the names that the file of a stage has for modules."""
    return in_file(lines, file_text(stage.location.file)) if stage.location is not None else lines


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


def _given(stage: Stage) -> str:
    """The function of a map as the file has it; else its name."""
    given = written_function(stage)
    return given.text if given is not None else stage_name(stage)


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
