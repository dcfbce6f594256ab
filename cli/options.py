"""The options of each command, as typed: a class a command, whose docstring is a part of its help text.

Values are read by `cli.values`. Nothing here imports more than typer, so that a help text is there at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

WHAT, SPECS, LENGTH = "What to measure", "Specs", "How long"
CHANGES, SAFETY, OUTPUT = "What to change", "Safety", "Output"
HEADINGS = (WHAT, SPECS, LENGTH, CHANGES, SAFETY, OUTPUT)
"""What options stand under in a help text, in this order."""
SPEC_OR_FUNCTION = "spec.yaml, file.py:function or package.module:function"


def option(heading: str, metavar: str, text: str, *names: str) -> Any:
    """An option with a value; without names it has that of its field."""
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=heading, show_envvar=False)


def flag(heading: str, text: str, *names: str) -> Any:
    """An option without a value."""
    return typer.Option(*names, help=text, rich_help_panel=heading, show_envvar=False)


def argument(metavar: str, text: str) -> Any:
    """A word that is no option."""
    return typer.Argument(metavar=metavar, help=text)


Text = str | None
Texts = list[str] | None

Set = Annotated[Texts, option(SPECS, "PATH=VALUE", "Change a value of the spec: stages.0.batch_size=64.")]
Env = Annotated[bool, flag(SPECS, "Replace ${VAR} and ${VAR:-default} in the spec.", "--env")]
Arg = Annotated[Texts, option(WHAT, "NAME=VALUE", "An argument of the function. Repeatable.")]
NoPython = Annotated[bool, flag(SAFETY, "Refuse targets that run Python code.", "--no-python")]
Force = Annotated[bool, flag(SAFETY, "Let --out overwrite files that are not pipeprof's.", "--force")]
Json = Annotated[bool, flag(OUTPUT, "Same as --format json.", "--json")]
Redact = Annotated[
    bool | None, flag(SAFETY, "Hide private names.  [default: html, md, CI formats]", "--redact/--no-redact")
]


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of every command that prints a report."""

    force: Force = False
    redact: Redact = None
    out: Annotated[Texts, option(OUTPUT, "FILE", "Also write {files}.")] = None
    format: Annotated[Text, option(OUTPUT, "FORMAT", "On stdout: {formats}.")] = None
    json: Json = False


@dataclass(frozen=True, kw_only=True)
class MeasuringOptions(ReportOptions):
    """Options of every command that measures."""

    step: Annotated[Text, option(WHAT, "STEP", "Training step: simulate:12ms, keras:file.py:model, …")] = None
    set: Set = None
    env: Env = False
    arg: Arg = None
    timeout: Annotated[Text, option(LENGTH, "SECONDS", "Longest time without a step.  [default: 120]")] = None
    max_time: Annotated[Text, option(LENGTH, "SECONDS", "Time limit of the whole command.")] = None
    memory_limit: Annotated[Text, option(SAFETY, "SIZE", "Most memory of all processes together, e.g. 8GiB.")] = None
    no_python: NoPython = False
    quiet: Annotated[bool, flag(OUTPUT, "Show no progress.", "-q", "--quiet")] = False
    verbose: Annotated[bool, flag(OUTPUT, "Print all numbers, and what each phase took.", "-v", "--verbose")] = False


@dataclass(frozen=True, kw_only=True)
class TrialOptions(MeasuringOptions):
    """Options of the commands that try changes of one target."""

    target: Annotated[
        str,
        argument(
            "TARGET", "spec.yaml, file.py:function, package.module:function or script.py; `file.py:` lists functions."
        ),
    ]
    script_args: Annotated[Texts, argument("[-- ARGS]", "Arguments of the training script.")] = None
    dataset_size: Annotated[Text, option(CHANGES, "SIZE", "Size of all data, if this is a sample: 1.2TB, 5000.")] = None
    no_cache: Annotated[bool, flag(CHANGES, "Leave out changes that add a cache.", "--no-cache")] = False
    memory_limit: Annotated[Text, option(SAFETY, "SIZE", "Most memory, e.g. 8GiB.  [default: all available]")] = None
    allow_writes: Annotated[
        bool, flag(SAFETY, "Let a script overwrite and delete files that exist.", "--allow-writes")
    ] = False


