"""The settings of a measurement from the options that all commands share."""

from __future__ import annotations

import sys
from functools import partial

from pipeprof.cli.options import SharedOptions
from pipeprof.cli.targets.saved import SavedChange
from pipeprof.profiles.harness.settings import RunSettings


def settings_of(given: SharedOptions) -> partial[RunSettings]:
    """Parse the options; the target, and what only one command has, are left to be given.

    Raises:
        UsageError: A value is wrong.
    """
    from pipeprof.cli import options
    from pipeprof.profiles.harness.settings import RunSettings

    refuse_tracked_cache()
    return partial(
        RunSettings,
        command=["pipeprof", *sys.argv[1:]],
        step=options.step(given.step),
        dispatch=options.dispatch(given.dispatch),
        seed=options.whole("--seed", given.seed, 0),
        timeout=options.duration("--timeout", given.timeout),
        max_time=options.duration("--max-time", given.max_time),
        memory_limit=options.byte_size("--memory-limit", given.memory_limit),
        lock=not given.no_lock,
    )


def refuse_tracked_cache() -> None:
    """Refuse generated inputs and costs of this machine that a checkout may hold.

    Raises:
        UsageError: The cache lies in a work tree, and git tracks files in it, or does not tell.
    """
    from pipeprof.pipelines.data.folders import locate
    from pipeprof.pipelines.errors import ProfileError, UsageError
    from pipeprof.profiles.git.calls import git_calls
    from pipeprof.profiles.git.repository import repository_root
    from pipeprof.profiles.git.tracked import tracked_files

    for folder in locate().readable:
        if repository_root(folder.resolve()) is None:
            continue
        mend = "set PIPEPROF_CACHE_DIR to a folder outside of the checkout"
        try:
            with git_calls() as calls:
                if tracked_files(calls, folder):
                    raise UsageError(f"git tracks files in {folder}, and a checkout holds no generated data: {mend}")
        except ProfileError as error:
            said = f"{folder} lies in a checkout, and git does not say what it tracks ({error}): {mend}"
            raise UsageError(said) from None


def settings_with(settings: RunSettings, change: SavedChange) -> RunSettings:
    """The settings of a measurement with a saved change; its variables are set for the processes that follow.

    Raises:
        PipeprofError: An edit cannot be made in the spec, or in the calls of a Python target.
    """
    import json
    import os
    from dataclasses import replace

    from pipeprof.pipelines.changes.edits import supports, to_document
    from pipeprof.pipelines.check import check_changed
    from pipeprof.pipelines.errors import ProfileError
    from pipeprof.profiles.harness.settings import main_place

    documents = [to_document(edit) for edit in change.edits]
    os.environ.update(change.environment)
    if settings.loaded is not None:
        loaded = check_changed(settings.loaded, change.of_pipeline)
        return replace(settings, loaded=loaded, changed_by=documents)
    if not all(supports(edit, "calls") for edit in change.of_pipeline):
        msg = f"change {change.number} has to be made by hand: pipeprof show {change.path} --finding {change.number}"
        raise ProfileError(msg)
    main = main_place(change.profile)
    if settings.target.kind == "script" and main is None:
        raise ProfileError(f"{change.path} does not say where the script iterates its main dataset: measure it again")
    step = [json.dumps(to_document(edit)) for edit in change.of_pipeline]
    return replace(settings, edits=[step] if step else [], changed_by=documents, main=main)


def registrations(settings: RunSettings, again: str) -> list[str]:
    """What a build does to tf.data services that were not started for it; `again` says which processes do the same."""
    from pipeprof.profiles.protocol.job import SERVICE
    from pipeprof.profiles.service.plan import what_is_registered

    if any(SERVICE in value for _, value in settings.target.arguments):
        return []
    registered = what_is_registered(settings.loaded, settings.target.path, again=again)
    return [registered] if registered is not None else []
