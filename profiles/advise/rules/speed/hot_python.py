"""Rules about hot lines of Python: ``rebuilt-per-call``, ``row-per-call``, ``sent-by-processes``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pipeprof.pipelines.edits.edits import HandWritten
from pipeprof.pipelines.static.hot_calls import HotKind
from pipeprof.profiles.advise.batch_savings import interval_ms
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import HotSpot, PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, percent, significant, size

_SHARE = Threshold("python-share", 0.3, "of the time inside Python functions", "a gain of a third is worth a line", 0.2)
_STAGE = Threshold("time-share", 0.3, "of the time inside the stages", "below it another stage comes first", 0.2)
_READS = {
    "PIL": "tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)",
    "cv2": "tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)",
    "imageio": "tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)",
    "librosa": "tf.audio.decode_wav(tf.io.read_file(path))",
    "soundfile": "tf.audio.decode_wav(tf.io.read_file(path))",
    "numpy": "np.load(path, mmap_mode='r'), once for each file",
}
"""What reads the files of a library, with TensorFlow."""


class _OfHotLine:
    """What the rules about hot lines have in common."""

    kinds: ClassVar[frozenset[HotKind]]

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the sampled time of the line's function."""
        for spot in view.hot_spots:
            stage = view.by_id.get(spot.stage)
            share = stage.measured.share if stage is not None and stage.measured is not None else None
            if spot.call.kind not in self.kinds or stage is None or share is None or share < _STAGE.value:
                continue
            if spot.share >= _SHARE.value:
                yield self._proposal(view, spot, stage, share)

    def _proposal(self, view: PipelineView, spot: HotSpot, stage: StageView, share: float) -> Proposal:
        interval, place = interval_ms(view), f"line {spot.call.line}"
        whole = f" of the {milliseconds(interval)} per batch" if interval is not None else ""
        return Proposal(
            stage=stage.id,
            title=self.title_of(spot),
            sentence=(
                f"{place}, `{spot.call.text}` in {spot.call.function}(), {self.what(spot)}: {percent(spot.share)} of "
                f"the time in Python; {stage.label} takes {percent(share)}{whole}."
            ),
            recommendation=f"{self.fix_of(spot, stage)}.",
            evidence={"python_share": spot.share, "time_share": share, "line": spot.call.line},
            edits=(
                HandWritten(
                    (stage.id,),
                    yaml=f"# {self.fix_of(spot, stage)}",
                    python=self.python_of(spot),
                    summary=self.fix_of(spot, stage).replace("{", "{{").replace("}", "}}"),
                ),
            ),
            predicted=Prediction(
                f"without it {significant(1 / max(1 - spot.share * share, 0.02))}× at most",
                speedup=1 / max(1 - spot.share * share, 0.02),
            ),
        )

    def title_of(self, spot: HotSpot) -> str:
        """The change in a few words."""
        raise NotImplementedError

    def what(self, spot: HotSpot) -> str:
        """What the line does that costs."""
        raise NotImplementedError

    def fix_of(self, spot: HotSpot, stage: StageView) -> str:
        """What to write, in the names of the file."""
        raise NotImplementedError

    def python_of(self, spot: HotSpot) -> str:
        """The lines to write."""
        raise NotImplementedError


class RebuiltPerCall(_OfHotLine, Rule):
    """Objects that a Python function builds again for each element.

    Seen:
        Much of the time inside the pipeline's Python passes in a call that does not depend on the element: a function
        without arguments, a class or an open file in the body of the function that a map or a generator calls.

    Why:
        Augmentations, tokenizers, compiled expressions and open files are made to be used many times. Building three
        transforms of albumentations took four times as long as applying them to a picture of 28 by 28.

    Fix:
        Build the object once, at the top of the file, and use it in the function.

    Ignore when:
        The object keeps a state that must not live longer than one call.
    """

    name = "rebuilt-per-call"
    title = "Build once what is built for each element"
    family = "speed"
    semantics = "same"
    thresholds = (_SHARE, _STAGE)
    kinds = frozenset({"built-anew"})

    def title_of(self, spot: HotSpot) -> str:
        """Name the call."""
        return f"Build {_short(spot.call.text)} once, not in each call of {spot.call.function}"

    def what(self, spot: HotSpot) -> str:
        """State that it is the same each time."""
        del spot
        return "makes the same object in each call"

    def fix_of(self, spot: HotSpot, stage: StageView) -> str:
        """Name the variable."""
        del stage
        name = _variable(spot)
        return f"Write `{name} = {spot.call.text}` at the top of the file, and `{name}` in line {spot.call.line}"

    def python_of(self, spot: HotSpot) -> str:
        """The line at the top, and the one in the function."""
        name, call = _variable(spot), spot.call
        return (
            f"{name} = {call.text}  # once, at the top of the file\n"
            f"# line {call.line}, in {call.function}(): {name} in the place of {_short(call.text)}"
        )


