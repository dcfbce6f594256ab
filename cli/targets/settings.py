"""The settings of a measurement from the options that all commands share."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.cli.options import SharedOptions
    from pipeprof.profiles.harness.settings import RunSettings


def settings_of(given: SharedOptions) -> partial[RunSettings]:
    """Parse the options; the target, and what only one command has, are left to be given.

    Raises:
        UsageError: A value is wrong.
    """
    from pipeprof.cli import options
    from pipeprof.profiles.harness.settings import RunSettings

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
