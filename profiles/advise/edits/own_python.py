"""The user's code as it could be written, for a stage that is the limit: lines to paste."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.by_batch import calls_tensorflow, wrapped
from pipeprof.pipelines.static.imports import in_file
from pipeprof.pipelines.static.instead.augmented import augmented
from pipeprof.pipelines.static.instead.tensors import definition_of, in_tensors
from pipeprof.pipelines.static.numbered import Numbered, numbered
from pipeprof.pipelines.static.rewritten import all_rounds, function_before, in_numpy, same_in_all_rounds, whole_arrays
from pipeprof.profiles.advise.edits.generator_code import by_number, in_ops
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
_DTYPES = re.compile(r"tf\.(\w+)")
_CALLS = 16
"""Parallel calls of what waits."""

OF_INTERVAL = 0.5
"""Part of the time of a batch in which the only call of a map computes, from which more calls are proposed."""
_TWO = 2
_LOOP_FROM = 0.2
"""Share of the time with the GIL that a loop over numbers takes, from which it is written on the whole array where
calls take turns: lines that wait for the GIL count as well, so that a loop of 0.37 was seen as 0.26."""
LOADS_FROM = 0.2
"""Share of a map's time that reads or decodes, from which a loop that does it again is looked for."""
_LOADS = ("Decode", "Parse", "ReadFile")


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
    known = loop or elements_by_number(stage) or _augmented(stage)
    if known is None and (eager := without_eager(stage)) is not None and eager.share >= PYTHON_SHARE.value:
        return eager.text, "\n".join(eager.lines)
    return _in_ops(stage, hot) if known is None and hot is not None else known


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
        what = (
            f"use NumPy in place of {listed(made.calls)} in {called(cost.function)}, where each is a call of TensorFlow"
        )
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
        return text, in_its_file(stage, line)
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
    if share < (_LOOP_FROM if held < 1 else PYTHON_SHARE.value) * held:
        return None
    beside = " in calls side by side" if held < 1 else ""
    at = f"{made.first}-{made.last}" if made.last > made.first else str(made.first)
    file = as_typed(hot.file or "").rpartition("/")[2]
    part = f"{percent(share)} of its time{beside}"
    text = f"compute the loop of {called(hot.function)} ({file}:{at}), {part}, on the whole array"
    lines = "\n".join([f"# in place of lines {at}", *made.lines])
    return text, in_file(lines, file_text(hot.file or ""))


def _by_number(stage: Stage, hot: PythonCost, made: Numbered) -> tuple[str, str] | None:
    """A generator's elements, made in parallel calls of a map; in TensorFlow's ops where NumPy holds the GIL."""
    components = _components(stage)
    keys = [one.name for one in stage.element_spec or ()]
    if not any("." in key for key in keys):
        # A component has the name of what it becomes: only the code shows what the generator itself gives.
        keys = list(made.keys or (["0"] if len(keys) == 1 else ()))
    text = (
        f"turn {called(hot.function)} into a function that makes one element, and call it in a map with parallel calls"
    )
    drawn = "; the order of its random numbers changes" if made.random else ""
    held, file = hot.lock_share or 0.0, file_text(hot.file or "")
    types = {key: one.dtype for key, one in zip(keys, components, strict=False)}
    ops = in_tensors("\n".join(made.function), file, types)
    lines = by_number(made, components, keys, [stage], ops=ops)
    if lines is None:
        return None
    lines = in_file(lines, file)
    if ops is None and held < _LOCKED_FROM:
        return text + drawn, lines
    text = "make its elements in a map with parallel calls, with TensorFlow's ops in place of NumPy"
    if held >= _LOCKED_FROM:
        text += f": {called(hot.function)} holds the GIL {percent(held)} of the time, in which calls take turns"
    if ops is not None:
        drawn = "; its random numbers are others then" if ops.random else drawn
        return f"{text}{drawn}", lines
    return text + drawn, f"# to be written with TensorFlow's ops: {made.name}\n{lines}"


