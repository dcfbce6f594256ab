"""A network of pipeprof's own that TensorFlow trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext, StepFacts, StepKind


class _TensorFlow(StepKind):
    """Its arguments are ``model``, ``flops`` and ``device`` as in `network_value.Network`, without the defaults."""

    name = "tensorflow"
    example = "convnet"
    pattern = r"(convnet|transformer|matmul(:\s*[\d.]+\s*[kMGT]?FLOP)?)"
    description = "A small network that TensorFlow trains: convnet, transformer or matmul:2GFLOP."
    own_code = False
    copies_ahead = 'ds = ds.apply(tf.data.experimental.prefetch_to_device("/GPU:0"))'

    def annotation(self) -> Any:
        from pipeprof.pipelines.steps.network_value import NetworkValue

        return NetworkValue

    def definitions(self) -> Mapping[str, Any]:
        from pipeprof.pipelines.steps.network_value import DEFINITIONS

        return DEFINITIONS

    def text(self, value: Any) -> str:
        from pipeprof.pipelines.ops.values.units import flops_text

        words = value.model if value.flops is None else f"{value.model}:{flops_text(value.flops)}"
        return words if value.device is None else f"{words}, on the {value.device}"

    def same_for_all_batches(self, text: str) -> str | None:
        return "this one computes the same for every batch" if "matmul" in text else None

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        del base
        arguments = {"model": value.model, "flops": value.flops, "device": value.device}
        return {name: argument for name, argument in arguments.items() if argument is not None}

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        from pipeprof.pipelines.steps import hand_over, networks
        from pipeprof.pipelines.steps.called import CalledStep

        gpu = hand_over.gpu_of_tensorflow()
        if arguments.get("device") == "gpu" and gpu is None:
            raise UsageError("step tensorflow: device gpu, but TensorFlow has no GPU here: expected cpu, or no device")
        device = None if arguments.get("device") == "cpu" else gpu
        network = networks.made(arguments["model"], context.element_spec, device or "/CPU:0", arguments.get("flops"))
        facts = StepFacts(computes=network.words, on="gpu" if device else "cpu")
        return CalledStep(network.step, copy=hand_over.copy_to(device) if device else None, facts=facts)


KIND = _TensorFlow()
