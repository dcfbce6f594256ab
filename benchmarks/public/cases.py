"""The pipelines of this benchmark, and what a plain loop shall find out about each."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One pipeline.

    Attributes:
        target: ``MODULE:FUNCTION``.
        functions: The user's functions in it; the one that gains most by costing nothing is the bottleneck.
        limits: The limits that the verdict may name, `None` for none. ``cpu`` is held against a plain loop on one core.
        fixes: By rule, the function with the fix as a person would write it; a finding's option is set by the loop.
        must: Rules that have to speak.
        made_by: By name of a stage that a library makes, the library's file and what stands in its line that makes it.
        library: The file whose stage may be named in place of a user's function: the work is inside a library.
    """

    target: str
    functions: tuple[str, ...]
    limits: frozenset[str | None]
    fixes: dict[str, str] = field(default_factory=dict)
    must: frozenset[str] = frozenset()
    made_by: dict[str, tuple[str, str]] = field(default_factory=dict)
    library: str | None = None


CPU = frozenset({"cpu"})
CASES = {
    "keras_folder": Case("images:keras_folder", ("augment",), CPU, library="image_dataset"),
    "imagenet": Case("images:imagenet", ("parse_and_distort",), CPU),
    "vision_models": Case(
        "libraries:vision_models",
        ("decode", "parse"),
        CPU,
        made_by=dict.fromkeys(("decode", "parse"), ("vision_models/reader.py", "dataset.map(")),
    ),
    "two_views": Case("images:two_views", ("two_crops",), CPU),
    "detection": Case("images:detection", ("decode", "match_anchors"), CPU),
    "serial_decode": Case(
        "images:serial_decode",
        ("load",),
        frozenset({"serial-stage"}),
        {"parallel-calls": "images:serial_decode_parallel"},
        frozenset({"parallel-calls"}),
    ),
    "frozen_order": Case("images:frozen_order", (), frozenset(), must=frozenset({"cache-after-shuffle"})),
    "text_mixture": Case(
        "sequences:text_mixture", ("normalize", "tokenize", "chunk"), frozenset({"cpu", "serial-stage"})
    ),
    "translation": Case("sequences:translation", ("encode",), frozenset({"cpu", "serial-stage"})),
    # Rows pass from thread to thread one by one: no core is full, and no stage takes all of the time.
    "trajectories": Case("sequences:trajectories", ("parse", "add_noise"), frozenset({None, "serial-stage"})),
    "windows": Case("sequences:windows", ("as_batch", "split"), frozenset({"serial-stage", "cpu"})),
    "speech": Case("sequences:speech", ("load", "spectrogram"), CPU),
    "csv_lines": Case(
        "tables:csv_lines",
        ("parse_csv",),
        frozenset({"cpu", "serial-stage"}),
        {"whole-batches": "tables:csv_lines_batched"},
    ),
    "clicks": Case(
        "tables:clicks",
        ("parse", "hash_words"),
        CPU,
        {"parse-in-batches": "tables:clicks_batched"},
        frozenset({"parse-in-batches"}),
    ),
    "medical_generator": Case("tables:medical_generator", ("volumes",), frozenset({"serial-stage", "gil"})),
    "numpy_loader": Case(
        "tables:numpy_loader", ("load_volume",), frozenset({"gil"}), {"py-function-gil": "tables:numpy_loader_arrays"}
    ),
    "remote_store": Case(
        "tables:remote_store",
        ("fetch_volume",),
        frozenset({"latency"}),
        {"parallel-calls": "tables:remote_store"},
        frozenset({"parallel-calls"}),
    ),
    "embeddings": Case(
        "tables:embeddings",
        ("look_up",),
        frozenset({"cpu", "serial-stage"}),
        {"graph-constant": "tables:embeddings_tensor"},
        frozenset({"graph-constant"}),
    ),
}
