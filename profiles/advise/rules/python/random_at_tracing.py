"""``random-at-tracing``: random numbers of NumPy or Python that are drawn once."""

from __future__ import annotations

from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.slips import OfText

_CALLS = {
    "tf.random.uniform([])": {"rand", "random", "random_sample"},
    "tf.random.uniform([], low, high)": {"uniform"},
    "tf.random.uniform([], low, high, tf.int64)": {"integers", "randint", "randrange"},
    "tf.random.normal([], mean, stddev)": {"gauss", "normal", "normalvariate"},
    "tf.random.normal([])": {"randn", "standard_normal"},
}
"""What draws one number as functions of NumPy and Python do, by their names; of several numbers the shape differs."""


class RandomAtTracing(OfText, Rule):
    """Random numbers of NumPy or Python that are drawn once.

    Seen:
        A function that is given to map or to another transformation calls NumPy's or Python's random functions outside
        of py_function and numpy_function.

    Why:
        TensorFlow calls the function once, to trace a graph. The number that it draws there is a constant of the graph:
        all elements of all epochs get the same one, and no augmentation takes place.

    Fix:
        Draw with TensorFlow: tf.random.uniform([], low, high), or tf.random.stateless_uniform with a seed of the
        element's own.

    Ignore when:
        One number for the whole run is what you want.
    """

    name = "random-at-tracing"
    title = "Draw random numbers with TensorFlow"
    family = "correctness"
    semantics = "values"
    kind = "drawn-once"

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the call that draws."""
        sentence = (
            f"`{slip.text}` runs once, when TensorFlow traces the function that {slip.stage} was given: every element "
            "gets the same number."
        )
        drawn = slip.text.partition("(")[0].rpartition(".")[2]
        call = next((call for call, names in _CALLS.items() if drawn in names), None)
        if slip.text.startswith("random.randint("):
            # Python's own takes the upper end, too.
            call = "tf.random.uniform([], low, high + 1, tf.int64)"
        advice = f"Write `{call}`" if call is not None else "Draw from the same distribution with an op of `tf.random`"
        return sentence, f"{advice} in place of `{slip.text}`"
