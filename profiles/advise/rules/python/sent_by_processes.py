"""``sent-by-processes``: a generator that gets its elements from other processes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from pipeprof.pipelines.static.instead.tensors import InTensors, definition_of, in_tensors
from pipeprof.pipelines.static.numbered import Numbered, of_a_pool
from pipeprof.profiles.advise.edits.generator_code import by_number
from pipeprof.profiles.advise.edits.snippets import flat_keys
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.hot_lines import PYTHON_SHARE, TIME_SHARE, OfHotLine
from pipeprof.profiles.propose.proposal import Semantics
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import ComponentView, HotSpot, PipelineView, StageView
from pipeprof.profiles.wording import size

_PICTURE = 3
"""Dimensions of a picture: height, width and channels."""


class SentByProcesses(OfHotLine, Rule):
    """A generator that gets its elements from other processes.

    Seen:
        Much of the time inside the pipeline's Python is spent taking results from a pool of processes.

    Why:
        Each element is pickled in one process, sent through a pipe, and unpickled on the one thread of the generator,
        which then hands it over to TensorFlow. That thread sets the pace, however many processes there are, and each of
        them has a copy of the program's memory.

    Fix:
        Make a dataset of what the pool is given (indices, names of files), and call the function in a map with parallel
        calls: with TensorFlow's ops, or by tf.numpy_function where it releases the GIL.

    Ignore when:
        Elements are small and take long to make.
    """

    name = "sent-by-processes"
    title = "Load in a parallel map, not in other processes"
    family = "speed"
    semantics = "values"
    thresholds = (PYTHON_SHARE, TIME_SHARE)
    kinds = frozenset({"processes"})

    def title_of(self, spot: HotSpot) -> str:
        """The title of the rule."""
        del spot
        return "Load in a parallel map, not in other processes"

    def what(self, spot: HotSpot) -> str:
        """State what the thread does."""
        del spot
        return "receives each element from another process, on one thread"

    def effect(self, spot: HotSpot, code: str) -> Semantics | None:
        """Ops draw numbers of their own."""
        return "randomness" if "tf.random." in code else super().effect(spot, code)

    def fix_of(self, spot: HotSpot, stage: StageView, code: str) -> str:
        """The map, with the names of the call."""
        function, items = _given(spot.call.text)
        each = (
            f", {size(stage.measured.bytes_per_element)} each,"
            if stage.measured is not None and stage.measured.bytes_per_element
            else ""
        )
        gil = "with TensorFlow's ops if it holds the GIL"
        if code:
            # Only a function in two parts is written anew.
            how = "reading in Python and computing in TensorFlow's ops" if "def read_" in code else gil
            drawn = "; its random numbers are others then" if self.effect(spot, code) == "randomness" else ""
            return f"Elements{each} cross a pipe: call {function} in a map with parallel calls, {how}{drawn}"
        of = f"what the pool is given ({items})" if items else "what the pool is given"
        return (
            f"Elements{each} cross a pipe: make a dataset of {of}, and call {function} in its map, with parallel calls "
            f"and through {_wrapped(function, stage)}; {gil}"
        )

    def python_of(self, spot: HotSpot, stage: StageView, view: PipelineView) -> str:
        """The source and the map, which call the pool's function as it is; empty where the file does not show them."""
        del view
        text, parts = file_text(spot.location.file), stage.element or ()
        made = of_a_pool(text, spot.call.function, spot.call.line)
        if made is None:
            return ""
        ops = _ops_of(made, text, parts)
        if ops is not None and (code := by_number(ops[0], parts, flat_keys(stage), [stage], ops=ops[1])):
            return code
        return by_number(made, parts, flat_keys(stage), [stage]) or ""


def _ops_of(made: Numbered, text: str, parts: Sequence[ComponentView]) -> tuple[Numbered, InTensors] | None:
    """The pool's function in two, reading in Python and computing in ops; None where it has no such form."""
    defined = definition_of(text, made.name)
    pictures = all(one.shape is not None and len(one.shape) == _PICTURE for one in parts)
    types = {str(at): one.dtype for at, one in enumerate(parts)}
    ops = in_tensors(defined.text, text, types, pictures=pictures) if defined is not None else None
    if defined is None or ops is None or "," in defined.parameters:
        return None
    return replace(made, function=tuple(defined.text.splitlines())), ops


def _given(text: str) -> tuple[str, str]:
    """The function and the items that a pool is given; the items are empty where the call does not have them."""
    match ast.parse(text, mode="eval").body:
        case ast.Call(args=[function, items, *_]):
            return ast.unparse(function), ast.unparse(items)
    return "the function", ""


def _wrapped(function: str, stage: StageView) -> str:
    """The call of a function of NumPy in a map, with the types and shapes of this stage."""
    parts = stage.element or ()
    if not parts:
        return "tf.numpy_function"
    types, shapes = [f"tf.{one.dtype}" for one in parts], [list(one.shape) if one.shape else [] for one in parts]
    given = types[0] if len(types) == 1 else f"[{', '.join(types)}]"
    known = f" and set_shape({shapes[0]})" if len(shapes) == 1 and parts[0].shape is not None else " and set_shape"
    return f"tf.numpy_function({function}, [item], {given}){known}"
