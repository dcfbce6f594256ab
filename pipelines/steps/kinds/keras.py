"""A compiled Keras model, trained as ``fit`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext, StepFacts
from pipeprof.pipelines.steps.user_code import UserCode


class _Keras(UserCode):
    """Each batch is one training step of the model; its weights live in the measured process and are saved nowhere."""

    name = "keras"
    example = "file.py:model"
    description = (
        'A function that returns a compiled Keras model, "file.py:model", relative to the spec: each batch trains it '
        "as fit does, and its weights are not saved."
    )
    package = "keras"
    copies_ahead = 'ds = ds.apply(tf.data.experimental.prefetch_to_device("/GPU:0"))'

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        import keras

        from pipeprof.pipelines.steps import hand_over
        from pipeprof.pipelines.steps.called import CalledStep

        made = self.load(arguments)
        model = made if isinstance(made, keras.Model) else made()
        _need_compiled(model, arguments["target"])
        parameters = f"{model.count_params():,} parameters" if model.built else "its parameters made by the first batch"
        words = f"one training step of {model.name} ({parameters}), as in fit"
        if keras.backend.backend() != "tensorflow":
            hand_over.need_numbers(context.element_spec, "Keras")
            facts = StepFacts(computes=f"{words} on {keras.backend.backend()}")
            return CalledStep(_on_batch(model), to_numpy=hand_over.to_numpy, facts=facts)
        gpu = hand_over.gpu_of_tensorflow()
        facts = StepFacts(computes=words, on="gpu" if gpu else "cpu")
        return CalledStep(_as_in_fit(model), copy=hand_over.copy_to(gpu) if gpu else None, facts=facts)


def _need_compiled(model: Any, target: str) -> None:
    """Refuse what cannot be trained."""
    import keras

    if not isinstance(model, keras.Model):
        raise UsageError(f"the step {target} returned {type(model).__name__}, expected a compiled keras.Model")
    if not model.compiled:
        raise UsageError(
            f"the model of {target} is not compiled: call model.compile(optimizer, loss) before returning it"
        )


def _on_batch(model: Any) -> Callable[[Any], object]:
    import keras

    return lambda batch: model.train_on_batch(*keras.utils.unpack_x_y_sample_weight(batch))


def _as_in_fit(model: Any) -> Callable[[Any], object]:
    """The function that ``fit`` calls, with one batch; the first batch builds the model."""
    first = _on_batch(model)

    def step(batch: Any) -> object:
        if model.train_function is None:
            return first(batch)
        return model.train_function(iter((batch,)))

    return step


KIND = _Keras()
