"""Rows that Python takes one by one, taken for a whole batch at once: the code for the pipeline at hand."""

from __future__ import annotations

from pipeprof.pipelines.static.by_batch import rows_at_once, without_tensors, wrapped
from pipeprof.pipelines.static.hot_calls import HotCall, made_anew
from pipeprof.pipelines.static.numbered import numbered
from pipeprof.pipelines.static.unchanging import unknown_names
from pipeprof.profiles.advise.batch_savings import batching
from pipeprof.profiles.advise.edits.generator_code import Batches, by_number, on_batches
from pipeprof.profiles.advise.edits.in_place import in_place
from pipeprof.profiles.advise.edits.snippets import flat_keys, stage_call
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import HotSpot, PipelineView, StageView

_ROWS = 64
ON_A_BATCH = "on_a_batch"
"""Name of a map's function that gets a batch."""
STILL_ROWS = "still a loop over the rows, in one call: NumPy on whole arrays may gain more"


def rows_of_batches(spot: HotSpot, stage: StageView, view: PipelineView) -> str:
    """Lines that take the rows of a batch with one access; empty where the file does not show how."""
    text, call = file_text(spot.location.file), spot.call
    before, after, replaced = batch_calls(stage, view)
    if stage.op == "from_generator":
        made = numbered(text, call.function, call.line)
        rows = rows_at_once("\n".join(made.function), made.name, 1, text) if made is not None else None
        if made is None or rows is None:
            return ""
        batches = Batches(rows, before, after)
        return by_number(made, stage.element or (), flat_keys(stage), replaced, batches=batches) or ""
    rows = rows_at_once(text, call.function, call.line)
    given = stage.given
    found = wrapped(given.definition or given.text) if given is not None else None
    components = stage.element or ()
    if rows is None or found is None or found.function != call.function or len(found.results) != len(components):
        return ""
    name = f"{call.function}_batch"
    code = "\n".join(
        [
            *rows.lines,
            *on_batches(found, rows.name, components, name),
            in_place(view.texts, replaced, f"{before}.map({name}, num_parallel_calls=tf.data.AUTOTUNE){after}"),
        ]
    )
    place = stage.location
    return code if place is None or not unknown_names(code, text, place.line) else ""


def batch_calls(stage: StageView, view: PipelineView) -> tuple[str, str, list[StageView]]:
    """The call that makes batches of what a stage gets, the one that takes them apart, and the stages that go.

    The second one is empty where a batch follows anyway.
    """
    batch = batching(view, stage)
    if batch is None or batch.between:
        return f".batch({_ROWS})", ".unbatch()", [stage]
    return stage_call(batch.stage, batch.stage.arguments), "", [stage, batch.stage]


def called_once(view: PipelineView, stage: StageView) -> list[str]:
    """Return a map's function as `ON_A_BATCH`, with its own Python; empty where the file does not show it."""
    found = wrapped(stage.given.definition or stage.given.text) if stage.given is not None else None
    components = stage.element or ()
    sized = all(one.shape is not None and None not in one.shape for one in components)
    if found is None or not sized or len(found.results) != len(components):
        return []
    function = f"({found.function})" if found.function.startswith("lambda") else found.function
    place = stage.location
    text = view.texts.get(place.file, "") if place is not None else ""
    wrapper, own, rows = found.wrapper, "", "*rows"
    if wrapper.endswith("py_function"):
        # A value of NumPy costs less than a tensor of a row.
        name = f"{found.function}_row"
        own = without_tensors(text, found.function, name) or ""
        if own:
            function, wrapper = name, wrapper.replace("py_function", "numpy_function")
        else:
            # One op takes all rows of a tensor apart; to iterate over it takes one for each, and is no faster.
            rows = "*map(tf.unstack, rows)"
    each = f"{function}(*row) for row in zip({rows})"
    stacked = f"np.stack([{each}])" if len(found.outputs) == 1 else f"[np.stack(one) for one in zip(*({each}))]"
    made = [*own.splitlines(), *on_batches(found, f"lambda *rows: {stacked}", components, ON_A_BATCH, wrapper)]
    if place is not None and unknown_names("\n".join(made), text, place.line):
        return []
    once = [line for call in made_anew(text, found.function) for line in lines_once(call)]
    return [*once, f"# {STILL_ROWS}", *made]


def lines_once(call: HotCall) -> list[str]:
    """Return the lines that make something once, and what its function has instead."""
    once = call.once
    if once is None:
        return []
    first, *others = once.lines
    instead = f"{once.used} in place of {once.replaced}" if once.used else f"without {once.replaced}"
    return [f"{first}  # once, {once.where}", *others, f"# line {call.line}, in {call.function}(): {instead}"]
