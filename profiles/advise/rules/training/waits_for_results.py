"""``waits-for-results``: a training that reads a result of the step in every step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.loops import iterated_at, reads_in_loop
from pipeprof.profiles.advise.text.observed import OfTraining, at, location_of, main_of
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.shared import CodePlace, Training
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import as_typed, listed, milliseconds, percent

_UNKNOWN = Prediction("unknown until it is tried: on a CPU a step has ended when its call returns")


class WaitsForResults(OfTraining, Rule):
    """A training that reads a result of the step in every step.

    Seen:
        A callback of fit defines on_train_batch_end without async_safe = True; or a loop calls float(), .numpy() or
        .item() on a result of the step, under no condition.

    Why:
        On a GPU or TPU a step is only queued when its call returns, and the host fetches the next batch while the
        device computes. Reading a result waits until the step has ended: nothing is fetched or queued meanwhile. Keras
        runs callbacks of batches in a thread of their own, unless one of them has such a method and does not say that
        it is safe there: then every step waits for its results.

    Fix:
        Set async_safe = True in a callback of your own, if it only stores or prints; or use on_epoch_end. One of Keras
        itself can be left out, or its work be done once an epoch. In a loop keep the
        tensor, or a tf.keras.metrics.Mean, and read it every hundredth step.

    Ignore when:
        Training on a CPU: there a step has ended when its call returns, and a read costs microseconds.
    """

    name = "waits-for-results"
    title = "Do not wait for the results of each step"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("apart", 0.1, "of a step", "of a library's callback: less between two steps is Keras itself"),
    )

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the callbacks of `fit`, and from the text of the loop."""
        for callback in training.callbacks:
            yield from self._of_callback(callback, training, view)
        main = main_of(training)
        if training.consumer == "loop" and main is not None and main.file is not None and main.line is not None:
            functions = [use.name for use in training.functions if use.file == main.file]
            text = view.texts.get(main.file, "")
            reads = list(reads_in_loop(text, main.line, functions))
            if not reads:
                return
            steps = view.profile.steps if view.profile is not None else None
            interval = steps.interval_ms.p50 if steps is not None else None
            each = f" of {milliseconds(interval)}" if interval is not None else ""
            named = listed([f"`{read.text}` in line {read.line}" for read in reads])
            texts = listed([f"`{read.text}`" for read in reads])
            verb = "reads a result" if len(reads) == 1 else "read results"
            yield Proposal(
                location=Location(file=as_typed(main.file), line=reads[0].line),
                sentence=(
                    f"{named} {verb} in every step{each}: on a GPU or TPU the script waits there until the step has "
                    "ended."
                ),
                recommendation=_where(
                    view,
                    f"Keep what {texts} {verb.split(maxsplit=1)[0]} as a tensor, and read it every hundredth step, or "
                    "once an epoch.",
                ),
                evidence={"step_p50_ms": interval} if interval is not None else {},
                python=(
                    "mean = tf.keras.metrics.Mean()\n"
                    f"for number, batch in enumerate({iterated_at(text, main.line) or '...'}):\n"
                    f"    mean.update_state(...)  # what line {reads[0].line} reads\n"
                    "    if number % 100 == 0:\n        print(float(mean.result()))"
                ),
                predicted=_UNKNOWN,
            )

    def _of_callback(self, callback: CodePlace, training: Training, view: PipelineView) -> Iterable[Proposal]:
        apart, call = training.apart_ms, training.call_ms
        share = apart / (apart + call) if apart is not None and call is not None else None
        if callback.file is None and (share is None or share < self.threshold("apart")):
            return
        cost, own = "", callback.file is not None
        if apart is not None and share is not None:
            cost = f" Between two steps pass {milliseconds(apart)}, {percent(share)} of the time from step to step."
        yield Proposal(
            location=location_of(callback),
            sentence=(
                f"The callback {callback.name}{at(callback, ' (')}{')' if callback.file else ''} defines "
                f"on_train_batch_end without async_safe: Keras waits for the results of every step.{cost}"
            ),
            recommendation=(
                _where(
                    view,
                    f"Set async_safe = True in {callback.name} if it only stores or prints, or do its work once an "
                    "epoch.",
                )
                if own and (share is None or share < self.threshold("apart"))
                else f"Set async_safe = True in {callback.name} if it only stores or prints, or do its work once an "
                "epoch."
                if own
                else f"Leave {callback.name} out, or do its work once an epoch."
            ),
            evidence={"callback": callback.name, **({"apart_ms": apart} if apart is not None else {})},
            python=_as_safe(callback.name) if own else "",
            predicted=_UNKNOWN,
        )


def _as_safe(name: str) -> str:
    """Code that marks a callback as safe; a LambdaCallback has no class of the user's own."""
    if name == "LambdaCallback":
        return f"callback = keras.callbacks.{name}(on_train_batch_end=...)\ncallback.async_safe = True"
    return f"class {name}(keras.callbacks.Callback):\n    async_safe = True"


def _where(view: PipelineView, text: str) -> str:
    """What to do, with the devices for which it pays where this machine has none of them."""
    host = view.profile.host if view.profile is not None else None
    return (
        text
        if host is None or host.gpus
        else f"This pays on a GPU or TPU; on this machine's CPU it costs microseconds. {text}"
    )
