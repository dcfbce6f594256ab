"""``source-in-python``: batches that come from Python, not from a tf.data pipeline."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.observed import OfTraining, at, location_of, main_of
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds, percent, ratio_text


class SourceInPython(OfTraining, Rule):
    """Batches that come from Python, not from a tf.data pipeline.

    Seen:
        fit takes its batches from a keras.utils.PyDataset (Sequence) or a torch DataLoader, and the step waits for
        them.

    Why:
        Keras calls the object's Python for every batch, in one thread or in a few, which share Python's lock. tf.data
        runs its ops in parallel without it, and prefetches.

    Fix:
        A tf.data.Dataset of the same batches: of indices or paths, shuffled, map(load, num_parallel_calls=AUTOTUNE),
        batch, prefetch. To gain anything, its load must be TensorFlow's ops, or Python that waits.

    Ignore when:
        The step does not wait for its batches.
    """

    name = "source-in-python"
    title = "Give fit a tf.data dataset"
    family = "speed"
    semantics = "order"
    thresholds = (Threshold("fetch", 0.1, "of a step", "below that, faster batches gain little"),)

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the object that `fit` was given, and its fetches."""
        steps = view.profile.steps if view.profile is not None else None
        source, kind, main = training.source, training.source_kind, main_of(training)
        if source is None or kind is None or main is None or main.role == "loop" or training.fetch is None:
            return
        if steps is None:
            return
        fetch, interval = steps.fetch_ms.mean, steps.interval_ms.mean
        if fetch < self.threshold("fetch") * interval:
            return
        least = max(interval - fetch, 1e-3)
        yield Proposal(
            location=location_of(source),
            sentence=(
                f"fit takes its batches from {source.name}{at(source, ', ')}, a {kind}, not from a tf.data dataset: "
                f"each batch is fetched for {milliseconds(fetch)} of each {milliseconds(interval)} step "
                f"({percent(fetch / interval)})."
            ),
            recommendation=(
                f"Write {source.name} as a tf.data dataset. It has to bring a batch in at most {milliseconds(least)}, "
                "the time of the rest of the step."
            ),
            evidence={"fetch_ms": fetch, "step_ms": interval, "source": source.name, "kind": kind},
            python=(
                f"def load(number):\n    ...  # what {source.name} makes of this number, with TensorFlow\n"
                f"dataset = tf.data.Dataset.range(...)  # how many {source.name} makes\n"
                "dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)  # for fit"
            ),
            predicted=Prediction(
                f"at most {ratio_text(interval / least)}, if no batch is waited for", interval / least
            ),
        )
