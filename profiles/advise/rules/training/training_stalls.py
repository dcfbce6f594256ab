"""``training-stalls``: checkpoints and callbacks of epochs during which nothing is trained."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from pipeprof.pipelines.static.written_calls import call_at
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.observed import OfTraining, at, location_of, main_of, share_of, share_text, without
from pipeprof.profiles.document.shared import CodePlace, Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds

_ASYNCHRONOUS = {
    "tensorflow.train.Checkpoint.save": "tf.train.Checkpoint(...).save(..., options=options)",
    "tensorflow.train.Checkpoint.write": "tf.train.Checkpoint(...).write(..., options=options)",
    "tensorflow.train.CheckpointManager.save": "tf.train.CheckpointManager(...).save(options=options)",
}
"""What can save while the training goes on, and how."""


class TrainingStalls(OfTraining, Rule):
    """Checkpoints and callbacks of epochs during which nothing is trained.

    Seen:
        Saving models or checkpoints, or the callbacks at the end of epochs, take a good part of the training.

    Why:
        While they run, no step does.

    Fix:
        Save less often, or without waiting: with TensorFlow
        tf.train.CheckpointOptions(experimental_enable_async_checkpoint=True); with Keras ModelCheckpoint once an epoch,
        save_weights_only=True. Draw pictures and write logs in every tenth epoch, or in another process.

    Ignore when:
        Epochs are only so short because this is a trial run.
    """

    name = "training-stalls"
    title = "Let the training go on while it saves"
    family = "speed"
    semantics = "same"
    thresholds = (Threshold("share", 0.1, "of the training", "a start and one checkpoint in a short run are less"),)

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the time of saves and of callbacks."""
        del view
        saving = training.save_seconds or 0.0
        share = share_of(saving, training)
        if training.saver is not None and training.saves > 1 and share >= self.threshold("share"):
            method = ".".join(training.saver.name.split(".")[-2:])
            call = _call(training.saver)
            yield Proposal(
                location=location_of(training.saver),
                sentence=(
                    f"{method}(){at(training.saver, ' in ')} stops the training {training.saves:,} times for "
                    f"{milliseconds(1e3 * saving / training.saves)}: {share_text(saving, training)}."
                ),
                recommendation=f"Save less often{', or asynchronously' if call is not None else ''}.",
                evidence={"saves": training.saves, "save_s": saving, "share": share},
                python=(
                    f"options = tf.train.CheckpointOptions(experimental_enable_async_checkpoint=True)\n{call}"
                    if call is not None
                    else ""
                ),
                predicted=without(share),
            )
        main, ends = main_of(training), (training.epoch_end_seconds or 0.0) - saving
        share = share_of(ends, training)
        if main is not None and training.epochs > 1 and share >= self.threshold("share"):
            yield Proposal(
                title="Do less at the end of an epoch",
                location=location_of(main),
                sentence=(
                    f"The callbacks at the end of an epoch of fit{at(main, ' in ')} take "
                    f"{milliseconds(1e3 * ends / training.epochs)}, {share_text(ends, training)}: no step runs then."
                ),
                recommendation="Do the work of on_epoch_end less often, or in another process.",
                evidence={"epochs": training.epochs, "epoch_end_s": ends, "share": share},
                python="def on_epoch_end(self, epoch, logs=None):\n    if epoch % 10 == 0:\n        ...",
                predicted=without(share),
            )


def _call(saver: CodePlace) -> str | None:
    """The call that saves, as the user's file has it, while the training goes on; None for what cannot."""
    usual, method = _ASYNCHRONOUS.get(saver.name), saver.name.rpartition(".")[2]
    call = call_at(file_text(saver.file), saver.line, None, method) if usual and saver.file and saver.line else None
    if call is None or any(one.arg == "options" for one in call.keywords):
        return usual
    given = [*map(ast.unparse, call.args), *map(ast.unparse, call.keywords), "options=options"]
    return f"{ast.unparse(call.func)}({', '.join(given)})"
