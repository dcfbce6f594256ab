"""The dataset of a spec, for Python code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.data.cache import ensure
from pipeprof.pipelines.spec.load import load_spec


def dataset(spec: str | os.PathLike[str]) -> Any:
    """Build the ``tf.data.Dataset`` of a spec, with its options and its seed.

    Inputs under ``data:`` are made first where the cache lacks them, as a run of the spec makes them.

    Args:
        spec: Path of the YAML file.

    Raises:
        SpecError: The spec is not valid.
        PipeprofError: Its inputs could not be made.
        BuildError: TensorFlow refuses a stage, or a Python function of the spec raises.
    """
    loaded = load_spec(Path(spec))
    context = BuildContext(loaded.base_dir, ensure(loaded.spec.data, progress=lambda *_: None))
    load_arrays(loaded.data, context)
    return build(loaded.data, context)
