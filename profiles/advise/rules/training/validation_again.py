"""``validation-again``: a validation that does the same work again after every epoch."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.observed import OfTraining, at, location_of, share_of, share_text, without
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds


class ValidationAgain(OfTraining, Rule):
    """A validation that loads and decodes the same data again after every epoch.

    Seen:
        Validation inside of fit takes much of the training, and its dataset has no cache or is built again each time.

    Why:
        A validation set is the same in every epoch, and most are not augmented: after the first validation all of its
        batches are known. While it runs, nothing is trained.

    Fix:
        validation = validation.cache().prefetch(tf.data.AUTOTUNE), built once, if it fits into memory. Else validate
        every second epoch, validation_freq=2, or on fewer batches, validation_steps.

    Ignore when:
        The time is the model's own, not the pipeline's, or the validation is random on purpose.
    """

    name = "validation-again"
    title = "Keep the validation data in memory"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("share", 0.2, "of the training", "a fifth of the data is a common part to validate on"),
        Threshold("fetch", 0.3, "of the validation", "below that its time is the model's: a cache gains little"),
    )

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the time of validations and the graphs of their datasets."""
        del view
        seconds, count = training.validation_seconds, training.validations
        share = share_of(seconds, training)
        use = next((use for use in training.datasets if use.role == "validation"), None)
        if use is None or seconds is None or count < 2 or share < self.threshold("share"):
            return
        rebuilt = use.datasets > 1 and use.equal is True
        if use.cached is not False and not rebuilt:
            return
        fetch = use.fetch_seconds
        if not rebuilt and fetch is not None and fetch < self.threshold("fetch") * seconds:
            return
        why = f"is built again each time ({use.datasets:,} times)" if rebuilt else "has no cache"
        yield Proposal(
            location=location_of(use),
            sentence=(
                f"Validation{at(use, ' in ')} took {milliseconds(1e3 * seconds / count)} after each of {count:,} "
                f"epochs, {share_text(seconds, training)}. Its dataset {why}: each does the same work again."
            ),
            recommendation="Cache the validation dataset, and build it once.",
            evidence={"validations": count, "validation_s": seconds, "share": share, "datasets": use.datasets},
            python="validation = validation.cache().prefetch(tf.data.AUTOTUNE)  # once, before fit",
            # What remains is the model's, and the first one.
            predicted=without(share_of(fetch, training) * (count - 1) / count) if fetch is not None else None,
        )