@dataclass(frozen=True, kw_only=True)
class RunOptions(TrialOptions):
    """Measure a pipeline and say what limits it.

    The profile is always saved, to --out FILE.json, else in pipeprof-out/. Progress goes to stderr.

    Examples:
      pipeprof run spec.yaml --set stages.0.num_parallel_calls=4
      pipeprof run train.py:make_dataset --arg split=train --step simulate:12ms
      pipeprof run train.py -- --epochs 3
    """

    workers: Annotated[Text, option(SPECS, "N", "Workers of a local tf.data service.")] = None
    seconds: Annotated[Text, option(LENGTH, "SECONDS", "Measure for this long.  [default: the spec's, else 10]")] = None
    steps: Annotated[Text, option(LENGTH, "N", "Measure at most this many steps.")] = None
    cold: Annotated[bool, flag(LENGTH, "Evict the source files from the page cache first.", "--cold")] = False
    soak: Annotated[Text, option(LENGTH, "DURATION", "Watch memory for this long, e.g. 20m: does it grow?")] = None
    to_end: Annotated[bool, flag(LENGTH, "Let a training script come to its own end.", "--to-end")] = False
    budget: Annotated[Text, option(LENGTH, "SECONDS", "Time for trying the proposed changes.  [default: 30]")] = None
    change: Annotated[Text, option(CHANGES, "N", "Measure with change N of the latest run, or FILE.json:N.")] = None
    no_verify: Annotated[bool, flag(CHANGES, "Propose changes without trying them.", "--no-verify")] = False


@dataclass(frozen=True, kw_only=True)
class FixOptions(TrialOptions):
    """Find the fastest version of a pipeline and prove it.

    Changes are tried side by side, and the best is taken, again and again. Only --write edits a file.

    Examples:
      pipeprof fix spec.yaml --write
      pipeprof fix train.py:make_dataset --step simulate:12ms --out fast.patch
      pipeprof fix train.py --out fast.patch -- --epochs 3
    """

    budget: Annotated[Text, option(LENGTH, "SECONDS", "How long to measure, without starts.  [default: 60]")] = None
    allow: Annotated[Texts, option(CHANGES, "CLASS,...", "What changes may affect: order, randomness, values.")] = None
    change: Annotated[Text, option(CHANGES, "N", "Take change N of the latest run, or FILE.json:N.")] = None
    write: Annotated[bool, flag(CHANGES, "Edit the spec in place; other lines stay.", "--write")] = False


@dataclass(frozen=True, kw_only=True)
class CompareOptions(MeasuringOptions):
    """Measure two or more pipelines side by side.

    Each pair is fresh processes of all sides, in turns; each side is compared with the first.

    Examples:
      pipeprof compare spec.yaml faster.yaml
      pipeprof compare train.py:make_dataset git:main --step simulate:12ms
      pipeprof compare before.json after.json
    """

    a: Annotated[str, argument("A", "spec.yaml, file.py:function, git:REF[:PATH] or a saved profile.")]
    others: Annotated[
        Texts, argument("B...", "What A is compared with, one or more; git:REF is the other target at that ref.")
    ] = None
    pairs: Annotated[Text, option(LENGTH, "N", "Pairs of fresh processes.  [default: 5]")] = None


@dataclass(frozen=True, kw_only=True)
class GateOptions(MeasuringOptions):
    """Fail if a pipeline got slower, or takes more memory.

    Measures pairs of fresh processes until it is clear: exit code 0 passed, 3 failed, 4 cannot tell. In a merge
    request, --against is where its branch began, unless it is given.

    Examples:
      pipeprof gate spec.yaml --against git:main
      pipeprof gate train.py:make --against git:main --max-time 300 --limit peak_bytes=2GiB
      pipeprof gate spec.yaml --self-test
    """

    target: Annotated[str, argument("TARGET", "spec.yaml or file.py:function.")]
    against: Annotated[Text, option(WHAT, "OTHER", "What TARGET must not be worse than: git:main, a target.")] = None
    self_test: Annotated[bool, flag(WHAT, "Test the gate: a slowed copy of TARGET must fail.", "--self-test")] = False
    measure: Annotated[bool, flag(WHAT, "Measure even if both sides are the same pipeline.", "--measure")] = False
    limit: Annotated[Texts, option(WHAT, "NAME=BUDGET", "A budget: step_ms=5%, peak_bytes=2GiB, stage:map=9%.")] = None
    max_pairs: Annotated[Text, option(LENGTH, "N", "Pairs after which it gives up.  [default: 15]")] = None


@dataclass(frozen=True, kw_only=True)
class CheckOptions(ReportOptions):
    """Check specs and functions without taking a batch.

    Finds errors, predicts memory, applies rules that need no measurement. TensorFlow builds a spec without its data; a
    function is called.

    Examples:
      pipeprof check spec.yaml --memory-limit 8GiB
      pipeprof check . --no-build
      pipeprof check . --fail-on warning --format github
    """

    targets: Annotated[list[str], argument("TARGET...", f"{SPEC_OR_FUNCTION}; of a folder, all specs below it.")]
    set: Set = None
    env: Env = False
    arg: Arg = None
    memory_limit: Annotated[
        Text, option(WHAT, "SIZE", "Memory of the machine it is to run on, e.g. 8GiB.  [default: all available]")
    ] = None
    no_build: Annotated[bool, flag(LENGTH, "Only read the text: no TensorFlow, memory or rules.", "--no-build")] = False
    max_time: Annotated[Text, option(LENGTH, "SECONDS", "Longest time to build a target.  [default: 120]")] = None
    no_python: NoPython = False
    fail_on: Annotated[Text, option(OUTPUT, "warning", "Exit with 3 if a rule reports a finding, e.g. in CI.")] = None