def _in_ops(stage: Stage, hot: PythonCost) -> tuple[str, str] | None:
    """What a `numpy_function` computes on what it has read, with TensorFlow's ops in the map itself."""
    given, place = written_function(stage), stage.location
    file = file_text(hot.file or "")
    # Functions in several functions may have one name: that of a call is the last one before it.
    before = function_before(file, given.text, place.line) if given is not None and place is not None else None
    found = wrapped(ast.unparse(before)) if before is not None else None
    defined = definition_of(file, hot.function)
    if found is None or given is None or place is None or defined is None or place.file != hot.file:
        return None
    types, components = _DTYPES.findall(found.types), _components(stage)
    if found.function != hot.function or len(types) != len(found.outputs) or len(components) != len(found.results):
        return None
    made = in_tensors(defined.text, file, {str(at): one for at, one in enumerate(types)})
    # What the map's function gives as it got it must have its name still.
    if made is None or not {*found.results}.isdisjoint({*found.parameters} & {*made.names}):
        return None
    first, last = (defined.line + line - 1 for line in made.lines)
    share = hot.share * sum(part for line, part in hot.lines or () if first <= line <= last)
    if hot.parent != _GETS_ARRAYS or share < PYTHON_SHARE.value:
        return None
    text = (
        f"do what {called(hot.function)} computes (lines {first}-{last}, {percent(share)} of its time) with "
        "TensorFlow's ops in the map itself: only reading stays Python"
        f"{'; its random numbers are others then' if made.random else ''}"
    )
    lines = in_ops(found, defined.parameters, given.text, made, components)
    return text, in_file("\n".join([f"# in place of {called(given.text)}, {stage_place(stage)}", *lines]), file)


def _augmented(stage: Stage) -> tuple[str, str] | None:
    """What a library does with each picture in Python, in TensorFlow's ops."""
    for cost in stage.python or ():
        text = file_text(cost.file or "")
        made = augmented(text, cost.function) if cost.file is not None else None
        if made is None:
            continue
        words = (
            f"apply the transforms of {called(cost.function)} in TensorFlow's ops, called in the map itself: its "
            "random numbers are others then, and pictures are not rounded between two transforms"
        )
        call = f"{made.instead}  # line {made.line}, in place of {made.call}"
        return words, in_file("\n".join([*made.lines, call]), text)
    return None


def _components(stage: Stage) -> list[ComponentView]:
    return [
        ComponentView(one.dtype, tuple(one.shape) if one.shape is not None else None)
        for one in stage.element_spec or ()
    ]


def _waiting(stage: Stage) -> tuple[str, str] | None:
    """More calls at a time of a function that waits without the GIL, in a pool that has a thread for each."""
    whole, blocked, hot = stage.time_ms_per_batch or 0.0, stage.blocked_ms_per_batch or 0.0, _hottest(stage)
    if not traits(stage.op).maps or not blocked >= WAITS_FROM * whole > 0 or (stage.parallelism or 0.0) >= _CALLS:
        return None
    if hot is not None and (hot.lock_share or 0.0) >= _LOCKED_FROM:
        return None
    place = stage_place(stage)
    lines = [
        f".map({given_text(stage)}, num_parallel_calls={_CALLS}){f'  # {place}' if place else ''}",
        "options = tf.data.Options()",
        f"options.threading.private_threadpool_size = {_CALLS}",
        "dataset = dataset.with_options(options)  # at the end",
    ]
    return f"let {_CALLS} calls wait at a time, with a thread for each", in_its_file(stage, "\n".join(lines))


def in_parallel(profile: Profile, stage: Stage) -> tuple[str, str] | None:
    """Several calls at a time of a map of TensorFlow ops, whose one call keeps a core busy while others are idle."""
    interval = profile.steps.interval_ms.mean if profile.steps is not None else 0.0
    one_call = stage.parallelism is not None and stage.parallelism <= 1.0 and not stage.tunable
    if not one_call or not traits(stage.op).maps or not traits(stage.op).parallel:
        return None
    if (profile.host.cores or 1.0) < _TWO or (stage.active_ms or 0.0) < OF_INTERVAL * interval or not interval:
        return None
    place = stage_place(stage)
    line = f".map({given_text(stage)}, num_parallel_calls=tf.data.AUTOTUNE){f'  # {place}' if place else ''}"
    drawn = "; its random numbers then come to other elements" if stage.random else ""
    return f"run several calls of it at a time: now one core does all of its work{drawn}", in_its_file(stage, line)


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
    return text, in_its_file(stage, "\n".join([f"# in place of lines {at}", *made.lines]))


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
    return text, in_its_file(stage, "\n".join([f"# before the loop, in place of line {at}", *same.lines]))


def in_its_file(stage: Stage, lines: str) -> str:
    """Lines with the names that the file of a stage has for modules."""
    return in_file(lines, file_text(stage.location.file)) if stage.location is not None else lines


def given_text(stage: Stage) -> str:
    """The function of a map as the file has it; else its name."""
    given = written_function(stage)
    return given.text if given is not None else stage_name(stage)
