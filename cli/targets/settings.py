"""The settings of a measurement from the options that all commands share."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from functools import partial

from pipeprof.cli.options import MeasuringOptions
from pipeprof.cli.targets.saved import SavedChange
from pipeprof.cli.values import byte_size, duration, step, whole
from pipeprof.pipelines.changes.edits import to_document
from pipeprof.pipelines.changes.in_spec import changed_spec
from pipeprof.pipelines.data.cache import locate
from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.profiles.document.profile import DataSize
from pipeprof.profiles.git.calls import git_calls, repository_root
from pipeprof.profiles.git.tree import tracked_files
from pipeprof.profiles.harness.settings import main_place, make_options
from pipeprof.profiles.protocol.options import Options


def settings_of(given: MeasuringOptions) -> partial[Options]:
    """Parse the options; the target, and what only one command has, are left to be given."""
    refuse_tracked_cache()
    return partial(
        make_options,
        command=["pipeprof", *sys.argv[1:]],
        step=step(given.step),
        timeout=duration("--timeout", given.timeout),
        max_time=duration("--max-time", given.max_time),
        memory_limit=byte_size("--memory-limit", given.memory_limit),
    )


def dataset_size(text: str | None) -> DataSize | None:
    """Parse bytes with a unit (``1.2TB``), or elements (``500,000``, ``500000 elements``); else a UsageError."""
    if text is None:
        return None
    number = text.lower().removesuffix("elements").strip().replace(",", "").replace("_", "")
    if number.isdecimal():
        return DataSize(elements=whole("--dataset-size", number))
    try:
        return DataSize(bytes=byte_size("--dataset-size", text))
    except UsageError:
        expected = "a size such as 1.2TB, or a number of elements such as 500000"
        raise UsageError(f"--dataset-size: got {text!r}, expected {expected}") from None


def refuse_tracked_cache() -> None:
    """Refuse generated inputs and costs of this machine that a checkout may hold: git tracks them, or does not tell."""
    folder = locate()
    if folder is None or repository_root(folder.resolve()) is None:
        return
    mend = "set PIPEPROF_CACHE_DIR to a folder outside of the checkout"
    try:
        with git_calls() as calls:
            if tracked_files(calls, folder):
                raise UsageError(f"git tracks files in {folder}, and a checkout holds no generated data: {mend}")
    except ProfileError as error:
        said = f"{folder} lies in a checkout, and git does not say what it tracks ({error}): {mend}"
        raise UsageError(said) from None


def settings_with(settings: Options, change: SavedChange) -> Options:
    """The settings of a measurement with a saved change; its variables are set for the processes that follow.

    Raises:
        PipeprofError: An edit cannot be made in the spec, or in the calls of a Python target.
    """
    documents = [to_document(edit) for edit in change.edits]
    os.environ.update(change.environment)
    if settings.loaded is not None:
        return replace(settings, loaded=changed_spec(settings.loaded, change.of_pipeline), changed_by=documents)
    main = main_place(change.profile)
    if settings.target.kind == "script" and main is None:
        raise ProfileError(f"{change.path} does not say where the script iterates its main dataset: measure it again")
    steps = [json.dumps(to_document(edit)) for edit in change.of_pipeline]
    return replace(settings, edits=[steps] if steps else [], changed_by=documents, main=main)
