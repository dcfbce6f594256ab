"""Sources and stages as a chain of calls, with the functions that they are given."""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.ops.base import Op, Source, Stage
from pipeprof.pipelines.ops.element import ElementFunction, Required
from pipeprof.pipelines.ops.nested import Pipeline, PipelineFunction, Pipelines
from pipeprof.pipelines.ops.options import Options
from pipeprof.pipelines.ops.structures import MadeArray, NpyArray, NpzArray, Structure
from pipeprof.pipelines.ops.values import FilePatterns, OuterElement
from pipeprof.pipelines.python.calls import Body, guessed
from pipeprof.pipelines.python.code import Bracket, Chain, Node, Prefixed, flat, listed, mapped, statement, tupled
from pipeprof.pipelines.python.elements import UNKNOWN, Form, Row, Single, bind, express, noun_of, pick
from pipeprof.pipelines.python.flows import combined_form, singular, source_form, stage_form
from pipeprof.pipelines.python.module import Module, function_lines
from pipeprof.pipelines.python.names import plural, slug, verb
from pipeprof.pipelines.python.values import Values, array_noun, dtype, scalar

# Arguments that are written by position, as one does by hand; all others by name.
_POSITIONAL: Final = {
    "assert_cardinality": ("cardinality",),
    "batch": ("batch_size",),
    "cache": ("filename",),
    "padded_batch": ("batch_size",),
    "prefetch": ("buffer_size",),
    "ragged_batch": ("batch_size",),
    "rebatch": ("batch_size",),
    "repeat": ("count",),
    "shard": ("num_shards", "index"),
    "shuffle": ("buffer_size",),
    "skip": ("count",),
    "snapshot": ("path",),
    "take": ("count",),
    "window": ("size",),
    "list_files": ("file_pattern",),
    "TFRecordDataset": ("filenames",),
    "TextLineDataset": ("filenames",),
    "FixedLengthRecordDataset": ("filenames", "record_bytes"),
    "CsvDataset": ("filenames", "record_defaults"),
    "from_tensor_slices": ("tensors",),
    "from_tensors": ("tensors",),
    "load": ("path",),
    "prefetch_to_device": ("device",),
    "copy_to_device": ("target_device",),
    "sample_from_datasets": ("datasets",),
    "choose_from_datasets": ("datasets", "choice_dataset"),
}
# pipeprof's ways to write a function, which `function` and `reference` of an op gather.
_INLINE: Final = frozenset(
    {"ops", "python", "source", "stages", "on", "map_func", "predicate", "transformation_func", "generator", "name"}
)
_DEFAULT_VERBS: Final = {
    "filter": "is_kept",
    "interleave": "read",
    "flat_map": "flatten",
    "take_while": "goes_on",
    "scan": "step",
    "key_func": "key_of",
    "reduce_func": "reduce",
    "window_size_func": "window_size",
    "element_length_func": "length_of",
    "class_func": "class_of",
    "shard_func": "shard_of",
    "reader_func": "read",
}
_HOLDERS: Final = {
    "TFRecordDataset": "tf.data",
    "TextLineDataset": "tf.data",
    "FixedLengthRecordDataset": "tf.data",
    "CsvDataset": "tf.data.experimental",
    "SqlDataset": "tf.data.experimental",
    "make_csv_dataset": "tf.data.experimental",
    "make_batched_features_dataset": "tf.data.experimental",
}
_ENUMERATIONS: Final = {
    "auto_shard_policy": "AutoShardPolicy",
    "autotune_algorithm": "AutotuneAlgorithm",
    "experimental_external_state_policy": "ExternalStatePolicy",
}


