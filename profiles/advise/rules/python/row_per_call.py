"""``row-per-call``: python that opens a file, or takes one row of it, for each element."""

from __future__ import annotations

from pipeprof.profiles.advise.edits.row_batches import rows_of_batches
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.hot_lines import PYTHON_SHARE, TIME_SHARE, OfHotLine
from pipeprof.profiles.propose.proposal import Semantics
from pipeprof.profiles.view.view import HotSpot, PipelineView, StageView

_READS = {
    "PIL": "tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)",
    "cv2": "tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)",
    "imageio": "tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)",
    "librosa": "tf.audio.decode_wav(tf.io.read_file(path))",
    "soundfile": "tf.audio.decode_wav(tf.io.read_file(path))",
}
"""What reads the files of a library, with TensorFlow."""


class RowPerCall(OfHotLine, Rule):
    """Python that opens a file, or takes one row of it, for each element.

    Seen:
        Much of the time inside the pipeline's Python passes in a line that takes one row by its index from a library of
        tables or arrays (h5py, pandas, zarr, pyarrow), or that opens a file of the element's own.

    Why:
        Each access parses an index and takes locks, and of a compressed chunk it decodes all. Rows of HDF5 in one slice
        were read 41 times as fast, rows of a parquet table in batches 270 times.

    Fix:
        Read contiguous rows with one call and hand over whole batches: make the order of the blocks random, not that of
        the rows. Or open each file once, and keep it. Read pictures and sounds with TensorFlow in parallel calls of a
        map.

    Ignore when:
        The file has one row for each element, and no other form of the data can be made.
    """

    name = "row-per-call"
    title = "Read many rows with one call"
    family = "speed"
    semantics = "values"
    thresholds = (PYTHON_SHARE, TIME_SHARE)
    kinds = frozenset({"one-row", "opens-file"})

    def title_of(self, spot: HotSpot) -> str:
        """Name what is read."""
        if spot.call.kind == "one-row":
            return f"Read a block of rows in line {spot.call.line}, not one"
        return f"Open each file once in line {spot.call.line}, not for each element"

    def what(self, spot: HotSpot) -> str:
        """State how much one access gives."""
        return "takes one row for each call" if spot.call.kind == "one-row" else "opens a file for each call"

    def effect(self, spot: HotSpot, code: str) -> Semantics | None:
        """What TensorFlow reads may be other values."""
        return None if spot.call.library in _READS else super().effect(spot, code)

    def fix_of(self, spot: HotSpot, stage: StageView, code: str) -> str:
        """The rows of a batch, the reader of TensorFlow, or files that stay open."""
        del stage
        if spot.call.kind == "one-row" and code:
            return "Read the rows of a whole batch with one access, by sorted indices"
        if spot.call.kind == "one-row":
            return (
                f"Take rows in blocks, `{_sliced(spot.call.text)}`, give them as one batch, and draw the starts of the "
                "blocks at random"
            )
        if spot.call.library in _READS:
            return f"Read it with {_READS[spot.call.library]} in a map with num_parallel_calls=tf.data.AUTOTUNE"
        kept = spot.call.instead
        if kept is None:
            return f"Keep files open: open each of them once, not in each call of {spot.call.function}()"
        return f"Keep up to {kept.most} files {kept.where}, not opened anew: `{kept.used}` in place of {kept.replaced}"

    def python_of(self, spot: HotSpot, stage: StageView, view: PipelineView) -> str:
        """The rows of whole batches, the map, or files that stay open; empty where the file does not show them."""
        if spot.call.kind == "one-row":
            return rows_of_batches(spot, stage, view)
        if spot.call.library in _READS:
            return (
                f"dataset = dataset.map(lambda path: {_READS[spot.call.library]}, num_parallel_calls=tf.data.AUTOTUNE)"
            )
        kept = spot.call.instead
        if kept is None:
            return ""
        return (
            f"{kept.opened}  # {kept.place}: keeps up to {kept.most} of them {kept.where}\n"
            f"{kept.used}  # in line {spot.call.line}, in place of {kept.replaced}"
        )


def _sliced(text: str) -> str:
    base, _, index = text.rpartition("[")
    first = index.removesuffix("]").partition(",")
    return f"{base}[start:start + batch_size{first[1]}{first[2]}]"
