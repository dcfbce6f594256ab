"""What went before the first release, and what does the same: each ends with a usage error that says so.

Rules that went are in `profiles/advise/names`: `rules` refuses their names, a spec that ignores one gets a warning.
"""

from __future__ import annotations

_REPLAYED = "pipeprof fix train.py tries changes of a script's dataset, with its step replayed"
_OF_SCRIPTS = "a training script is no target here: name the function that makes its dataset, train.py:make"
_METRICS = ("wait-ms", "idle-share", "cpu-ms-per-element", "first-batch-s", "disk-bytes-per-element")
_LIMITS = {
    **{f"--max-{name}": f"--limit {name.replace('-', '_')}=BUDGET" for name in _METRICS},
    "--max-step-ms": "--limit step_ms=5%",
    "--max-peak-bytes": "--limit peak_bytes=2GiB",
    "--max-stage-ms": "--limit stage:decode=10%",
}
_SCRIPT_OPTIONS = ("--rerun", "--script-args", "--allow-writes")
_SAVED = "--change FILE.json:N names the profile and the change"
_BY_AGE = "find pipeprof-out -name '*.json' -mtime +30 -delete"
_ALL_NUMBERS = "pipeprof show -v prints all of it, and --json each number"
COMMANDS: dict[str, str] = {
    "exec": "make the changes in the code: pipeprof fix train.py --change 1 --out fast.patch",
    "explain": "pipeprof rules NAME explains a finding, an idea, a warning or an error",
    "fleet": "saved profiles are JSON, which DuckDB and jq read: SELECT … FROM 'pipeprof-out/*.json' (docs/recipes.md)",
    "scale": "pipeprof compare spec.yaml service.yaml, the second one with a stage `distribute: {service: local}`",
    "worker": "TensorFlow's WorkerServer serves in a cluster; run --workers N starts workers of its own",
}
"""What to do instead of a command, by its name."""
OPTIONS: dict[tuple[str, str], str] = {
    ("compare", "--b-python"): "run in each environment with --out a.json and b.json: pipeprof compare a.json b.json",
    ("compare", "--b-set"): "pipeprof compare spec.yaml other.yaml, a file with the other values (docs/recipes.md)",
    ("compare", "--scan"): "pipeprof compare spec.yaml two.yaml four.yaml, a file for each value (docs/recipes.md)",
    ("compare", "--why"): "pipeprof compare a.yaml one.yaml b.yaml, one.yaml with one difference (docs/recipes.md)",
    ("", "-f"): "a spec is one file: change values with --set PATH=VALUE, or take them from variables with --env",
    ("check", "--show"): "a spec is one file, and the command line has what changes it",
    ("check", "--hosts"): "a shard behind the reader, or behind a shuffle without a seed, is found without it",
    ("check", "--python"): 'in Python, pipeprof.dataset("spec.yaml") builds the dataset of a spec',
    ("data", "--older"): _BY_AGE,
    ("data", "--profiles"): _BY_AGE,
    ("data", "--yes"): "rm asks no question: inputs are generated again when a spec needs them",
    ("fix", "--convert-to"): "save what a stage gives once: ds.save(path), then tf.data.Dataset.load(path)",
    ("fix", "--from"): _SAVED,
    ("fix", "--rerun"): _REPLAYED,
    **{("fix", name): "--budget bounds the whole search" for name in ("--seconds", "--steps")},
    ("init", "--arg"): "a function is a target as it is: pipeprof run file.py:function --arg NAME=VALUE",
    ("init", "--no-python"): "init runs no Python any more: pipeprof init --from photos/",
    ("init", "--save-arrays"): "a function is a target as it is: pipeprof run file.py:function",
    ("run", "--from"): _SAVED,
    ("run", "--host"): "write the shard of that host into the pipeline, directly behind the names of the files",
    ("run", "--section"): _ALL_NUMBERS,
    ("compare", "--strict"): "other hosts, versions or steps are warnings, which --json has",
    ("gate", "--baseline"): "--against git:REF or another target, measured in the same minutes",
    ("gate", "--update-baseline"): "--against git:REF or another target, measured in the same minutes",
    **{("gate", name): instead for name, instead in _LIMITS.items()},
    ("gate", "--bisect"): "git bisect run, with a gate against the good commit (docs/recipes.md)",
    ("gate", "--history"): "gate … --against git:LAST_TAG fails what several changes add up to (docs/recipes.md)",
    ("rules", "--format"): "text, and JSON with --json",
    ("show", "--finding"): _ALL_NUMBERS,
    ("show", "--history"): "each gate is a result in pipeprof-out, which jq and DuckDB read (docs/recipes.md)",
    ("run", "--live"): "the report has the same numbers, and the line on the terminal the rate so far",
    ("run", "--rerun"): _REPLAYED,
    ("run", "--turns"): _REPLAYED,
    ("show", "--hosts"): "pipeprof compare host0.json host1.json lays two profiles side by side",
    ("init", "--schema"): "pipeprof schema > pipeprof.schema.json writes it",
    ("show", "--section"): _ALL_NUMBERS,
    **{(name, option): _OF_SCRIPTS for name in ("compare", "gate") for option in _SCRIPT_OPTIONS},
    **{(name, "--cold"): "a spec has it: --set measure.cold=true" for name in ("fix", "compare", "gate")},
    ("", "--color"): "NO_COLOR=1 prints without colors, FORCE_COLOR=1 with them",
    ("", "--dispatch"): "the step has it: --step simulate:12ms,dispatch=2",
    ("", "--label"): "a folder tells profiles apart: mkdir -p vision, then --out vision/today.json",
    ("", "--no-lock"): "two measurements at once disturb each other; --max-time says how long to wait for the other",
    ("", "--seed"): "a spec has it, --set measure.seed=7; of other targets, the program sets its own",
    ("", "--share-job"): "leave job_name, num_consumers and cross_trainer_cache out of what is measured",
    ("", "--trace-folder"): "run the pipeline without `distribute` to see what its stages cost",
    ("", "--trace-workers"): "run the pipeline without `distribute` to see what its stages cost",
    ("", "--worker-cores"): "taskset -c 0,1 pipeprof run … --workers N bounds the cores of the run and its workers",
}
"""What to do instead of an option, by the command and the option; an empty command stands for all."""


FORMATS = {
    "plan": "the changes are in the code of `pipeprof fix … --out fast.patch`",
    "prom": "--format json has all numbers, and jq writes those that Prometheus is to have",
    "trace": "--format json has all numbers, those over time among them; --out page.html draws them",
    "yaml": "--out NEW.yaml of fix and show writes the changed spec",
}
"""What to do instead of a format of reports, by its name."""


def command_gone(name: str) -> str | None:
    """Return what to do instead of a command that is gone, in one sentence; None of any other word."""
    instead = COMMANDS.get(name)
    return f"there is no command {name!r}: {instead}" if instead is not None else None


def option_gone(command: str, option: str) -> str | None:
    """Return what to do instead of an option that is gone, in one sentence; None of any other.

    Args:
        command: As typed, without the program's name.
    """
    instead = OPTIONS.get((command, option)) or OPTIONS.get(("", option))
    return f"{command} has no {option}: {instead}" if instead is not None else None


def format_gone(name: str) -> str | None:
    """Return what to do instead of a format that is gone, in one sentence; None of any other."""
    instead = FORMATS.get(name)
    return f"there is no format {name!r}: {instead}" if instead is not None else None
