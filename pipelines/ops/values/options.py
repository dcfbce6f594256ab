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
        default=None, description="Whether tf.data tunes parallelism and buffers (TensorFlow: true)."
    )
    cpu_budget: NotNegative | None = Field(
        default=None, description="Cores that tuning may plan for; 0: all it can use."
    )
    ram_budget: Size | None = Field(
        default=None, description="Bytes that buffers may take; TensorFlow: half of what is free."
    )
    autotune_algorithm: Algorithm | None = Field(default=None, description="The algorithm that tunes.")
    initial_parallelism: Positive | None = Field(default=None, description="Parallelism before the first tuning.")
    min_parallelism: Positive | None = Field(default=None, description="Parallelism that tuning never goes below.")


class Threading(Document):
    """tf.data.ThreadingOptions."""

    private_threadpool_size: NotNegative | None = Field(
        default=None, description="Threads of a pool of the dataset's own; 0: one for each core."
    )
    max_intra_op_parallelism: NotNegative | None = Field(default=None, description="Threads that a single op may use.")


class Optimization(Document):
    """tf.data.experimental.OptimizationOptions."""

    apply_default_optimizations: Flag | None = Field(
        default=None, description="Whether TensorFlow's default rewrites apply."
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
        default=None, description="Copy the elements of a batch in parallel (TensorFlow: true)."
    )
    seq_interleave_prefetch: Flag | None = Field(
        default=None, description="Replace parallel interleaves by sequential ones that prefetch (TensorFlow: false)."
    )
    shuffle_and_repeat_fusion: Flag | None = Field(
        default=None, description="Fuse shuffle and repeat (TensorFlow: true)."
    )


class Distribute(Document):
    """tf.data.experimental.DistributeOptions."""

    auto_shard_policy: Sharding | None = Field(default=None, description="How a distributed dataset is split.")
    num_devices: Positive | None = Field(default=None, description="Devices that this pipeline feeds.")


class Options(Document):
    """tf.data.Options of the whole pipeline."""

    deterministic: Flag | None = Field(
        default=None, description="Whether elements come in a fixed order (TensorFlow: true)."
    )
    dataset_name: FilledText | None = Field(
        default=None, description="A name of the dataset, for TensorFlow's own logs."
    )
    framework_type: list[FilledText] | None = Field(default=None, description="Frameworks that made the pipeline.")
    autotune: Autotune | None = Field(default=None, description="What tf.data tunes itself.")
    threading: Threading | None = Field(default=None, description="Threads of the dataset.")
    experimental_optimization: Optimization | None = Field(
        default=None, description="How tf.data rewrites the pipeline."
    )
    experimental_distribute: Distribute | None = Field(default=None, description="How a distributed pipeline is split.")
    experimental_external_state_policy: StatePolicy | None = Field(
        default=None, description="What to do about random generators and other state outside of the pipeline."
    )
    experimental_slack: Flag | None = Field(
        default=None, description="Leave the device's thread some time after each step."
    )
    experimental_symbolic_checkpoint: Flag | None = Field(
        default=None, description="Checkpoint positions instead of buffers."
    )
    experimental_warm_start: Flag | None = Field(
        default=None, description="Start background threads with the iterator."
    )

    def written(self) -> dict[str, Any]:
        """What was written, as nested mappings by TensorFlow's names; nulls are left out."""
        return _written(self)


def _written(options: Closed) -> dict[str, Any]:
    values = {name: getattr(options, name) for name in type(options).model_fields if name in options.model_fields_set}
    return {
        name: _written(value) if isinstance(value, Closed) else value
        for name, value in values.items()
        if value is not None
    }
