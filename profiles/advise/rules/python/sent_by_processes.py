"""``sent-by-processes``: a generator that gets its elements from other processes."""

from __future__ import annotations

from pipeprof.pipelines.static.numbered import of_a_pool
from pipeprof.profiles.advise.edits.generator_code import by_number
from pipeprof.profiles.advise.edits.snippets import flat_keys
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.hot_lines import PYTHON_SHARE, TIME_SHARE, OfHotLine
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import HotSpot, StageView
from pipeprof.profiles.wording import size


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
        return "takes each element from another process, on one thread"

    def fix_of(self, spot: HotSpot, stage: StageView) -> str:
        """The map, with the names of the call."""
        function, items = _given(spot.call.text)
        each = (
            f", {size(stage.measured.bytes_per_element)} each,"
            if stage.measured is not None and stage.measured.bytes_per_element
            else ""
        )
        return (
            f"Elements{each} cross a pipe: make a dataset of {items} and call {function} in "
            ".map(…, num_parallel_calls=tf.data.AUTOTUNE), with TensorFlow's ops if it holds the GIL"
        )

    def python_of(self, spot: HotSpot, stage: StageView) -> str:
        """The source and the map, which call the pool's function as it is."""
        function, items = _given(spot.call.text)
        made = of_a_pool(file_text(spot.location.file), spot.call.function, spot.call.line)
        lines = by_number(made, stage.element or (), flat_keys(stage)) if made is not None else None
        return lines or (
            f"dataset = tf.data.Dataset.from_tensor_slices({items})  # shuffle here\n"
            f"dataset = dataset.map({function}, num_parallel_calls=tf.data.AUTOTUNE)  # with TensorFlow's ops"
        )


def _given(text: str) -> tuple[str, str]:
    """The function and the items that a pool is given."""
    inside = text.partition("(")[2].removesuffix(")")
    function, _, items = inside.partition(", ")
    return function or "the function", items or "what the pool is given"
