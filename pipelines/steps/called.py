"""The user's own step: a function of the batch, handed over to it first where it takes other arrays or a GPU."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.consumer import BatchConsumer, StepContext, StepFacts

Part = Callable[[Any], Any]
# Methods of Keras that take the parts of a batch, though only the first is required.
_BY_PARTS = ("train_on_batch", "test_on_batch")


def finish(result: object) -> None:
    """Wait until `result`, what a step returned, and all it has put on a device are computed.

    Only libraries that the step has loaded are synchronised, by their public calls: ``jax.block_until_ready`` of the
    result, ``torch.cuda.synchronize`` where CUDA is in use, ``tf.test.experimental.sync_devices`` where TensorFlow has
    a GPU.
    """
    if (jax := sys.modules.get("jax")) is not None:
        jax.block_until_ready(result)
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    if (tf := sys.modules.get("tensorflow")) is not None and tf.config.list_logical_devices("GPU"):
        tf.test.experimental.sync_devices()


class CalledStep(BatchConsumer):
    """A function as the step: the device is busy until everything it started is computed.

    Args:
        finish: Waits for what the function returned, and for all that it has put on a device.
        to_numpy: Makes arrays of NumPy of a batch.
        copy: Copies what that gave to where the step computes, and waits for it; None where nothing is copied.
        facts: What is known of the step before it has run.
    """

    def __init__(
        self,
        function: Callable[[Any], object],
        finish: Callable[[object], None] = finish,
        *,
        to_numpy: Part | None = None,
        copy: Part | None = None,
        facts: StepFacts | None = None,
    ) -> None:
        self._function = function
        self._finish = finish
        self._to_numpy = to_numpy
        self._copy = copy
        self._facts = facts or StepFacts()
        self._handed = self._numpy_ns = self._copy_ns = 0

    def submit(self, batch: Any) -> tuple[int, int]:
        """Hand the batch over and call the function with it; the device starts after that."""
        began = time.perf_counter_ns()
        if self._to_numpy is not None:
            batch = self._to_numpy(batch)
        converted = time.perf_counter_ns()
        if self._copy is not None:
            batch = self._copy(batch)
        start = time.perf_counter_ns()
        self._handed += 1
        self._numpy_ns += converted - began
        self._copy_ns += start - converted
        self._finish(self._function(batch))
        return start, time.perf_counter_ns()

    def wait(self) -> tuple[int, int]:
        """Return at once: the step is over."""
        now = time.perf_counter_ns()
        return now, now

    def told(self) -> StepFacts:
        """Return the facts, with the mean costs of handing over the batches since the last call."""
        handed, numpy_ns, copy_ns = self._handed, self._numpy_ns, self._copy_ns
        self._handed = self._numpy_ns = self._copy_ns = 0
        return StepFacts(
            computes=self._facts.computes,
            on=self._facts.on,
            numpy_ms=numpy_ns / handed / 1e6 if handed and self._to_numpy is not None else None,
            copy_ms=copy_ns / handed / 1e6 if handed and self._copy is not None else None,
        )


def called_step(kind: str, target: str, context: StepContext) -> CalledStep:
    """Import the user's file and make the step of its function, in the worker."""
    from pipeprof.pipelines.target.running import load_function
    from pipeprof.pipelines.target.target import parse_target

    function = load_function(parse_target(target))
    if kind == "keras":
        return _keras(function, target, context)
    step = fitted(function, context.element_spec, f"the step {target}")
    return {"jax": _jax, "torch": _torch}[kind](step, context) if kind != "python" else CalledStep(step)


def fitted(step: Callable[..., object], element_spec: Any, name: str) -> Callable[[Any], object]:
    """Wrap the user's step as a function of the batch.

    A step that can be called with the batch gets it; one that needs as many as the batch, a tuple, has parts gets
    these, and one that needs parameters by the names of a dict's keys gets the values.
    """
    _refuse_layer(step, element_spec, name)
    try:
        signature = inspect.signature(step)
    except (TypeError, ValueError):
        return step
    tuple_ = isinstance(element_spec, tuple)
    by_parts = tuple_ and getattr(step, "__name__", "") in _BY_PARTS
    if not by_parts and _takes(signature, (element_spec,), {}):
        return step
    if tuple_ and _takes(signature, element_spec, {}):
        return lambda batch: step(*batch)
    if isinstance(element_spec, Mapping) and _takes(signature, (), element_spec):
        return lambda batch: step(**batch)
    raise UsageError(
        f"{name} takes {', '.join(signature.parameters) or 'nothing'}, but a batch is {_words(element_spec)}; expected "
        "a step with one parameter, the batch, or with one for each part of it"
    )


