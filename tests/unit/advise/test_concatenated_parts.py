"""Parts that a loop joins, as one source."""

from __future__ import annotations

from unit.advise.views import function, measured, pipeline, stage, tensor

from pipeprof.profiles.advise.rules.dropped.concatenated_parts import ConcatenatedParts
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.texts import with_functions
from pipeprof.profiles.view.view import StageView

FILE = "train.py"
PARTS = """
NAMES, COUNT, SIZE = ["a", "b"], 12, 4
def read(name, number):
    return np.load(name.numpy().decode())[int(number)]
def load(name, number):
    row = tf.py_function(read, [name, number], tf.float32)
    row.set_shape([8])
    return row
def part(name):
    rows = tf.data.Dataset.from_tensor_slices(([name] * COUNT, list(range(COUNT))))
    return rows.map(load).batch(SIZE).prefetch(1)
def make():
    every = None
    for name in NAMES:
        every = part(name) if every is None else every.concatenate(part(name))
    return every
"""


def of_parts(count: int = 10) -> list[str]:
    """The code for small datasets whose map calls Python, which a loop joins."""
    lines = PARTS.strip().split("\n")
    at = {word: Location(file=FILE, line=next(n for n, text in enumerate(lines, 1) if word in text)) for word in _WORDS}
    python = {"name": "load", "function": function("EagerPyFunc"), "element": (tensor("float32", 8),), "ms": 1.0}
    stages: list[StageView] = []
    for number in range(count):
        inner = f"stages.{number}.inputs.1." if number else ""
        end = stages[-1].id if stages else ""
        part = [
            stage(f"{inner}source", "from_tensor_slices", inputs=(), location=at["from_tensor_slices"]),
            stage(f"{inner}stages.0", "map", inputs=(f"{inner}source",), location=at[".map("], **python),
            stage(
                f"{inner}stages.1",
                "batch",
                inputs=(f"{inner}stages.0",),
                location=at[".map("],
                arguments={"batch_size": 32},
            ),
            stage(f"{inner}stages.2", "prefetch", inputs=(f"{inner}stages.1",), location=at[".map("]),
        ]
        join = stage(f"stages.{number + 2}", "concatenate", inputs=(end, part[-1].id), location=at[".concatenate("])
        stages += [*part, *([join] if number else [])]
    view = with_functions(
        measured(pipeline(*stages, static=False), interval_ms=20.0, headspace=0.9), {FILE: "\n".join(lines)}
    )
    (hit,) = ConcatenatedParts().diagnose(view)
    return getattr(hit.by_hand, "python", "").splitlines()


_WORDS = ("from_tensor_slices", ".map(", ".concatenate(")


def test_parts_of_a_loop_are_one_source_with_their_stages_once() -> None:
    first, *_, last = of_parts()
    assert first == "parts = [([name] * COUNT, list(range(COUNT))) for name in NAMES]"
    # A name of the function that makes a part, such as SIZE could be, is its value.
    assert last.startswith("every = tf.data.Dataset.from_tensor_slices(rows).map(load).batch(batch_size=32).prefetch(")
