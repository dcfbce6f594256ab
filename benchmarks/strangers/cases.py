"""Pipelines that were written without pipeprof in mind, and what a person finds out about each of them.

Everything here was decided before the rules that are measured with it, from plain loops and from what the pipelines
do; a case is corrected where a plain loop shows that it is wrong, and never because of what pipeprof says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stranger:
    """One pipeline.

    Attributes:
        target: ``MODULE:FUNCTION``.
        fixed: The same as a good engineer would write it; `None` where nobody knows a faster way.
        stages: Functions or transformations that the verdict may name; any where there is none.
        edit: Whether a change of the stages can do it; else an upper bound is all that can be proven.
        healthy: No change of speed deserves to be recommended.
        step: That the training takes, in milliseconds.
        library: That it needs.
    """

    target: str
    fixed: str | None = None
    stages: tuple[str, ...] = ()
    edit: bool = False
    healthy: bool = False
    step: float = 0.0
    library: str | None = None


def complaint(
    name: str, *stages: str, edit: bool = False, healthy: bool = False, step: float = 0.0, library: str | None = None
) -> Stranger:
    """A public complaint, rebuilt: a module with ``pipeline()`` and ``fixed()``."""
    return Stranger(f"{name}:pipeline", f"{name}:fixed", stages, edit, healthy, step, library)


COMPLAINTS = {
    "shard_after_tokenizing": complaint("shard_after_tokenizing", "tokenize", "shard", edit=True),
    "long_sparse_documents": complaint("long_sparse_documents", "parse", edit=True),
    "concatenated_in_a_loop": complaint("concatenated_in_a_loop", "load"),
    "albumentations_per_image": complaint("albumentations_per_image", "mapped", library="albumentations"),
    "csv_of_430_columns": complaint("csv_of_430_columns", "pack", "CsvDataset", edit=True),
    "validation_by_skip": complaint("validation_by_skip", "load", "skip", edit=True, step=10),
    "keras_layers_per_image": complaint("keras_layers_per_image", "augment", "<lambda>", healthy=True),
    "batch_map_unbatch": complaint("batch_map_unbatch", healthy=True),
    "pool_in_the_generator": complaint("pool_in_the_generator", "pictures", step=20),
    "resampled_after_decoding": complaint("resampled_after_decoding", "load", "rejection_resample", edit=True),
}
"""The first lines of each module name its source."""

SHAPES = {
    # Nothing but augmentation that draws at random, on batches already.
    "keras_folder": Stranger("images:keras_folder", None, ("augment",)),
    "imagenet": Stranger("images:imagenet", None, ("parse_and_distort",)),
    "vision_models": Stranger("libraries:vision_models", None, ("parse",)),
    # Views of whole batches are as slow: 0.8 to 1.2 times the rate.
    "two_views": Stranger("images:two_views", None, ("two_crops",)),
    "detection": Stranger("images:detection", "images:detection_broadcast", ("match_anchors",)),
    "serial_decode": Stranger("images:serial_decode", "images:serial_decode_parallel", ("load",), edit=True),
    # Its flaw is the order of the data, and no matter of speed.
    "frozen_order": Stranger("images:frozen_order", healthy=True),
    "text_mixture": Stranger("sequences:text_mixture", "sequences:text_mixture_batched"),
    "translation": Stranger("sequences:translation", "sequences:translation_batched", ("encode",)),
    "trajectories": Stranger("sequences:trajectories", "sequences:trajectories_batched", ("add_noise",), edit=True),
    "windows": Stranger("sequences:windows", "sequences:windows_indexed", ("as_batch", "window"), edit=True),
    "speech": Stranger("sequences:speech", "sequences:speech_cached", ("spectrogram",), edit=True),
    "csv_lines": Stranger("tables:csv_lines", "tables:csv_lines_batched", ("parse_csv",), edit=True),
    "clicks": Stranger("tables:clicks", "tables:clicks_batched", ("parse",), edit=True),
    "medical_generator": Stranger("tables:medical_generator", "tables:medical_parallel", ("volumes",)),
    "numpy_loader": Stranger("tables:numpy_loader", "tables:numpy_loader_arrays", ("load_volume",)),
    "remote_store": Stranger("tables:remote_store", "tables:remote_store_threads", ("fetch_volume",), edit=True),
    "embeddings": Stranger("tables:embeddings", "tables:embeddings_tensor", healthy=True),
}
"""The pipelines of `public`: shapes of public training code."""

CASES = COMPLAINTS | SHAPES
