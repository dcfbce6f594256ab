"""Rendering of sources and stages as a chain of calls, with their functions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.ops.base import Op, Stage
from pipeprof.pipelines.ops.calls.element import ElementFunction, Required
from pipeprof.pipelines.ops.nested import Pipeline, PipelineFunction, Pipelines
from pipeprof.pipelines.ops.stages.distribute import LOCAL, POLICIES, CrossTrainerCache
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.ops.values.options import Options
from pipeprof.pipelines.ops.values.structures import ARRAYS, Structure
from pipeprof.pipelines.ops.values.values import FilePatterns, OuterElement
from pipeprof.pipelines.to_python.arrays import array, array_noun
from pipeprof.pipelines.to_python.body import Body, guess_form
from pipeprof.pipelines.to_python.code import call, inside, listed, mapped, returned, scalar, slug, tupled, verb
from pipeprof.pipelines.to_python.elements import UNKNOWN, Form, Single, TupleForm, bind, express, form_of, pick, plain
from pipeprof.pipelines.to_python.module import Module, function_lines
from pipeprof.pipelines.to_python.padding import Padding, of_dataset
from pipeprof.pipelines.to_python.special_calls import render_special_call
from pipeprof.pipelines.to_python.values import Values, dtype

# Keys for functions in a spec, which `function` and `reference` of an op combine.
_INLINE: Final = frozenset(
    {
        "scan_func", "function", "read_config", "ops", "python", "source", "stages", "on", "map_func", "predicate",
        "transformation_func", "generator", "name",
    }
)  # fmt: skip
_ROLE_VERBS: Final = {
    "key_func": "key_of", "reduce_func": "reduce", "window_size_func": "window_size",
    "element_length_func": "length_of", "class_func": "class_of", "shard_func": "shard_of", "reader_func": "read",
}  # fmt: skip
"""Names for functions that are additional arguments of a stage."""
_ENUMERATIONS: Final = {
    "auto_shard_policy": "AutoShardPolicy",
    "autotune_algorithm": "AutotuneAlgorithm",
    "experimental_external_state_policy": "ExternalStatePolicy",
}
_TENSORS: Final = frozenset({"tensors", "args", "data", "targets", "initial_state"})


@dataclass(frozen=True)
class RenderContext:
    """Context in which a pipeline is rendered."""

    scope: Body
    outer: Form = UNKNOWN
    form: Form = UNKNOWN


class Chains:
    """Renderer of pipelines; functions and constants are added to the module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.values = Values(module)
        self.padding = Padding(module)

    def pipeline(self, pipeline: Any, here: RenderContext) -> tuple[str, Form]:
        """Render a `Spec` or `Pipeline` as the expression of a dataset; also return the form of its elements."""
        variable = here.scope.local("dataset", ()) if len(pipeline.stages or ()) > 1 else None
        return self._render(pipeline, here, variable)

    def variable(self, pipeline: Any, here: RenderContext, name: str = "dataset") -> tuple[str, Form]:
        """Render a pipeline as a variable of that name, if it is free; also return the form of its elements."""
        variable = here.scope.local(name, ())
        node, form = self._render(pipeline, here, variable)
        here.scope.lines += inside(f"{variable} = ", node)
        return variable, form

    def _render(self, pipeline: Any, here: RenderContext, variable: str | None) -> tuple[str, Form]:
        if pipeline.source is None:
            given = here.outer if pipeline.on is None else pick(here.outer, pipeline.on)
            node, form = express(given), (given.inside if isinstance(given, Single) else None) or UNKNOWN
        else:
            node, form = self.source(pipeline.source, here)
        for stage in pipeline.stages or []:
            if variable is not None and not node.isidentifier():
                here.scope.lines += inside(f"{variable} = ", node)
                node = variable
            link, form = self.stage(stage, replace(here, form=form))
            node += link
        return node, form

    def source(self, source: Any, here: RenderContext) -> tuple[str, Form]:
        """Return a source and the form of its elements."""
        datasets = getattr(source, "datasets", None)
        if isinstance(datasets, Pipelines):
            return self._combined_source(source, datasets, here)
        if source.op == "range":
            stop = self._outer(source.stop, here.outer) if isinstance(source.stop, OuterElement) else str(source.stop)
            if isinstance(source.stop, OuterElement):
                stop = f"tf.cast({stop}, tf.int64)"
            numbers: list[str] = [stop]
            if source.start != 0 or source.step != 1:
                numbers = [str(source.start), stop, *([str(source.step)] if source.step != 1 else [])]
            kind = {"output_type": dtype(source.output_type)} if source.output_type else {}
            node = call("tf.data.Dataset.range", *numbers, **kind)
        elif source.op == "python":
            if vars(source)["without"]:
                left_out = ", ".join(vars(source)["without"])
                raise UsageError(
                    f"--python cannot take the stages {left_out} out of what {vars(source)['function']} returns, as "
                    "`without` does when the spec runs: copy the function without these stages, name the copy in "
                    "the source, and remove `without`"
                )
            node = call(self.module.python(vars(source)["function"]))
        elif source.op == "tfds.load":
            self.module.imports.add("import tensorflow_datasets as tfds")
            arguments = self._arguments(source, here)
            arguments.pop("download", None)
            config = source.read_config
            if config is not None:
                named = {key: self.values.constant(getattr(config, key)) for key in sorted(config.model_fields_set)}
                arguments["read_config"] = call("tfds.ReadConfig", **named)
            arguments["download"] = "False"
            node = call("tfds.load", scalar(str(source.name)), **arguments)
        else:
            node = self._call(f"{source.holder}.{source.op}", source, self._arguments(source, here))
        return node, form_of(self.module.elements(source), traits(source.op).noun or "element")

    def _combined_source(self, source: Any, datasets: Pipelines, here: RenderContext) -> tuple[str, Form]:
        forms: list[Form] = []
        names: list[str] = []

        def visit(value: Any, wanted: str = "dataset") -> str:
            if isinstance(value, Pipeline):
                name, form = self.variable(value, here, wanted)
                forms.append(form)
                names.append(name)
                return name
            if isinstance(value, dict):
                return mapped((str(key), visit(inner, slug(str(key)))) for key, inner in value.items())
            return tupled(map(visit, value))

        structure = visit(datasets.value)
        if source.op == "concatenate":
            return names[0] + "".join(call(".concatenate", name) for name in names[1:]), forms[0]
        if source.op == "zip":
            return call("tf.data.Dataset.zip", structure), form_of(self.module.elements(source))
        arguments = {"datasets": listed(names), **self._arguments(source, here)}
        return self._call(f"tf.data.Dataset.{source.op}", source, arguments), forms[0]

    def stage(self, stage: Stage, here: RenderContext) -> tuple[str, Form]:
        """Return the link of a stage, and the form of its elements."""
        arguments: dict[str, str] = {}
        form = here.form
        row = traits(stage.op)
        kept = row.same_components or (row.batches and not row.windows)
        after = plain(form) if kept else form_of(self.module.elements(stage))
        function = getattr(stage, "function", None) or getattr(stage, "reference", None)
        if isinstance(function, ElementFunction):
            answers = row.predicate or not row.computes
            given = TupleForm((Single("state"), plain(form))) if stage.op == "scan" else form
            node, made = self.element_function(function, given, stage, stage.op, answers=answers)
            arguments["scan_func" if stage.op == "scan" else ""] = node
            after = plain(made) if stage.op == "map" else plain(pick(made, 1)) if stage.op == "scan" else after
        elif isinstance(function, PipelineFunction):
            arguments[""], after = self.pipeline_function(function, form, stage, stage.op)
        elif function is not None:
            arguments[""] = self.module.python(function)
        for key, node in self._arguments(stage, here).items():
            arguments.setdefault(key, node)
        if "padding_values" in arguments and not getattr(stage, "no_padding", False):
            return self._padded_link(stage, arguments), after
        holder = getattr(stage, "holder", "tf.data.Dataset")
        if holder != "tf.data.Dataset":
            return call(".apply", self._call(f"{holder}.{stage.op}", stage, arguments)), after
        return self._call(f".{stage.op}", stage, arguments), after

    def _padded_link(self, stage: Stage, arguments: dict[str, str]) -> str:
        """Return the link of a stage whose padding values have the dtypes of the components."""
        values = self.padding.values(stage)
        arguments["padding_values"] = values or of_dataset(vars(stage)["padding_values"].value)
        link = self._call(f".{stage.op}", stage, arguments)
        if values is not None:
            return link
        name = self._function_name(stage, stage.op, [])
        self.module.functions.append(function_lines(name, ["dataset"], returned(f"dataset{link}")))
        return call(".apply", name)

    def _call(self, name: str, op: Op, arguments: dict[str, str]) -> str:
        positional = [arguments.pop("")] if "" in arguments else []
        for key in traits(op.op).positional:
            if key not in arguments:
                break
            positional.append(arguments.pop(key))
        return call(name, *positional, **arguments)

    def _arguments(self, op: Op, here: RenderContext) -> dict[str, str]:
        written = [name for name in type(op).model_fields if name in op.model_fields_set and name not in _INLINE]
        found: dict[str, str] = {}
        generator = getattr(op, "generator", None)
        if op.op == "from_generator":
            found[""] = self.module.python(generator.python if generator else vars(op)["python"])
        for name in written:
            value = getattr(op, name)
            if isinstance(value, Pipelines):
                continue
            found[name] = self._argument(op, name, value, here)
        return found

    def _argument(self, op: Op, name: str, value: Any, here: RenderContext) -> str:
        if isinstance(value, ElementFunction):
            called_with = Single("key") if name == "window_size_func" else here.form
            return self.element_function(value, called_with, op, name, answers=True)[0]
        if isinstance(value, PipelineFunction):
            return self.pipeline_function(value, here.form, op, name)[0]
        if isinstance(value, Pipeline):
            return self.variable(value, here, "weights" if name == "weights" else "dataset")[0]
        if isinstance(value, Options):
            return self.options(value, here.scope)
        return self._plain_argument(op, name, value, here)

    def _plain_argument(self, op: Op, name: str, value: Any, here: RenderContext) -> str:
        if isinstance(value, OuterElement):
            return self._outer(value, here.outer)
        if isinstance(value, FilePatterns):
            if op.op == "list_files":
                return self.values.patterns(value)
            return self.values.files(value, always_list=op.op == "CsvDataset")
        if name in _TENSORS and isinstance(value, Structure):
            made = self._tensors(value.value, here.scope, "arrays" if name in ("tensors", "args") else name)
            return tupled([made]) if name == "args" and not isinstance(value.value, tuple | list) else made
        if name == "record_defaults" and op.op == "CsvDataset":
            return self._record_defaults(value)
        return self._own_object(op, name, value) or self.values.constant(value)

    @staticmethod
    def _own_object(op: Op, name: str, value: Any) -> str:
        """Return an object of TensorFlow's that a spec writes as its name or arguments; empty for any other value."""
        if name == "reader" and isinstance(value, str):
            return f"tf.data.{value}"
        if name == "processing_mode" and value in POLICIES:
            return f"{op.holder}.ShardingPolicy.{value}"
        if name == "service" and value == LOCAL:
            raise UsageError(
                "--python cannot start the tf.data service of `service: local`, as a run does: write the address of "
                "a dispatcher"
            )
        if isinstance(value, CrossTrainerCache):
            return call(f"{op.holder}.{type(value).__name__}", scalar(value.trainer_id))
        return ""

    def _outer(self, value: OuterElement, outer: Form) -> str:
        return express(outer if value.on is None else pick(outer, value.on))

    def _record_defaults(self, value: Any) -> str:
        shown = [dtype(item.dtype) if isinstance(item, Required) else scalar(item) for item in value]
        runs = [(text, len(list(run))) for text, run in itertools.groupby(shown)]
        if len(shown) > 2 * len(runs):
            return " + ".join(f"[{text}] * {count}" if count > 1 else f"[{text}]" for text, count in runs)
        return listed(shown)

    def _tensors(self, value: Any, scope: Body, noun: str) -> str:
        if isinstance(value, dict):
            return mapped((str(key), self._tensors(inner, scope, slug(str(key)))) for key, inner in value.items())
        if isinstance(value, tuple):
            nouns = ("features", "labels") if len(value) == 2 else ("array",) * len(value)
            return tupled([self._tensors(inner, scope, name) for inner, name in zip(value, nouns, strict=True)])
        if isinstance(value, ARRAYS):
            wanted = slug(array_noun(value, noun)) if noun == "arrays" else noun
            return scope.assign(wanted, array(self.values, value), ())
        return self.values.structure(value)

    def options(self, options: Options, scope: Body) -> str:
        """Return the variable with options, which statements before have set."""
        name = scope.assign("options", "tf.data.Options()", ())
        scope.lines += _option_lines(name, options.written())
        return name

    def element_function(
        self, function: ElementFunction, form: Form, op: Op, role: str, *, answers: bool
    ) -> tuple[str, Form]:
        """Render a function of elements; return its name, and the form of its result."""
        if function.python is not None:
            return self.module.python(function.python), UNKNOWN
        calls = function.ops or []
        name = self._function_name(op, role, [call.name for call in calls])
        body = Body(self.module, render_special_call, name)
        parameters, element = body.parameters(guess_form(form, calls))
        node, result = body.chain(calls, element, answers=answers)
        if len(parameters) == 1 and not body.lines and node == f"{calls[0].name}({parameters[0]})":
            self.module.taken.discard(name)
            return calls[0].name, result
        self.module.functions.append(function_lines(name, parameters, [*body.lines, *returned(node)]))
        return name, result

    def pipeline_function(self, function: PipelineFunction, form: Form, op: Op, role: str) -> tuple[str, Form]:
        """Return the name of a function from an element (or a dataset) to a dataset, and the form of its elements."""
        if function.python is not None:
            return self.module.python(function.python), UNKNOWN
        name = self._function_name(op, role, [])
        scope = Body(self.module, render_special_call)
        parameters, outer = self._pipeline_parameters(function, form, role, scope)
        self.module.taken |= scope.locals
        node, result = self.pipeline(function, RenderContext(scope, outer))
        self.module.taken -= scope.locals
        if len(parameters) == 1 and not scope.lines and node.endswith(f"Dataset({parameters[0]})"):
            self.module.taken.discard(name)
            return node.partition("(")[0], result
        self.module.functions.append(function_lines(name, parameters, [*scope.lines, *returned(node)]))
        return name, result

    def _function_name(self, op: Op, role: str, functions: list[str]) -> str:
        default = _ROLE_VERBS.get(role) or traits(role).verb or ("transform" if functions else "make")
        if op.name and role == op.op:
            return self.module.name(slug(op.name, default))
        return self.module.name(
            verb(functions, default) if functions and (traits(role).maps or role == "filter") else default
        )

    def _pipeline_parameters(
        self, function: PipelineFunction, form: Form, role: str, scope: Body
    ) -> tuple[list[str], Form]:
        if role == "reduce_func":
            names = [scope.local("key", ()), scope.local("window", ())]
            return list(names), bind(Single("window", inside=form), names[1])
        if role == "reader_func":
            name = scope.local("datasets", ())
            return [name], bind(Single("datasets", inside=Single("dataset", inside=form)), name)
        return scope.parameters(_guessed_outer(function, form))


def _guessed_outer(function: PipelineFunction, form: Form) -> Form:
    first = getattr(function.source, function.source.element_argument, None) if function.source else None
    on = function.on if first is None else first.on if isinstance(first, OuterElement) else None
    if isinstance(form, Single) and not form.known and isinstance(on, int):
        return TupleForm(tuple(Single(f"value_{index}", known=False) for index in range(on + 1)), rest="rest")
    return form


def _option_lines(target: str, written: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, value in written.items():
        if isinstance(value, dict):
            lines += _option_lines(f"{target}.{name}", value)
        elif name in _ENUMERATIONS:
            lines.append(f"{target}.{name} = tf.data.experimental.{_ENUMERATIONS[name]}.{value}")
        else:
            lines.append(
                f"{target}.{name} = {listed(map(scalar, value)) if isinstance(value, list | tuple) else scalar(value)}"
            )
    return lines
