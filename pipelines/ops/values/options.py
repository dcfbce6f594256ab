"""The ``options:`` of a spec: tf.data.Options by TensorFlow's names."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Closed, Document
from pipeprof.pipelines.ops.values.units import Size
from pipeprof.pipelines.ops.values.values import FilledText, Flag, NotNegative, Positive, choice


def _enumeration(*names: str) -> tuple[Checked, WithJsonSchema]:
    return Checked(choice(*names)), WithJsonSchema({"enum": list(names)})


_ALGORITHMS = _enumeration("DEFAULT", "HILL_CLIMB", "GRADIENT_DESCENT", "MAX_PARALLELISM", "STAGE_BASED")
_SHARDING = _enumeration("OFF", "AUTO", "FILE", "DATA", "HINT")
_STATE = _enumeration("WARN", "IGNORE", "FAIL")

Algorithm = Annotated[str, _ALGORITHMS[0], _ALGORITHMS[1]]
Sharding = Annotated[str, _SHARDING[0], _SHARDING[1]]
StatePolicy = Annotated[str, _STATE[0], _STATE[1]]


class Autotune(Document):
    """tf.data.experimental.AutotuneOptions."""

    enabled: Flag | None = Field(
        default=None, description="Whether to autotune parallelism and buffer sizes (TensorFlow: true)."
    )
    cpu_budget: NotNegative | None = Field(
        default=None, description="CPU budget of autotuning in cores; 0: all available."
    )
    ram_budget: Size | None = Field(
        default=None, description="Memory budget of buffers in bytes (TensorFlow: half of the free memory)."
    )
    autotune_algorithm: Algorithm | None = Field(default=None, description="Autotuning algorithm.")
    initial_parallelism: Positive | None = Field(default=None, description="Initial parallelism.")
    min_parallelism: Positive | None = Field(default=None, description="Minimum parallelism.")


class Threading(Document):
    """tf.data.ThreadingOptions."""

    private_threadpool_size: NotNegative | None = Field(
        default=None, description="Size of a private thread pool; 0: one thread per core."
    )
    max_intra_op_parallelism: NotNegative | None = Field(default=None, description="Maximum threads of a single op.")


class Optimization(Document):
    """tf.data.experimental.OptimizationOptions."""

    apply_default_optimizations: Flag | None = Field(
        default=None, description="Whether to apply TensorFlow's default optimizations."
    )
    filter_fusion: Flag | None = Field(default=None, description="Fuse filters (TensorFlow: false).")
    filter_parallelization: Flag | None = Field(
        default=None, description="Make stateless filters parallel (TensorFlow: false)."
    )
    inject_prefetch: Flag | None = Field(
        default=None, description="Append a prefetch to a synchronous last stage (TensorFlow: true)."
    )
    map_and_batch_fusion: Flag | None = Field(default=None, description="Fuse map and batch (TensorFlow: true).")
    map_and_filter_fusion: Flag | None = Field(default=None, description="Fuse map and filter (TensorFlow: false).")
    map_fusion: Flag | None = Field(default=None, description="Fuse maps (TensorFlow: false).")
    map_parallelization: Flag | None = Field(
        default=None, description="Make stateless maps parallel (TensorFlow: true)."
    )
    noop_elimination: Flag | None = Field(default=None, description="Remove stages without effect (TensorFlow: true).")
    parallel_batch: Flag | None = Field(
        default=None, description="Copy elements into batches in parallel (TensorFlow: true)."
    )
    seq_interleave_prefetch: Flag | None = Field(
        default=None, description="Replace parallel interleaves by sequential ones that prefetch (TensorFlow: false)."
    )
    shuffle_and_repeat_fusion: Flag | None = Field(
        default=None, description="Fuse shuffle and repeat (TensorFlow: true)."
    )


class Distribute(Document):
    """tf.data.experimental.DistributeOptions."""

    auto_shard_policy: Sharding | None = Field(default=None, description="Auto-sharding policy.")
    num_devices: Positive | None = Field(default=None, description="Number of devices fed by this pipeline.")


class Options(Document):
    """tf.data.Options of the whole pipeline."""

    deterministic: Flag | None = Field(
        default=None, description="Whether elements have a deterministic order (TensorFlow: true)."
    )
    dataset_name: FilledText | None = Field(default=None, description="Name of the dataset in TensorFlow's logs.")
    framework_type: list[FilledText] | None = Field(default=None, description="Frameworks that created the pipeline.")
    autotune: Autotune | None = Field(default=None, description="Autotuning of parallelism and buffers.")
    threading: Threading | None = Field(default=None, description="Threads of the dataset.")
    experimental_optimization: Optimization | None = Field(
        default=None, description="Graph optimizations of the pipeline."
    )
    experimental_distribute: Distribute | None = Field(
        default=None, description="Distribution of the pipeline over workers."
    )
    experimental_external_state_policy: StatePolicy | None = Field(
        default=None, description="Policy for random generators and other external state."
    )
    experimental_slack: Flag | None = Field(
        default=None,
        description="Whether to add slack to the last prefetch, for less CPU contention at the start of a step.",
    )
    experimental_symbolic_checkpoint: Flag | None = Field(
        default=None, description="Checkpoint iterator positions instead of buffers."
    )
    experimental_warm_start: Flag | None = Field(
        default=None, description="Start background threads when the iterator is created."
    )

    def written(self) -> dict[str, Any]:
        """Return the given options as nested mappings by TensorFlow's names, without nulls."""
        return _written(self)


def _written(options: Closed) -> dict[str, Any]:
    values = {name: getattr(options, name) for name in type(options).model_fields if name in options.model_fields_set}
    return {
        name: _written(value) if isinstance(value, Closed) else value
        for name, value in values.items()
        if value is not None
    }
