"""``parse-single-example``: records parsed one by one instead of in batches."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from pipeprof.pipelines.changes.edits import HandWritten, NewStage, PipelineEdit, ReplaceStages, VectoriseMap
from pipeprof.pipelines.graph.read.function_facts import DECODING
from pipeprof.profiles.advise.batch_savings import BatchSavings, alone, batching, interval_ms, microseconds, on_batches
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import (
    arguments_of,
    calls_of,
    function_name,
    in_place,
    parsing_function,
    python_text,
    stage_call,
    stage_yaml,
    written_features,
)
from pipeprof.profiles.constants import BATCHED_PARSE_GAIN, PARSE_EXAMPLE_US
from pipeprof.profiles.propose.proposal import Prediction, Proposal, Semantics
from pipeprof.profiles.view.view import FunctionView, PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, significant

_PARSES = frozenset({"ParseExample", "ParseExampleV2", "ParseSingleExample"})
_VECTOR_READY = frozenset(
    {
        *_PARSES,
        "Add",
        "AddV2",
        "Cast",
        "Const",
        "Identity",
        "IdentityN",
        "Maximum",
        "Minimum",
        "Mul",
        "Neg",
        "NoOp",
        "PartitionedCall",
        "Placeholder",
        "RealDiv",
        "StatefulPartitionedCall",
        "Sub",
    }
)
"""Ops that may stay as they are when the function is given a batch."""
_OF_DEFAULTS = frozenset({"Reshape"})
"""Ops that parsing itself may add, for default values."""
_RESHAPING = ("Reshape", "reshape")
_BATCHED = {"tf.io.parse_single_example": "tf.io.parse_example"}
_CALLS = ("num_parallel_calls", "deterministic")
_ONE_AT_A_TIME = ("Audio", "Crop", "Decode", "ExtractJpeg", "Image", "Map", "Random", "ReadFile", "Resize", "While")
_TAKES_VECTORS = frozenset({"DecodeBase64", "DecodeCompressed", "DecodePaddedRaw", "DecodeRaw"})
_SPARSE = "SerializeSparse"
_VARYING = ("Ragged", "SerializeManySparse", "SerializeSparse", "Sparse")


class ParseSingleExample(Rule):
    """A map that parses single examples before a batch.

    Seen:
        A map that parses one tf.train.Example per call feeds a batch, no stage between reads the elements, and the map
        does nothing else that needs single records. Measured, it costs about as much as parsing.

    Why:
        Parsing a single record costs about 39 µs, most of it call overhead; tf.io.parse_example parses a whole batch in
        one call, about 7 times as fast. Parallel calls before the batch do not help. A sparse tensor for each
        record, as VarLenFeature makes them, costs more still: it is packed into the batch, and unpacked again.

    Fix:
        Put the batch before the map, and parse with tf.io.parse_example. The batches are the same, those of
        VarLenFeature and RaggedFeature too, and a try compares them.

    Ignore when:
        Later operations need single records: decoding images, filtering, padding by length.
    """

    name = "parse-single-example"
    title = "Parse records in batches"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("batch-size", 8, "records", "below it there are few calls to save", to_try=4),
        Threshold("parse-cost", PARSE_EXAMPLE_US, "µs", "measured on TensorFlow 2.21: 21 features, batches of 128"),
        Threshold("batched-gain", BATCHED_PARSE_GAIN, "times", "the same records parsed by the batch"),
        Threshold(
            "cost-over-parse", 3, "times", "a map that costs more does other work that batching does not save", 10
        ),
        Threshold("static-cost", 1.0, "ms per batch", "parsing alone, without a run: 5 % of a step of 20 ms"),
        Threshold("predicted-speedup", 1.05, "times", "the share of the step below which speed is left alone"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge the written pipeline: a map that only parses, and batches large enough to matter."""
        for stage, batch in self._found(view):
            cost_ms = batch.size * self.threshold("parse-cost") / 1000
            if cost_ms < self.threshold("static-cost") or set(_needing_care(stage)) - _OF_DEFAULTS:
                continue
            sentence = (
                f"{stage.label} parses each of the {batch.size} records of a batch in a call of its own. A call costs "
                f"about {self.threshold('parse-cost'):g} µs: {milliseconds(cost_ms)} per batch, and one call that "
                f"parses them all about {milliseconds(cost_ms / self.threshold('batched-gain'))}."
            )
            evidence = {"batch_size": batch.size, "parse_ms_per_batch": cost_ms}
            yield _draft((stage, batch), sentence, evidence, None)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the measured cost: about that of parsing, and a part of the step."""
        for stage, batch in self._found(view):
            cost, interval = microseconds(view, stage), interval_ms(view)
            parse, gain = self.threshold("parse-cost"), self.threshold("batched-gain")
            if cost is None or interval is None:
                continue
            if alone(view, cost) > parse * self.threshold("cost-over-parse"):
                continue
            each = min(cost, parse) * (1 - 1 / gain)
            saved = batch.size * each / 1000
            predicted = on_batches(view, stage, batch)
            if predicted is None or (predicted.speedup or 0.0) < self.threshold("predicted-speedup"):
                continue
            sentence = (
                f"{stage.label} parses each of the {batch.size} records of a batch in a call of its own, "
                f"{significant(cost)} µs each. One call that parses the whole batch would save about "
                f"{milliseconds(saved)} of the {milliseconds(interval)} per batch."
            )
            evidence = {
                "batch_size": batch.size,
                "us_per_record": cost,
                "saved_ms_per_batch": saved,
                "interval_ms": interval,
            }
            yield _draft((stage, batch), sentence, evidence, predicted)

    def _found(self, view: PipelineView) -> Iterable[tuple[StageView, BatchSavings]]:
        for stage in view.stages:
            if stage.op != "map" or not _only_parses(stage.function) or not _reads_single_records(view, stage):
                continue
            batch = batching(view, stage)
            if batch is not None and batch.size >= self.threshold("batch-size"):
                yield stage, batch


def _only_parses(function: FunctionView | None) -> bool:
    """Whether it parses, and does nothing that only works on one record at a time."""
    if function is None or function.ops is None or not _PARSES.intersection(function.ops):
        return False
    if function.python is not False or function.random is not False or function.stateful_op is not None:
        return False
    return not any(
        op.removeprefix("Stateless").startswith(_ONE_AT_A_TIME) and op not in _TAKES_VECTORS for op in function.ops
    )


def _reads_single_records(view: PipelineView, stage: StageView) -> bool:
    """Whether every text of its input is a scalar: the same op parses a batch when it gets one."""
    below = view.input_of(stage)
    texts = [
        component for component in (below.element if below is not None else None) or () if component.dtype == "string"
    ]
    return bool(texts) and all(text.shape == () for text in texts)


def _needing_care(stage: StageView) -> list[str]:
    """Other ops than parsing that need a check before they get a batch."""
    ops = (stage.function.ops if stage.function is not None else None) or frozenset()
    names = [name for name, _ in calls_of(stage)]
    if names and not any(name.endswith(_RESHAPING) for name in names):
        ops -= _OF_DEFAULTS
    return sorted(ops - _VECTOR_READY)


def _varying(stage: StageView) -> bool:
    """Whether a feature may have any number of values: its tensor has no fixed shape."""
    if any(
        component.dtype == "variant" or component.shape is None or None in component.shape
        for component in stage.element or ()
    ):
        return True
    ops = stage.function.ops if stage.function is not None else None
    return any(op.startswith(_VARYING) for op in ops or ())


def _draft(
    found: tuple[StageView, BatchSavings],
    sentence: str,
    evidence: Mapping[str, float | int],
    predicted: Prediction | None,
) -> Proposal:
    stage, batch = found
    between = "".join(f"{stage.op}, " for stage in batch.between)
    words = [
        f"Put {between}batch before the map, and parse the whole batch with tf.io.parse_example: the same batches, "
        "also of features of variable length, which are one sparse or ragged tensor per batch as they are now."
    ]
    semantics: Semantics = "same"
    of_graph = _vectorises(stage)
    if of_graph and not _varying(stage):
        words.append("`tf.vectorized_map` of the function as it is does the same.")
    care = _needing_care(stage)
    if care and not of_graph:
        semantics = "values"
        words.append(
            f"The other operations of the function ({', '.join(care)}) then get a batch: literal shapes need a first "
            "dimension."
        )
    return Proposal(
        stage=stage.id,
        sentence=sentence,
        evidence=evidence,
        recommendation=" ".join(words),
        edits=(
            (VectoriseMap(stage.id, batch.stage.id),) if of_graph else (*batch.moves(stage), _parses_a_batch(stage))
        ),
        predicted=predicted,
        semantics=semantics,
        by_hand=_of_text(stage, batch, care) if of_graph else None,
    )


def _of_text(stage: StageView, batch: BatchSavings, care: Collection[str]) -> HandWritten | None:
    """The function of the user's file as one that parses a batch; None where its text is not known, or does more.

    Args:
        care: Other ops of the function, those that defaults of features make included.
    """
    written, single = stage.given.definition if stage.given is not None else "", "parse_single_example"
    if (
        single not in written
        or set(care) - _OF_DEFAULTS - {_SPARSE}
        or (_OF_DEFAULTS & set(care) and "reshape" in written)
    ):
        return None
    name = f"{function_name(stage)}_batch"
    lines = re.sub(r"^((?:async )?def )\w+", rf"\1{name}", written).replace(single, "parse_example")
    moved = "".join(stage_call(one, one.arguments) for one in (*batch.between, batch.stage))
    replaced, calls = (stage, *batch.between, batch.stage), f"{moved}.map({name}, num_parallel_calls=tf.data.AUTOTUNE)"
    return HandWritten((stage.id, batch.stage.id), "", f"{lines}\n{in_place(replaced, calls)}", "")


def _vectorises(stage: StageView) -> bool:
    """Whether the function can be applied to whole batches in the graph: one of Python's, whose results are tensors."""
    if stage.written or stage.element is None:
        return False
    ops = (stage.function.ops if stage.function is not None else None) or frozenset()
    if ops & (DECODING | {"SparseToDense"}):
        return False
    return _SPARSE in ops or all(component.dtype != "variant" for component in stage.element)


def _parses_a_batch(stage: StageView) -> PipelineEdit:
    """The map with its calls as they are, parsing aside."""
    features = written_features(stage)
    others = {key: value for key, value in arguments_of(stage).items() if key not in ("ops", "python", "map_func")}
    calls = [
        _BATCHED.get(called, called) if given is None else {_BATCHED.get(called, called): given}
        for called, given in calls_of(stage)
    ]
    summary = "parse whole batches in {stage}"
    care = _needing_care(stage)
    if features is not None and not care:
        return ReplaceStages((stage.id,), (NewStage("map", {**others, "ops": calls}),), summary)
    ops = calls if features is not None else [{"tf.io.parse_example": {"features": "…"}}]
    whole = len(calls) <= 1 and (bool(calls) or not care)
    given = "".join(f", {key}={python_text(value)}" for key, value in stage.arguments.items() if key in _CALLS)
    name = function_name(stage)
    return HandWritten(
        (stage.id,),
        yaml="\n".join(stage_yaml("map", {**others, "ops": ops})),
        python="\n".join([*parsing_function(name, features, whole=whole), f"dataset = dataset.map({name}{given})"]),
        summary=summary,
    )