class Chains:
    """Renders pipelines; functions and constants go into the module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.values = Values(module)

    def pipeline(self, pipeline: Any, scope: Body, outer: Form) -> tuple[Node, Form]:
        """The dataset of a `Spec` or `Pipeline`, and the form of its elements.

        Args:
            pipeline: What was written.
            scope: The function it is made in, whose statements may come first.
            outer: The element that a nested pipeline is made for.
        """
        if pipeline.source is None:
            given = outer if pipeline.on is None else pick(outer, pipeline.on)
            node, form = express(given), (given.inside if isinstance(given, Single) else None) or UNKNOWN
        else:
            node, form = self.source(pipeline.source, scope, outer)
        for stage in pipeline.stages or []:
            link, form = self.stage(stage, form, scope, outer)
            node = Chain(node.head, (*node.links, link)) if isinstance(node, Chain) else Chain(node, (link,))
        return node, form

    def variable(self, pipeline: Pipeline, scope: Body, outer: Form, wanted: str = "") -> tuple[str, Form]:
        """A dataset of its own, which gets a name."""
        node, form = self.pipeline(pipeline, scope, outer)
        return scope.assign(wanted or _dataset_noun(form), node, ()), form

    def source(self, source: Source, scope: Body, outer: Form) -> tuple[Node, Form]:
        """A source and the form of its elements."""
        datasets = getattr(source, "datasets", None)
        if isinstance(datasets, Pipelines):
            return self._combined(source, datasets, scope, outer)
        if source.op == "range":
            return self._range(source, outer), source_form(source)
        name = f"{_holder(source)}.{source.op}"
        made = self._call(name, source, self._arguments(source, UNKNOWN, scope, outer))
        return made, source_form(source)

    def _range(self, source: Any, outer: Form) -> Node:
        stop = self._outer(source.stop, outer) if isinstance(source.stop, OuterElement) else str(source.stop)
        if isinstance(source.stop, OuterElement):
            stop = f"tf.cast({flat(stop)}, tf.int64)"
        numbers: list[Node] = [stop]
        if source.start != 0 or source.step != 1:
            numbers = [str(source.start), stop, *([str(source.step)] if source.step != 1 else [])]
        kind = (Prefixed("output_type=", dtype(source.output_type)),) if source.output_type else ()
        return Bracket("tf.data.Dataset.range(", (*numbers, *kind), ")")

    def _combined(self, source: Any, datasets: Pipelines, scope: Body, outer: Form) -> tuple[Node, Form]:
        forms: list[Form] = []
        names: list[str] = []

        def visit(value: Any, wanted: str) -> Node:
            if isinstance(value, Pipeline):
                name, form = self.variable(value, scope, outer, wanted)
                forms.append(form)
                names.append(name)
                return name
            if isinstance(value, dict):
                return mapped((str(key), visit(inner, plural(slug(str(key))))) for key, inner in value.items())
            return tupled([visit(inner, "") for inner in value])

        structure = visit(datasets.value, "")
        form = combined_form(source.op, forms, datasets)
        if source.op == "concatenate":
            return Chain(names[0], tuple(Bracket(".concatenate(", (name,), ")") for name in names[1:])), form
        if source.op == "zip":
            return Bracket("tf.data.Dataset.zip(", (structure,), ")"), form
        arguments = {"datasets": listed(names), **self._arguments(source, UNKNOWN, scope, outer)}
        return self._call(f"tf.data.Dataset.{source.op}", source, arguments), form

    def stage(self, stage: Stage, form: Form, scope: Body, outer: Form) -> tuple[Bracket, Form]:
        """The link of a stage, and what its elements are."""
        arguments: dict[str, Node] = {}
        after = stage_form(stage, form)
        function = getattr(stage, "function", None) or getattr(stage, "reference", None)
        if isinstance(function, ElementFunction):
            answers = stage.op != "map"
            arguments[""], made = self.element_function(function, form, stage, stage.op, answers=answers)
            after = made if stage.op == "map" else after
        elif isinstance(function, PipelineFunction):
            arguments[""], after = self.pipeline_function(function, form, stage, stage.op)
        elif function is not None:
            arguments[""] = self.module.python(function)
        arguments |= self._arguments(stage, form, scope, outer)
        holder = getattr(stage, "holder", "tf.data.Dataset")
        if holder != "tf.data.Dataset":
            return Bracket(".apply(", (self._call(f"{holder}.{stage.op}", stage, arguments),), ")"), after
        return self._call(f".{stage.op}", stage, arguments), after

    def _call(self, name: str, op: Op, arguments: dict[str, Node]) -> Bracket:
        positional = [arguments.pop("")] if "" in arguments else []
        for key in _POSITIONAL.get(op.op, ()):
            if key not in arguments:
                break
            positional.append(arguments.pop(key))
        return Bracket(f"{name}(", (*positional, *(Prefixed(f"{key}=", node) for key, node in arguments.items())), ")")

    def _arguments(self, op: Op, form: Form, scope: Body, outer: Form) -> dict[str, Node]:
        """The arguments that were written, in TensorFlow's order."""
        written = [name for name in type(op).model_fields if name in op.model_fields_set and name not in _INLINE]
        found: dict[str, Node] = {}
        generator = getattr(op, "generator", None)
        if op.op == "from_generator":
            found[""] = self.module.python(generator.python if generator else vars(op)["python"])
        for name in written:
            value = getattr(op, name)
            if isinstance(value, Pipelines):
                continue
            found[name] = self._argument(op, name, value, form, scope, outer)
        return found

    def _argument(self, op: Op, name: str, value: Any, form: Form, scope: Body, outer: Form) -> Node:
        if isinstance(value, ElementFunction):
            called_with = Single("key") if name == "window_size_func" else form
            return self.element_function(value, called_with, op, name, answers=True)[0]
        if isinstance(value, PipelineFunction):
            return self.pipeline_function(value, form, op, name)[0]
        if isinstance(value, Pipeline):
            return self.variable(value, scope, outer, "weights" if name == "weights" else "")[0]
        if isinstance(value, Options):
            return self.options(value, scope)
        if isinstance(value, OuterElement):
            return self._outer(value, outer)
        if isinstance(value, FilePatterns):
            if op.op == "list_files":
                return self.values.patterns(value)
            return self.values.files(value, always_list=op.op == "CsvDataset")
        if name in ("tensors", "args") and isinstance(value, Structure):
            made = self._tensors(value.value, scope, "arrays")
            return tupled([made]) if name == "args" and not isinstance(value.value, tuple | list) else made
        if name == "record_defaults":
            return self._record_defaults(value)
        return self.values.constant(value)

    def _outer(self, value: OuterElement, outer: Form) -> Node:
        return express(outer if value.on is None else pick(outer, value.on))

    def _record_defaults(self, value: Any) -> Node:
        shown = [dtype(item.dtype) if isinstance(item, Required) else scalar(item) for item in value]
        if len(shown) > 2 and len(set(shown)) == 1:
            return f"[{shown[0]}] * {len(shown)}"
        return listed(shown)

    def _tensors(self, value: Any, scope: Body, noun: str) -> Node:
        """Arrays get names; what they are put together in is written out."""
        if isinstance(value, dict):
            return mapped(
                (str(key), self._tensors(inner, scope, plural(slug(str(key))))) for key, inner in value.items()
            )
        if isinstance(value, tuple):
            nouns = ("features", "labels") if len(value) == 2 else ("array",) * len(value)
            return tupled([self._tensors(inner, scope, name) for inner, name in zip(value, nouns, strict=True)])
        if isinstance(value, NpyArray | NpzArray | MadeArray):
            wanted = slug(array_noun(value, noun)) if noun == "arrays" else noun
            return scope.assign(wanted, self.values.array(value), ())
        return self.values.structure(value)

    def options(self, options: Options, scope: Body) -> str:
        """The variable with options, which statements before have set."""
        name = scope.assign("options", "tf.data.Options()", ())
        scope.lines += _option_lines(name, options.written())
        return name

    def element_function(
        self, function: ElementFunction, form: Form, op: Op, role: str, *, answers: bool
    ) -> tuple[Node, Form]:
        """The name of a function over elements, and the form of what it gives."""
        if function.python is not None:
            return self.module.python(function.python), UNKNOWN
        calls = function.ops or []
        body = Body(self.module)
        parameters, element = body.parameters(guessed(form, calls))
        node, result = body.chain(calls, element, answers=answers)
        if len(parameters) == 1 and not body.lines and flat(node) == f"{calls[0].name}({flat(parameters[0])})":
            return calls[0].name, result
        hint = op.name if op.name and role == op.op else None
        default = _DEFAULT_VERBS.get(role, "transform")
        wanted = slug(hint, default) if hint else verb([each.name for each in calls], default)
        name = self.module.name(wanted if role in ("map", "filter") or hint else default)
        self.module.functions.append(function_lines(name, parameters, [*body.lines, *returned(node)]))
        return name, result

    def pipeline_function(self, function: PipelineFunction, form: Form, op: Op, role: str) -> tuple[Node, Form]:
        """The name of a function from an element (or a dataset) to a dataset, and the form of its elements."""
        if function.python is not None:
            return self.module.python(function.python), UNKNOWN
        scope = Body(self.module)
        parameters, outer = self._pipeline_parameters(function, form, role, scope)
        self.module.taken |= scope.locals
        node, result = self.pipeline(function, scope, outer)
        self.module.taken -= scope.locals
        shown = flat(node)
        if len(parameters) == 1 and not scope.lines and shown.endswith(f"Dataset({flat(parameters[0])})"):
            return shown.partition("(")[0], result
        hint = op.name if op.name and role == op.op else None
        default = _DEFAULT_VERBS.get(role, "make")
        name = self.module.name(slug(hint, default) if hint else default)
        self.module.functions.append(function_lines(name, parameters, [*scope.lines, *returned(node)]))
        return name, result

    def _pipeline_parameters(
        self, function: PipelineFunction, form: Form, role: str, scope: Body
    ) -> tuple[list[Node], Form]:
        if role == "reduce_func":
            names = [scope.local("key", ()), scope.local("window", ())]
            return list(names), bind(Single("window", inside=form), names[1])
        if role == "reader_func":
            name = scope.local("datasets", ())
            return [name], bind(Single("datasets", inside=Single("dataset", inside=form)), name)
        return scope.parameters(_guessed_outer(function, form))