def _takes(signature: inspect.Signature, positional: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    try:
        signature.bind(*positional, **named)
    except TypeError:
        return False
    return True


def _refuse_layer(step: object, element_spec: Any, name: str) -> None:
    """Refuse a text layer or a model returned next to the dataset: many functions return one that is no step."""
    names = {base.__name__ for base in type(step).__mro__ if base.__module__.partition(".")[0] == "keras"}
    if "Layer" not in names or ("Model" in names and not isinstance(element_spec, tuple)):
        return
    what, fix = ("model", "model.train_step") if "Model" in names else ("layer", "a function that trains")
    raise UsageError(
        f"{name} is a Keras {what} ({type(step).__name__}), which does not take such batches for training: return the "
        f"dataset alone, or with {fix} after it"
    )


def _words(element_spec: Any) -> str:
    if isinstance(element_spec, tuple):
        return f"a tuple of {len(element_spec)}"
    if isinstance(element_spec, Mapping):
        return f"a dict with {', '.join(str(key) for key in element_spec)}"
    return "a single tensor"


def _jax(step: Callable[[Any], object], context: StepContext) -> CalledStep:
    """Batches become NumPy arrays and are put on JAX's default device, before the step and counted apart from it."""
    import jax

    need_numbers(context.element_spec, "JAX")
    return CalledStep(
        step,
        to_numpy=numpy_views,
        copy=lambda batch: jax.block_until_ready(jax.device_put(batch)),
        facts=StepFacts(on=jax.default_backend()),
    )


def _torch(step: Callable[[Any], object], context: StepContext) -> CalledStep:
    """Batches become NumPy arrays and tensors on the GPU, if PyTorch has one, before the step and counted apart."""
    import tensorflow as tf
    import torch

    need_numbers(context.element_spec, "PyTorch")
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")

    def copy(batch: Any) -> Any:
        moved = tf.nest.map_structure(lambda array: torch.as_tensor(array, device=device), batch)
        if on_gpu:
            torch.cuda.synchronize()
        return moved

    if not on_gpu:
        # The step's tensors share the arrays' memory, and the step may write to them.
        return CalledStep(step, to_numpy=to_numpy, copy=copy, facts=StepFacts(on="cpu"))
    warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
    return CalledStep(step, to_numpy=numpy_views, copy=copy, facts=StepFacts(on="gpu"))


def _keras(made: Any, target: str, context: StepContext) -> CalledStep:
    """Each batch is one training step of the model; its weights live in the measured process and are saved nowhere."""
    import keras

    model = made if isinstance(made, keras.Model) else made()
    if not isinstance(model, keras.Model):
        raise UsageError(f"the step {target} returned {type(model).__name__}, expected a compiled keras.Model")
    if not model.compiled:
        raise UsageError(
            f"the model of {target} is not compiled: call model.compile(optimizer, loss) before returning it"
        )

    def on_batch(batch: Any) -> object:
        return model.train_on_batch(*keras.utils.unpack_x_y_sample_weight(batch))

    def as_in_fit(batch: Any) -> object:
        # The first batch builds the model, and with it the function that ``fit`` calls.
        return on_batch(batch) if model.train_function is None else model.train_function(iter((batch,)))

    parameters = f"{model.count_params():,} parameters" if model.built else "its parameters made by the first batch"
    computes = f"one training step of {model.name} ({parameters}), as in fit"
    backend = keras.backend.backend()
    if backend != "tensorflow":
        need_numbers(context.element_spec, "Keras")
        return CalledStep(on_batch, to_numpy=to_numpy, facts=StepFacts(computes=f"{computes} on {backend}"))
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return CalledStep(as_in_fit, copy=_to_gpu, facts=StepFacts(computes, "gpu"))
    return CalledStep(as_in_fit, facts=StepFacts(computes, "cpu"))


def _to_gpu(batch: Any) -> Any:
    """Copy the tensors of a batch to TensorFlow's first GPU, and wait for it; text stays: only CPUs hold it."""
    import tensorflow as tf

    def moved(tensor: Any) -> Any:
        return tf.identity(tensor) if getattr(tensor, "dtype", None) != tf.string else tensor

    with tf.device("/GPU:0"):
        batch = tf.nest.map_structure(moved, batch)
    tf.test.experimental.sync_devices()
    return batch


def to_numpy(batch: Any) -> Any:
    """Copy a batch's tensors to NumPy arrays, in the same structure."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda tensor: tensor.numpy(), batch)


def numpy_views(batch: Any) -> Any:
    """Show the tensors of a batch as NumPy arrays on the same memory, which cannot be written to.

    A type that NumPy itself has not, such as bfloat16, is copied.
    """
    import numpy as np
    import tensorflow as tf

    def view(tensor: Any) -> Any:
        try:
            return np.asarray(tensor)
        except ValueError:
            return tensor.numpy()

    return tf.nest.map_structure(view, batch)


def need_numbers(element_spec: Any, library: str) -> None:
    """Refuse batches that have no arrays of numbers to hand over.

    Args:
        element_spec: ``tf.TypeSpec`` of the batches; None where they are unknown.
    """
    import tensorflow as tf

    for spec in tf.nest.flatten(element_spec) if element_spec is not None else ():
        if not isinstance(spec, tf.TensorSpec):
            what = f"a {type(spec).__name__.removesuffix('Spec')}"
        elif spec.dtype in (tf.string, tf.variant, tf.resource):
            what = "text" if spec.dtype == tf.string else f"values of type {spec.dtype.name}"
        else:
            continue
        raise UsageError(
            f"the step takes arrays of {library}, but a batch has {what}: expected plain tensors of numbers; convert "
            "that part in the pipeline, or drop it"
        )
