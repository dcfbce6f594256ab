"""The options of each command, as typed: a class a command, whose docstring is a part of its help text.

Values are read by `cli.values`. Nothing here imports more than typer, so that a help text is there at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

WHAT, LENGTH, CHANGES, SAFETY, OUTPUT = "What to measure", "How long", "What to change", "Safety", "Output"
HEADINGS = (WHAT, LENGTH, CHANGES, SAFETY, OUTPUT)
"""What options stand under in a help text, in this order."""
SPEC_OR_FUNCTION = "spec.yaml, file.py:function or package.module:function"


def option(heading: str, metavar: str, text: str, *names: str) -> Any:
    """An option with a value; without names it has that of its field."""
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=heading)


def flag(heading: str, text: str, *names: str) -> Any:
    """An option without a value."""
    return typer.Option(*names, help=text, rich_help_panel=heading)


def argument(metavar: str, text: str) -> Any:
    """A word that is no option."""
    return typer.Argument(metavar=metavar, help=text)


Text = str | None
Texts = list[str] | None

Set = Annotated[
    Texts, option(WHAT, "PATH=VALUE", "Change a value of the spec, e.g. stages.0.batch_size=64. Repeatable.")
]
Env = Annotated[bool, flag(WHAT, "Replace ${VAR} and ${VAR:-default} in the spec.")]
Arg = Annotated[Texts, option(WHAT, "NAME=VALUE", "An argument of the function. Repeatable.")]
NoPython = Annotated[bool, flag(SAFETY, "Refuse targets that run Python code.")]
Force = Annotated[bool, flag(SAFETY, "Let --out overwrite files that pipeprof did not write.")]
Json = Annotated[bool, flag(OUTPUT, "Same as --format json.")]
Redact = Annotated[
    bool | None,
    flag(
        SAFETY, "Remove paths, names and secrets.  [default: in html, md, junit, github, sarif]", "--redact/--no-redact"
    ),
]


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of every command that prints a report."""

    force: Force = False
    redact: Redact = None
    out: Annotated[Texts, option(OUTPUT, "FILE", "Also write the report to FILE ({files}). Repeatable.")] = None
    format: Annotated[Text, option(OUTPUT, "FORMAT", "Format on stdout: {formats}.")] = None
    json: Json = False


@dataclass(frozen=True, kw_only=True)
class MeasuringOptions(ReportOptions):
    """Options of every command that measures."""

    step: Annotated[
        Text, option(WHAT, "STEP", "The training step, e.g. simulate:12ms or keras:train.py:model.  [default: none]")
    ] = None
    set: Set = None
    env: Env = False
    arg: Arg = None
    timeout: Annotated[
        Text, option(LENGTH, "SECONDS", "Give up when no step ends for this long.  [default: 120]")
    ] = None
    max_time: Annotated[Text, option(LENGTH, "SECONDS", "Time limit of the whole command.")] = None
    memory_limit: Annotated[
        Text, option(SAFETY, "SIZE", "Memory of all processes together, e.g. 8GiB.  [default: all available]")
    ] = None
    no_python: NoPython = False
    quiet: Annotated[bool, flag(OUTPUT, "Show no progress.", "-q", "--quiet")] = False
    verbose: Annotated[bool, flag(OUTPUT, "Print all numbers; on stderr, what each phase took.", "-v", "--verbose")] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class TrialOptions(MeasuringOptions):
    """Options of the commands that try changes of one target."""

    target: Annotated[
        str,
        argument(
            "TARGET",
            f"{SPEC_OR_FUNCTION}, or script.py: a training, run as it is. `file.py:` lists the functions of a file.",
        ),
    ]
    script_args: Annotated[Texts, argument("[-- ARGS]", "Arguments of the training script.")] = None
    dataset_size: Annotated[
        Text, option(WHAT, "SIZE", "Size of all data if the target reads a sample, e.g. 1.2TB or 500000 elements.")
    ] = None
    no_cache: Annotated[bool, flag(CHANGES, "Leave out changes that add a cache.")] = False
    memory_limit: Annotated[
        Text, option(SAFETY, "SIZE", "Memory that the pipeline may take, e.g. 8GiB.  [default: all available]")
    ] = None
    allow_writes: Annotated[bool, flag(SAFETY, "Let a training script overwrite and delete files that exist.")] = False


@dataclass(frozen=True, kw_only=True)
class RunOptions(TrialOptions):
    """The profile is always saved, to --out FILE.json, else in pipeprof-out/. Progress goes to stderr."""

    workers: Annotated[
        Text, option(WHAT, "N", "Workers of the tf.data service that is started for `service: local` or {service}.")
    ] = None
    seconds: Annotated[
        Text, option(LENGTH, "SECONDS", "Measure for this long.  [default: as the spec says, else 10]")
    ] = None
    soak: Annotated[
        Text, option(LENGTH, "DURATION", "Watch memory for this long, e.g. 20m: does it grow, and what owns it?")
    ] = None
    to_end: Annotated[bool, flag(LENGTH, "Let a training script come to its own end.")] = False
    budget: Annotated[Text, option(LENGTH, "SECONDS", "Time for trying the proposed changes.  [default: 30]")] = None
    change: Annotated[
        Text, option(CHANGES, "N", "Measure with change N of the latest report, or FILE.json:N of a saved one.")
    ] = None
    no_verify: Annotated[bool, flag(CHANGES, "Propose changes without trying them.")] = False