class RowPerCall(_OfHotLine, Rule):
    """Python that opens a file, or takes one row of it, for each element.

    Seen:
        Much of the time inside the pipeline's Python passes in a line that takes one row by its index from a library of
        tables or arrays (h5py, pandas, zarr, pyarrow), or that opens a file of the element's own.

    Why:
        Each access parses an index and takes locks, and of a compressed chunk it decodes all. Rows of HDF5 in one slice
        were read 41 times as fast, rows of a parquet table in batches 270 times.

    Fix:
        Read contiguous rows with one call and hand over whole batches: make the order of the blocks random, not that of
        the rows. Read pictures and sounds with TensorFlow in parallel calls of a map.

    Ignore when:
        The file has one row for each element, and no other form of the data can be made.
    """

    name = "row-per-call"
    title = "Read many rows with one call"
    family = "speed"
    semantics = "values"
    thresholds = (_SHARE, _STAGE)
    kinds = frozenset({"one-row", "opens-file"})

    def title_of(self, spot: HotSpot) -> str:
        """Name what is read."""
        if spot.call.kind == "one-row":
            return f"Read a block of rows in line {spot.call.line}, not one"
        return f"Open files for more than one element in line {spot.call.line}"

    def what(self, spot: HotSpot) -> str:
        """State how much one access gives."""
        return "takes one row for each call" if spot.call.kind == "one-row" else "opens a file for each call"

    def fix_of(self, spot: HotSpot, stage: StageView) -> str:
        """The slice, or the reader of TensorFlow."""
        del stage
        if spot.call.kind == "one-row":
            return (
                f"Take rows in blocks, `{_sliced(spot.call.text)}`, give them as one batch, and draw the starts of the "
                "blocks at random"
            )
        if spot.call.library in _READS:
            return f"Read it with {_READS[spot.call.library]} in a map with num_parallel_calls=tf.data.AUTOTUNE"
        return f"Keep what `{spot.call.text}` opens (functools.lru_cache around it), and take many rows of it at a time"

    def python_of(self, spot: HotSpot) -> str:
        """The generator of blocks, or the map."""
        if spot.call.kind == "one-row":
            return (
                "def blocks():\n"
                "    for start in np.random.permutation(range(0, count, batch_size)):\n"
                f"        yield {_sliced(spot.call.text)}  # in the place of {spot.call.text} and of .batch(batch_size)"
            )
        if spot.call.library in _READS:
            return (
                f"dataset = dataset.map(lambda path: {_READS[spot.call.library]}, num_parallel_calls=tf.data.AUTOTUNE)"
            )
        return (
            f"opened = functools.lru_cache(maxsize=64)(lambda path: {spot.call.text})  # once, at the top of the file"
        )


class SentByProcesses(_OfHotLine, Rule):
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
    thresholds = (_SHARE, _STAGE)
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
            ".map(…, num_parallel_calls=tf.data.AUTOTUNE), with TensorFlow's ops"
        )

    def python_of(self, spot: HotSpot) -> str:
        """The source and the map."""
        function, items = _given(spot.call.text)
        return (
            f"dataset = tf.data.Dataset.from_tensor_slices({items})  # shuffle here\n"
            f"dataset = dataset.map({function}_with_tensorflow_ops, num_parallel_calls=tf.data.AUTOTUNE)"
        )


def _short(text: str) -> str:
    return f"{text.partition('(')[0]}(…)" if len(text) > 30 else text


def _variable(spot: HotSpot) -> str:
    name = spot.call.text.partition("(")[0].rpartition(".")[2]
    return name.upper() if name.isidentifier() else "ONCE"


def _sliced(text: str) -> str:
    base, _, index = text.rpartition("[")
    first = index.removesuffix("]").partition(",")
    return f"{base}[start:start + batch_size{first[1]}{first[2]}]"


def _given(text: str) -> tuple[str, str]:
    """The function and the items that a pool is given."""
    inside = text.partition("(")[2].removesuffix(")")
    function, _, items = inside.partition(", ")
    return function or "the function", items or "what the pool is given"