def _guessed_outer(function: PipelineFunction, form: Form) -> Form:
    """An unknown outer element is what the pipeline takes it for: a tuple if it picks an index."""
    first = getattr(function.source, function.source.element_argument, None) if function.source else None
    on = function.on if first is None else first.on if isinstance(first, OuterElement) else None
    if isinstance(form, Single) and not form.known and isinstance(on, int):
        return Row(tuple(Single(f"value_{index}", known=False) for index in range(on + 1)), rest="rest")
    return form


def _dataset_noun(form: Form) -> str:
    if isinstance(form, Single):
        return plural(form.noun) if form.known and form.noun != "window" else "dataset"
    return plural(noun_of(form)) if noun_of(form) == "example" else "batches"


def _holder(source: Source) -> str:
    stated = getattr(source, "holder", "tf.data.Dataset")
    return stated if stated != "tf.data.Dataset" else _HOLDERS.get(source.op, stated)


def returned(node: Node) -> list[str]:
    """The statement that returns an expression; a tuple needs no parentheses where it fits on the line."""
    if isinstance(node, Bracket) and node.opening == "(" and len(node.items) > 1:
        bare = f"return {', '.join(map(flat, node.items))}"
        if len(bare) + 4 <= 100:
            return [bare]
    # Laid out as it will stand inside a function.
    return [line[4:] for line in statement("return ", node, "    ")]


def _option_lines(target: str, written: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, value in written.items():
        if isinstance(value, dict):
            lines += _option_lines(f"{target}.{name}", value)
        elif name in _ENUMERATIONS:
            lines.append(f"{target}.{name} = tf.data.experimental.{_ENUMERATIONS[name]}.{value}")
        else:
            lines.append(f"{target}.{name} = {flat(_option(value))}")
    return lines


def _option(value: Any) -> Node:
    return listed(map(scalar, value)) if isinstance(value, list | tuple) else scalar(value)


__all__ = ["Chains", "returned", "singular"]