@dataclass(frozen=True, kw_only=True)
class FixOptions(TrialOptions):
    """The best of the changes tried side by side is taken, and so on. Without --write, no file of yours changes."""

    budget: Annotated[
        Text, option(LENGTH, "SECONDS", "How long to measure; starts and builds come on top.  [default: 60]")
    ] = None
    allow: Annotated[
        Texts,
        option(CHANGES, "CLASS,...", "What may happen to the data: order, randomness, values.  [default: nothing]"),
    ] = None
    change: Annotated[
        Text, option(CHANGES, "N", "Take change N of the latest `run`, or FILE.json:N, without a new search.")
    ] = None
    write: Annotated[bool, flag(CHANGES, "Edit the spec in place; untouched lines stay as they are.")] = False


@dataclass(frozen=True, kw_only=True)
class CompareOptions(MeasuringOptions):
    """Each pair is fresh processes of all sides, measured in turns; each side is compared with the first."""

    a: Annotated[str, argument("A", "spec.yaml, file.py:function, git:REF[:PATH] or a saved profile.")]
    others: Annotated[
        Texts, argument("B...", "What A is compared with, one or more; git:REF is the other target at that ref.")
    ] = None
    pairs: Annotated[Text, option(LENGTH, "N", "Pairs of fresh processes.  [default: 5]")] = None


@dataclass(frozen=True, kw_only=True)
class GateOptions(MeasuringOptions):
    """Measures pairs of fresh processes until the answer is clear: exit code 0 passed, 3 failed, 4 cannot tell."""

    target: Annotated[str, argument("TARGET", f"{SPEC_OR_FUNCTION}.")]
    against: Annotated[
        Text,
        option(
            WHAT,
            "OTHER",
            "git:REF (TARGET at that ref), git:REF:PATH, or a target.  [default: where the merge request began]",
        ),
    ] = None
    self_test: Annotated[bool, flag(WHAT, "Test the gate: it must pass TARGET and fail a slowed copy.")] = False
    measure: Annotated[bool, flag(WHAT, "Measure even where both sides are the same pipeline.")] = False
    max_pairs: Annotated[Text, option(LENGTH, "N", "Pairs after which it gives up.  [default: 15]")] = None
    limit: Annotated[
        Texts,
        option(
            WHAT,
            "NAME=BUDGET",
            "step_ms=5%, peak_bytes=2GiB, stage:decode=10%, or =warn, =off; the first two are 3% else. Repeatable.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class CheckOptions(ReportOptions):
    """Predicts the memory and applies the rules that need no measurement; loads no TensorFlow, runs no function."""

    targets: Annotated[list[str], argument("TARGET...", f"{SPEC_OR_FUNCTION}; of a folder, all specs below it.")]
    set: Set = None
    env: Env = False
    arg: Arg = None
    memory_limit: Annotated[
        Text, option(WHAT, "SIZE", "Memory of the machine it is to run on, e.g. 8GiB.  [default: all available]")
    ] = None
    no_python: NoPython = False
    fail_on: Annotated[Text, option(OUTPUT, "warning", "Exit with 3 if a rule reports a finding, e.g. in CI.")] = None


@dataclass(frozen=True, kw_only=True)
class ShowOptions(ReportOptions):
    """With several profiles, JSON is a list."""

    profiles: Annotated[
        Texts,
        argument("PROFILE...", "Files that `pipeprof run` saved.  [default: the latest in pipeprof-out/]"),
    ] = None
    verbose: Annotated[bool, flag(OUTPUT, "Print all numbers.", "-v", "--verbose")] = False


@dataclass(frozen=True, kw_only=True)
class GapsOptions(ReportOptions):
    """Divides the time in which the device has no work by what the host did until it launched the next work."""

    traces: Annotated[
        list[str],
        argument(
            "TRACE...", "*.xplane.pb or a TensorBoard log folder, *.pt.trace.json(.gz). Two of them: before and after."
        ),
    ]
    fail_on: Annotated[
        Text, option(OUTPUT, "NAME=SHARE", "Exit with 3 if a device idles more, e.g. idle=20%, or pipeline=5%.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class RulesOptions:
    """What it means, why it matters, and what to do. Loads no TensorFlow."""

    name: Annotated[Text, argument("[NAME]", "A finding, an idea, or the code of a warning or an error.")] = None
    json: Annotated[bool, flag(OUTPUT, "Print JSON.")] = False


@dataclass(frozen=True, kw_only=True)
class SchemaOptions:
    """A result is one of compare or gate; gaps is what `gaps --json` prints."""

    document: Annotated[str, argument("spec|profile|result|gaps", "Kind of document.  [default: spec]")] = "spec"


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """Without --from, the spec generates its own photos, so that it runs at once."""

    from_: Annotated[
        Text,
        option(WHAT, "WHAT", "Data to read: images, TFRecord, CSV, .npy or .npz (a file, folder or glob).", "--from"),
    ] = None
    out: Annotated[
        str, option(OUTPUT, "FILE", "File to write; - is stdout.  [default: pipeprof.yaml]", "-o", "--out")
    ] = "pipeprof.yaml"
    schema: Annotated[
        Text, option(OUTPUT, "FILE", "Also write the JSON Schema's reference, so that editors complete the spec.")
    ] = None
    force: Annotated[bool, flag(SAFETY, "Overwrite existing files.")] = False


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """Prints the facts that a bug report needs. Loads no TensorFlow and writes nothing."""

    json: Annotated[bool, flag(OUTPUT, "Print JSON.")] = False
    redact: Annotated[
        bool | None,
        flag(
            SAFETY,
            "Remove paths, names and secrets.  [default: in the block for a bug report]",
            "--redact/--no-redact",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Inputs under `data:` of a spec are generated again when it needs them."""

    action: Annotated[str, argument("list|rm", "What to do.  [default: list]")] = "list"
    names: Annotated[Texts, argument("[NAME]...", "What to remove: names of the list, or their beginnings.")] = None
    all: Annotated[bool, flag(WHAT, "Remove all of them.")] = False
    json: Annotated[bool, flag(OUTPUT, "Print JSON.")] = False
