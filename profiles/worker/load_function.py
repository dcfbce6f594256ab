"""Loading of a Python target: import the user's function, call it, check that it returns a dataset."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.graph.observe.build_hook import Listener
from pipeprof.pipelines.graph.observe.in_memory_sources import SourceWatch
from pipeprof.pipelines.steps.bind_step import fitted
from pipeprof.pipelines.target.absl_flags import leave_defaults
from pipeprof.pipelines.target.arguments import call
from pipeprof.pipelines.target.bindings import calls_at_import, parse_file
from pipeprof.pipelines.target.modules import top_folder
from pipeprof.pipelines.target.target import ParsedTarget, load_function, parse_target
from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.worker.reject_result import describe_returned

# TensorFlow and its dependencies read these on import.
_EARLY = ("TF_", "CUDA_", "XLA_", "OMP_", "KMP_", "MKL_")


# Settings that cannot change after TensorFlow's first op.
_BEFORE_ALL = frozenset(
    {
        "set_intra_op_parallelism_threads",
        "set_inter_op_parallelism_threads",
        "set_visible_devices",
        "set_memory_growth",
        "set_logical_device_configuration",
        "set_virtual_device_configuration",
        "set_soft_device_placement",
    }
)


class NotADatasetError(UsageError):
    """The target's function returned something that is not a `tf.data.Dataset`."""


@dataclass(frozen=True)
class Called:
    """Result of calling the target's function.

    Attributes:
        step: The step returned with it; None for none.
    """

    dataset: Any
    watch: SourceWatch
    step: Callable[..., Any] | None = None
    notes: tuple[tuple[str, str], ...] = ()


def look_like_a_script(file: str) -> None:
    """Set ``sys.argv`` as for a script without options."""
    sys.argv[:] = [file]


def call_target(text: str, arguments: Iterable[Iterable[str]] = (), calls: Listener | None = None) -> Called:
    """Import and call the function `text` names, e.g. ``input.py:train``.

    Args:
        arguments: Pairs of a name and the text of its value.

    Raises:
        NotADatasetError: It returned something else.
        UsageError: The arguments do not fit.
    """
    import tensorflow as tf

    target = replace(parse_target(text), arguments=tuple((name, value) for name, value in arguments))
    notes: list[tuple[str, str]] = []

    def context() -> Any:
        said = f"{text} received tf.distribute.InputContext(1, 0, 1): all data on one worker."
        notes.append(("input-context", said))
        return tf.distribute.InputContext(1, 0, 1)

    before = dict(os.environ)
    with SourceWatch(_own_file_test(target), calls) as watch:
        function = load_function(target)
        _need_eager(text)
        notes += _unparsed_flags(text)
        result = call(function, target, context)
    _need_eager(text)
    if watch.note is not None:
        notes.append(("no-lines", f"{text}: {watch.note}."))
    late = sorted(name for name, value in os.environ.items() if name.startswith(_EARLY) and before.get(name) != value)
    if late:
        said = f"{text} sets {', '.join(late)} after TensorFlow was loaded, which has no effect; set it in the shell."
        notes.append(("set-too-late", said))
    dataset, step = result, None
    if isinstance(result, tuple) and len(result) == 2 and not isinstance(result[1], tf.data.Dataset):
        dataset, step = result if callable(result[1]) else (result, None)
    if not isinstance(dataset, tf.data.Dataset):
        raise NotADatasetError(f"{text} returned {describe_returned(result)}")
    if step is not None:
        step = fitted(step, dataset.element_spec, f"the step that {text} returned")
    return Called(dataset, watch, step, tuple(notes))


def _need_eager(text: str) -> None:
    import tensorflow as tf

    if not tf.executing_eagerly():
        raise UsageError(
            f"{text} switches eager execution off, e.g. by tf.compat.v1.disable_v2_behavior(), and without it no "
            "dataset can be iterated here; leave that out of the file"
        )


def _unparsed_flags(text: str) -> list[tuple[str, str]]:
    names = leave_defaults()
    if not names:
        return []
    return [("flags", f"{text} is not run as a script: the flags {', '.join(names)} have their defaults.")]


def import_early(text: str) -> list[tuple[str, str]]:
    """Import the target's file before TensorFlow's first op, if it contains settings that must precede that.

    Returns:
        Codes and texts of warnings.
    """
    target = parse_target(text)
    found = next((name for name in calls_at_import(parse_file(target.path)) if name in _BEFORE_ALL), None)
    if found is None:
        return []
    load_function(target)
    said = (
        f"{text} calls {found}, which TensorFlow allows only before it runs anything: the file was imported first, "
        "so its memory counts as TensorFlow's baseline."
    )
    return [("imported-early", said)]


def _own_file_test(target: ParsedTarget) -> Callable[[str], bool]:
    """Return a test for the user's own files; those of the target's package count even where it is installed."""
    if is_users(str(target.path)):
        return is_users
    package = top_folder(target.module, target.path) if target.module is not None else target.path.resolve()

    def own(file: str) -> bool:
        place = Path(file)
        return is_users(file) or place == package or package in place.parents

    return own
