"""Construction of a tf.data.Dataset from a spec (worker only: imports TensorFlow)."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, NamedTuple

from pipeprof.pipelines.addresses import join, node_name
from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.functions import FunctionBuilder
from pipeprof.pipelines.build.pin_errors import pin_errors
from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.graph.observe.build_hook import BuildHook
from pipeprof.pipelines.ops.base import Op, stages
from pipeprof.pipelines.ops.nested import PipelineFunction
from pipeprof.pipelines.ops.protocol import Building, InnerPipeline
from pipeprof.pipelines.ops.stages.distribute import LOCAL
from pipeprof.pipelines.ops.values.fields import FieldError, describe, pick
from pipeprof.pipelines.ops.values.options import Options
from pipeprof.pipelines.ops.values.python_ref import PythonRef
from pipeprof.pipelines.ops.values.structures import ARRAYS, Structure, map_leaves
from pipeprof.pipelines.ops.values.values import (
    ArrayFile,
    AutotuneConstant,
    FilePatterns,
    InputFolder,
    OuterElement,
    OutputFile,
)
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import PathError, leaves, resolve, resolve_pattern


@dataclass(frozen=True)
class _Made:
    """A dataset that a stage gave; ``name`` is `apply` for a stage that only `apply` reaches."""

    name: str
    before: Any
    result: Any


class StageRecorder(BuildHook):
    """Recorder of the stages that a ``with`` block adds to datasets, to follow a function's result back through them.

    The returns of datasets' methods are recorded: a dataset itself knows only its inputs, and one method may create
    several.
    """

    def __init__(self, tf: Any) -> None:
        self._dataset = tf.data.Dataset
        self._made: dict[int, _Made] = {}
        methods = ((name, getattr(tf.data.Dataset, name, None)) for name in stages())
        super().__init__((method, partial(self._note, name)) for name, method in methods if method is not None)

    def _note(self, name: str, frame: FrameType, value: Any) -> None:
        before = frame.f_locals.get("self")
        if not isinstance(value, self._dataset) or not isinstance(before, self._dataset):
            return
        # Datasets made inside a stage's own method are parts of it: the method returns after them. `apply` gives what
        # its function gave, which is known already if that called a stage.
        if name != "apply" or id(value) not in self._made:
            self._made[id(value)] = _Made(name, before, value)

    def without(self, dataset: Any, names: Sequence[str], what: str) -> Any:
        """Return the dataset before the last stages."""
        at = dataset
        for name in reversed(names):
            made = self._made.get(id(at))
            if made is None or made.name not in (name, "apply"):
                raise PlainError(
                    f"{what} ends with {self._last_names(dataset, len(names)) or 'no stage'}, "
                    f"expected {', '.join(names)}: change `without` or write the spec again"
                )
            at = made.before
        return at

    def _last_names(self, dataset: Any, count: int) -> str:
        found: list[str] = []
        made = self._made.get(id(dataset))
        while made is not None and len(found) < count:
            found.append(made.name)
            made = self._made.get(id(made.before))
        return ", ".join(reversed(found))


def dataset_of(returned: Any) -> Any:
    """Return the dataset of what a target returned: a target may return its step with it, which is not a part of it."""
    alone = isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])
    return returned[0] if alone else returned


_ENUMERATIONS = {
    "auto_shard_policy": "AutoShardPolicy",
    "autotune_algorithm": "AutotuneAlgorithm",
    "experimental_external_state_policy": "ExternalStatePolicy",
}


class BuiltStage(NamedTuple):
    """A source or stage as it was built."""

    op: str
    element_spec: Any


def load_arrays(spec: Spec, context: BuildContext) -> None:
    """Read and make all arrays of a spec, each once, so that `build` finds them in ``context``."""
    for leaf in leaves(spec):
        if isinstance(leaf.value, ARRAYS):
            with pin_errors(leaf.address, ()):
                context.loaded(leaf.value)


def builder(context: BuildContext) -> Building:
    """The builder of single sources and stages, as edits need it."""
    return _Builder(importlib.import_module("tensorflow"), context)


def build(spec: Spec, context: BuildContext, built: dict[str, BuiltStage] | None = None) -> Any:
    """The tf.data.Dataset of a spec, every node and function named after its stage's address.

    Raises:
        BuildError: TensorFlow refuses a stage, or a Python function of the user raises.
    """
    tf = importlib.import_module("tensorflow")
    seed = context.seed if context.seed is not None else spec.measure.seed
    if seed is not None:
        tf.random.set_seed(seed)
    builder = _Builder(tf, context)
    builder.seed = seed
    dataset = builder.pipeline(spec, "")
    if built is not None:
        built.update(builder.built)
    options = spec.options.written()
    if not options:
        return dataset
    with pin_errors("options", ()):
        return dataset.with_options(_tf_options(tf, options))


def _tf_options(tf: Any, written: dict[str, Any]) -> Any:
    options = tf.data.Options()
    _set_options(tf, options, written)
    return options


def _set_options(tf: Any, options: Any, written: dict[str, Any]) -> None:
    for name, value in written.items():
        if not hasattr(options, name):
            raise AttributeError(f"TensorFlow {tf.__version__} does not have {name}")
        if isinstance(value, dict):
            _set_options(tf, getattr(options, name), value)
        elif name in _ENUMERATIONS:
            setattr(options, name, getattr(getattr(tf.data.experimental, _ENUMERATIONS[name]), value))
        else:
            setattr(options, name, value)


class _Builder(FunctionBuilder):
    """Turns the parts of a spec into TensorFlow's; implements `pipeprof.pipelines.ops.protocol.Building`."""

    def __init__(self, tf: Any, context: BuildContext) -> None:
        super().__init__(tf, context)
        self.built: dict[str, BuiltStage] = {}
        self._outer: list[Any] = []

    @property
    def tfds(self) -> Any:
        """The module tensorflow_datasets."""
        if importlib.util.find_spec("tensorflow_datasets") is None:
            raise PlainError("tfds.load needs the package tensorflow_datasets: pip install tensorflow-datasets")
        return importlib.import_module("tensorflow_datasets")

    def pipeline(self, pipeline: Any, address: str) -> Any:
        """The dataset of a source and its stages: a `Spec`, or a `Pipeline` with its outer element set."""
        if pipeline.source is None:
            dataset = self.convert(OuterElement(pipeline.on))
            if not isinstance(dataset, self.tf.data.Dataset):
                raise FieldError(
                    f"the pipeline starts from {describe(dataset)}, expected a dataset such as `window` yields: "
                    "a pipeline of anything else needs a `source`"
                )
        else:
            here = join(address, "source")
            with pin_errors(here, self.files):
                dataset = pipeline.source.build(self, here)
            self.built[here] = BuiltStage(pipeline.source.op, dataset.element_spec)
        for index, stage in enumerate(pipeline.stages or []):
            here = join(address, "stages", index)
            with pin_errors(here, self.files):
                dataset = stage.apply(dataset, self, here)
            self.built[here] = BuiltStage(stage.op, dataset.element_spec)
        return dataset

    def inner(self, pipeline: InnerPipeline, address: str) -> Any:
        """The dataset of a pipeline that is an argument."""
        return self.pipeline(pipeline, address)

    def arguments(self, op: Op, address: str) -> dict[str, Any]:
        """The arguments that were written, as TensorFlow takes them, and the node's name."""
        arguments = {name: self.convert(value) for name, value in op.written().items()}
        return {**arguments, "name": node_name(address)} if op.takes_name else arguments

    def convert(self, value: Any) -> Any:
        """A value of the spec as TensorFlow takes it."""
        if isinstance(value, Structure):
            return map_leaves(self.component, value.value)
        if isinstance(value, OuterElement):
            return self._outer[-1] if value.on is None else pick(self._outer[-1], value.on)
        if isinstance(value, FilePatterns):
            found = self.context.files(value)
            expanded = [
                each
                for file in found
                for each in (self.tf.io.gfile.glob(file) if "://" in file and "*" in file else [file])
            ]
            if not expanded:
                raise PathError(f"{', '.join(value.patterns)}: no file matches any more")
            return expanded
        if isinstance(value, OutputFile | InputFolder | ArrayFile):
            return str(resolve(value, self.context.base_dir, self.context.data_dirs)) if value else ""
        if isinstance(value, AutotuneConstant):
            return self.tf.data.AUTOTUNE
        return self.constant(value)

    def patterns(self, files: FilePatterns | OuterElement) -> Any:
        """Files as patterns that TensorFlow matches itself."""
        if isinstance(files, OuterElement):
            return self.convert(files)
        context = self.context
        return [resolve_pattern(pattern, context.base_dir, context.data_dirs) for pattern in files.patterns]

    def pipeline_function(self, function: PipelineFunction, dataset: Any, address: str) -> Callable[..., Any]:
        """The function of an ``interleave`` or ``flat_map``."""
        if function.python is not None:
            return self.named(self.python(function.python), address)
        unpacked = type(dataset.element_spec) is tuple

        def make(*components: Any) -> Any:
            self._outer.append(components if unpacked else components[0])
            try:
                with self.tf.name_scope(node_name(address)):
                    return self.pipeline(function, address)
            finally:
                self._outer.pop()

        return self.traced(make, address)

    def dataset_function(self, function: PipelineFunction, address: str, argument: str) -> Callable[..., Any]:
        """The function of a ``group_by_window`` or ``snapshot`` from a dataset, its last parameter, to a dataset."""
        if function.python is not None:
            return self.named(self.python(function.python), address)

        def make(*arguments: Any) -> Any:
            self._outer.append(arguments[-1])
            try:
                with self.tf.name_scope(node_name(address)):
                    return self.pipeline(function, join(address, argument))
            finally:
                self._outer.pop()

        return self.traced(make, address)

    def function(self, reference: PythonRef) -> Callable[..., Any]:
        """The user's own function, as it is."""
        return self.python(reference)

    def returned(self, reference: PythonRef, without: Sequence[str]) -> Any:
        """Return the dataset of the user's function, without its last stages and without a step returned with it."""
        function = self.python(reference)
        if not without:
            return dataset_of(function())
        with StageRecorder(self.tf) as recorder:
            made = dataset_of(function())
        known = isinstance(made, self.tf.data.Dataset)
        return recorder.without(made, without, str(reference)) if known else made

    def service(self, address: str) -> str:
        """The dispatcher's address."""
        if address != LOCAL:
            return address
        if self.context.service is None:
            raise PlainError("`service: local` is started for a run of the whole spec, and here is none")
        return self.context.service

    def options(self, options: Options) -> Any:
        """A tf.data.Options."""
        return _tf_options(self.tf, options.written())