@dataclass(frozen=True, kw_only=True)
class ShowOptions(ReportOptions):
    """Print the report of saved profiles.

    With several profiles, JSON is a list.

    Examples:
      pipeprof show
      pipeprof show profile.json --out report.html
      pipeprof show profile.json --json | jq .steps.wait_ms
    """

    profiles: Annotated[
        Texts, argument("[PROFILE]...", "Files that `pipeprof run` saved.  [default: the latest in pipeprof-out/]")
    ] = None
    verbose: Annotated[bool, flag(OUTPUT, "Print all numbers.", "-v", "--verbose")] = False


@dataclass(frozen=True, kw_only=True)
class GapsOptions(ReportOptions):
    """Find out why a device idles, from a profiler's trace.

    Divides the time without work by what the host did until the next work: TensorFlow, JAX, PyTorch.

    Examples:
      pipeprof gaps logs/plugins/profile/2026_11_27_08_00_00
      pipeprof gaps host.xplane.pb --fail-on idle=20% --out gaps.md
    """

    traces: Annotated[
        list[str],
        argument("TRACE...", "*.xplane.pb or a TensorBoard log folder, *.pt.trace.json(.gz); of several a row each."),
    ]
    fail_on: Annotated[
        Text, option(OUTPUT, "NAME=SHARE", "Exit with 3 if a device idles more, e.g. idle=20%, or pipeline=5%.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class RulesOptions:
    """List findings and ideas, or explain one, a warning or an error.

    What it means, why it matters, and what to do. Loads no TensorFlow.

    Examples:
      pipeprof rules
      pipeprof rules cache-after-augment
      pipeprof rules not-settled --json | jq .action
    """

    name: Annotated[Text, argument("[NAME]", "A finding, an idea, or the code of a warning or an error.")] = None
    json: Annotated[bool, flag(OUTPUT, "Print JSON.", "--json")] = False


@dataclass(frozen=True, kw_only=True)
class SchemaOptions:
    """Print the JSON Schema of specs, profiles, results or gaps.

    A result is one of compare or gate; gaps is what `gaps --json` prints.

    Examples:
      pipeprof schema spec > pipeprof.schema.json
      pipeprof schema profile | jq .properties.steps
    """

    document: Annotated[str, argument("spec|profile|result|gaps", "Kind of document.  [default: spec]")] = "spec"


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """Write a first spec for your data.

    Without --from, the spec generates its own photos, so that it runs at once.

    Examples:
      pipeprof init
      pipeprof init --from photos/
      pipeprof init --from 'shards/*.tfrecord' --out shards.yaml
    """

    from_: Annotated[
        Text,
        option(WHAT, "WHAT", "Data to read: images, TFRecord, CSV, .npy or .npz (a file, folder or glob).", "--from"),
    ] = None
    out: Annotated[
        str, option(OUTPUT, "FILE", "File to write; - is stdout.  [default: pipeprof.yaml]", "-o", "--out")
    ] = "pipeprof.yaml"
    force: Annotated[bool, flag(SAFETY, "Overwrite existing files.", "--force")] = False


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """Check the installation and the machine.

    Prints the facts that a bug report needs. Loads no TensorFlow and writes nothing.

    Examples:
      pipeprof doctor
      pipeprof doctor --json | jq '.faults[].message'
    """

    json: Annotated[bool, flag(OUTPUT, "Print JSON.", "--json")] = False
    redact: Annotated[
        bool | None,
        flag(SAFETY, "Remove paths, names, secrets.  [default: in the block for a report]", "--redact/--no-redact"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """List or remove generated inputs (`data:` in specs).

    Inputs under `data:` of a spec are generated again when it needs them.

    Examples:
      pipeprof data list
      pipeprof data rm image_folder
      pipeprof data rm --all
    """

    action: Annotated[str, argument("list|rm", "What to do.  [default: list]")] = "list"
    names: Annotated[Texts, argument("[NAME]...", "What to remove: names of the list, or their beginnings.")] = None
    all: Annotated[bool, flag(CHANGES, "Remove all of them.", "--all")] = False
    json: Annotated[bool, flag(OUTPUT, "Print JSON.", "--json")] = False
