"""``pipeprof exec``: run a training script with a plan, without a change of its code."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeprof.cli import completion
from pipeprof.cli.exit_codes import epilog

EPILOG = epilog(
    "pipeprof run train.py --rerun --out fast.plan.json",
    "pipeprof exec --plan fast.plan.json train.py",
    "pipeprof exec --plan fast.plan.json train.py -- --epochs 3",
    codes=(2, 6),
)


def exec(
    script: Annotated[str, typer.Argument(metavar="SCRIPT", help="script.py.", autocompletion=completion.targets)],
    script_args: Annotated[list[str] | None, typer.Argument(metavar="-- ARGS", help="Arguments of the script.")] = None,
    plan: Annotated[
        str,
        typer.Option("--plan", metavar="FILE", help="The plan that `run --rerun` or `fix` wrote.", show_default=False),
    ] = ...,  # type: ignore[assignment]  # typer's word for required
) -> None:
    """Run a training script with the changes of a plan.

    Its code stays as it is: the plan is applied where the script iterates its dataset. Nothing is measured. The exit
    code, the output and the signals are the script's own, as with `python script.py`, once it has started.
    """
    import os
    import sys
    from pathlib import Path

    from pipeprof.cli.streams import say
    from pipeprof.pipelines.edits.plan import environment_of, load_plan
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.target.import_path import child_command
    from pipeprof.pipelines.target.target import parse_target

    target = parse_target(script, scripts=True)
    if target.kind != "script":
        raise UsageError(f"exec runs a training script, but {script} is not one: expected script.py")
    saved = load_plan(Path(plan))
    for name, value in environment_of(saved).items():
        say(f"pipeprof: note: sets {name}={value}, from {plan}")
    module, words = "pipeprof.profiles.worker.rerun.exec_plan", (plan, str(target.path), *(script_args or ()))
    command = child_command(module, *words, buffered=True)
    sys.stdout.flush()
    # The process becomes the script's own: nothing stands between it and the terminal, a signal or a scheduler.
    os.execve(command[0], command, {**os.environ, **environment_of(saved)})  # noqa: S606
