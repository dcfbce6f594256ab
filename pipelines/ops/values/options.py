"""The ``options:`` of a spec: tf.data.Options by TensorFlow's names."""

from typing import Annotated, Any

from pipeprof.pipelines.ops.model import Closed, Document, argument
from pipeprof.pipelines.ops.values.units import Size
from pipeprof.pipelines.ops.values.values import FilledText, Flag, NotNegative, Positive, one_of

Algorithm = Annotated[str, one_of("DEFAULT", "HILL_CLIMB", "GRADIENT_DESCENT", "MAX_PARALLELISM", "STAGE_BASED")]
Sharding = Annotated[str, one_of("OFF", "AUTO", "FILE", "DATA", "HINT")]
StatePolicy = Annotated[str, one_of("WARN", "IGNORE", "FAIL")]


class Autotune(Document):
    """tf.data.experimental.AutotuneOptions."""

    enabled: Flag | None = argument(
        "Whether to autotune parallelism and buffer sizes (TensorFlow: true).", default=None
    )
    cpu_budget: NotNegative | None = argument("CPU budget of autotuning in cores; 0: all available.", default=None)
    ram_budget: Size | None = argument(
        "Memory budget of buffers in bytes (TensorFlow: half of the free memory).", default=None
    )
    autotune_algorithm: Algorithm | None = argument("Autotuning algorithm.", default=None)
    initial_parallelism: Positive | None = argument("Initial parallelism.", default=None)
    min_parallelism: Positive | None = argument("Minimum parallelism.", default=None)


class Threading(Document):
    """tf.data.ThreadingOptions."""

    private_threadpool_size: NotNegative | None = argument(
        "Size of a private thread pool; 0: one thread per core.", default=None
    )
    max_intra_op_parallelism: NotNegative | None = argument("Maximum threads of a single op.", default=None)


class Optimization(Document):
    """tf.data.experimental.OptimizationOptions."""

    apply_default_optimizations: Flag | None = argument(
        "Whether to apply TensorFlow's default optimizations.", default=None
    )
    filter_fusion: Flag | None = argument("Fuse filters (TensorFlow: false).", default=None)
    filter_parallelization: Flag | None = argument("Make stateless filters parallel (TensorFlow: false).", default=None)
    inject_prefetch: Flag | None = argument(
        "Append a prefetch to a synchronous last stage (TensorFlow: true).", default=None
    )
    map_and_batch_fusion: Flag | None = argument("Fuse map and batch (TensorFlow: true).", default=None)
    map_and_filter_fusion: Flag | None = argument("Fuse map and filter (TensorFlow: false).", default=None)
    map_fusion: Flag | None = argument("Fuse maps (TensorFlow: false).", default=None)
    map_parallelization: Flag | None = argument("Make stateless maps parallel (TensorFlow: true).", default=None)
    noop_elimination: Flag | None = argument("Remove stages without effect (TensorFlow: true).", default=None)
    parallel_batch: Flag | None = argument("Copy elements into batches in parallel (TensorFlow: true).", default=None)
    seq_interleave_prefetch: Flag | None = argument(
        "Replace parallel interleaves by sequential ones that prefetch (TensorFlow: false).", default=None
    )
    shuffle_and_repeat_fusion: Flag | None = argument("Fuse shuffle and repeat (TensorFlow: true).", default=None)


class Distribute(Document):
    """tf.data.experimental.DistributeOptions."""

    auto_shard_policy: Sharding | None = argument("Auto-sharding policy.", default=None)
    num_devices: Positive | None = argument("Number of devices fed by this pipeline.", default=None)


class Options(Document):
    """tf.data.Options of the whole pipeline."""

    deterministic: Flag | None = argument(
        "Whether elements have a deterministic order (TensorFlow: true).", default=None
    )
    dataset_name: FilledText | None = argument("Name of the dataset in TensorFlow's logs.", default=None)
    framework_type: list[FilledText] | None = argument("Frameworks that created the pipeline.", default=None)
    autotune: Autotune | None = argument("Autotuning of parallelism and buffers.", default=None)
    threading: Threading | None = argument("Threads of the dataset.", default=None)
    experimental_optimization: Optimization | None = argument("Graph optimizations of the pipeline.", default=None)
    experimental_distribute: Distribute | None = argument("Distribution of the pipeline over workers.", default=None)
    experimental_external_state_policy: StatePolicy | None = argument(
        "Policy for random generators and other external state.", default=None
    )
    experimental_slack: Flag | None = argument(
        "Whether to add slack to the last prefetch, for less CPU contention at the start of a step.", default=None
    )
    experimental_symbolic_checkpoint: Flag | None = argument(
        "Checkpoint iterator positions instead of buffers.", default=None
    )
    experimental_warm_start: Flag | None = argument(
        "Start background threads when the iterator is created.", default=None
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
