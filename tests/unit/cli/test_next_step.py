"""The command that a report ends with: which one, and that it continues the run it is about."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeprof.cli.command_line import OUTPUTS, change_command, parse_run, rerun
from pipeprof.cli.main import make_app
from pipeprof.cli.options import RunOptions
from pipeprof.cli.report.next_step import NextCommand, next_command
from pipeprof.cli.text.units import seconds as in_words
from pipeprof.profiles.document.findings import Edit, Finding, Kept, Predicted, Unfinished, VerdictDetail, Verification
from pipeprof.profiles.document.memory import LedgerEntry, MemoryGrowth
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Phase, PhaseName

Recorded = Callable[[str], Profile]

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
SAVED = "pipeprof-out/spec-20260731T101112Z.json"
FLAGS = "--set options.deterministic=false --env --no-python --dispatch 1 --seed 7 --memory-limit 8GiB --cold --no-lock"
PRINTED = re.compile(r"^ *(?:Next|try) +(pipeprof .*)$", re.MULTILINE)
STARTED = re.compile(r"^\$ (pipeprof run .*)$", re.MULTILINE)
CHANGES = (
    {"sets"},
    {"step"},
    {"step", "dispatch"},
    {"seconds"},
    {"seconds", "steps"},
    {"seconds", "steps", "soak"},
    {"timeout"},
    {"max_time"},
    {"change"},
    {"budget"},
)
"""The options that one command may change of the run that it continues."""


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """A command and its options, by the command line's own parser; nothing is run."""
    program, name, *words = shlex.split(line)
    assert program == "pipeprof"
    command = typer.main.get_command(make_app()).commands[name]  # type: ignore[attr-defined]
    options = dict(command.make_context(name, words).params)
    if name == "check":
        # What continues a run is about its one target.
        (options["target"],) = options.pop("targets")
    return name, options


def differences(run: RunOptions, line: str, saved: str | None = None) -> list[str]:
    """How the meaning of a command differs from the run that it continues, other than by one change."""
    name, options = parsed(line)
    if name == "show":
        return [] if options["profiles"] == [saved] else [f"shows {options['profiles']}, saved was {saved}"]
    if name == "fix":
        given = {key: getattr(run, key) or None for key in ("target", "sets", "env", "args", "no_python")}
        return [
            key
            for key, value in given.items()
            if (list(options[key] or ()) or None if isinstance(value, list) else options[key] or None) != value
        ]
    before = {key: value or None for key, value in asdict(run).items() if key not in OUTPUTS}
    after = {key: (list(value) if isinstance(value, tuple) else value) or None for key, value in options.items()}
    if name == "check":
        if after["memory_limit"] is None:
            return ["check without --memory-limit says nothing new"]
        return [key for key in ("target", "sets", "env", "no_python") if before[key] != after[key]]
    changed = {key for key in before if before[key] != after[key]}
    # The same again measures what its user has changed in between.
    found = [] if any(changed <= allowed for allowed in CHANGES) else [f"changes {sorted(changed)}"]
    paths = {override.partition("=")[0] for override in after["sets"] or []}
    lost = [override for override in before["sets"] or [] if override.partition("=")[0] not in paths]
    return [*found, *lost]


@dataclass(frozen=True)
class Printed:
    """A command in a report that is kept as a file, with the run that the report is about."""

    place: str
    line: str
    run: str | None
    saved: str | None


def golden_run(path: Path) -> str | None:
    """The recorded profile that a golden report is about."""
    profiles = {file.stem for file in (ROOT / "tests" / "recorded" / "profiles").glob("*.json")}
    name = re.sub(r"(-\d+)?(-ascii|-verbose|-v)?(-\d+)?$", "", path.stem)
    if path.parent.name == "findings":
        return "input-bound"
    return name if name in profiles else None


def saved_in(text: str) -> str | None:
    found = re.search(r"^Saved +(\S+\.json)", text, re.MULTILINE)
    return found[1] if found else None


def printed_in_goldens() -> Iterator[Printed]:
    # Comparisons continue no run: tests/unit/judge/test_reports.py has their commands.
    for path in sorted(path for path in GOLDEN.rglob("*.txt") if path.parent.name != "compare"):
        text = path.read_text(encoding="utf-8")
        for found in PRINTED.finditer(text):
            yield Printed(str(path.relative_to(GOLDEN)), found[1], golden_run(path), saved_in(text))


def printed_in_documents() -> Iterator[Printed]:
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]):
        for block in re.split(r"^```.*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1::2]:
            started = STARTED.search(block)
            for found in PRINTED.finditer(block):
                yield Printed(path.name, found[1], started[1] if started else None, saved_in(block))


@pytest.mark.parametrize(
    "printed", list(printed_in_goldens()), ids=lambda printed: f"{printed.place}:{printed.line[:40]}"
)
def test_commands_in_goldens_continue_their_run(printed: Printed, recorded: Recorded) -> None:
    assert printed.run is not None, f"golden_run() knows no recorded profile for {printed.place}"
    run = parse_run(recorded(printed.run).command[2:])
    assert differences(run, printed.line, printed.saved) == []


def test_commands_in_documents_continue_their_run() -> None:
    for printed in printed_in_documents():
        assert printed.run is not None, f"{printed.place}: {printed.line!r} without the run before it"
        run = parse_run(shlex.split(printed.run)[2:])
        assert differences(run, printed.line, printed.saved) == [], printed


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pipeprof run spec.yaml --seed 7 --set a=1 --set b=2", []),
        ("pipeprof run spec.yaml --seed 7 --set a=2", []),
        ("pipeprof run spec.yaml --seed 7 --set b=1", ["a=1"]),
        ("pipeprof run spec.yaml --set a=1 --set b=2", ["changes ['seed', 'sets']"]),
        ("pipeprof run other.yaml --seed 7 --set a=1", ["changes ['target']"]),
        ("pipeprof run spec.yaml --seed 7 --set a=1", []),
        ("pipeprof check spec.yaml --memory-limit 1GiB", ["sets"]),
        ("pipeprof show b.json", ["shows ['b.json'], saved was a.json"]),
    ],
)
def test_the_comparison_sees_differences(line: str, expected: list[str]) -> None:
    assert differences(parse_run(["spec.yaml", "--seed", "7", "--set", "a=1"]), line, "a.json") == expected


def with_flags(profile: Profile, flags: str = FLAGS) -> Profile:
    """The profile as a run with these flags would have written it."""
    options = parse_run([profile.target.text, *shlex.split(flags)])
    profile.command = ["pipeprof", "run", profile.target.text, *shlex.split(flags)]
    profile.target.overrides = options.sets or []
    return profile


def finding(**fields: Any) -> Finding:
    return Finding(rule="serial-map-cpu", title="Decode in parallel", status="unverified", **fields)


def chosen(profile: Profile) -> NextCommand:
    command = next_command(profile, SAVED)
    assert command is not None
    run = parse_run(profile.command[2:])
    assert differences(run, command.line, SAVED) == []
    return command


def test_the_first_finding_that_the_spec_takes_is_tried(recorded: Recorded) -> None:
    profile = with_flags(recorded("input-bound"))
    profile.findings = [
        finding(patch="- shuffle: {}"),
        finding(in_spec=True, edit=Edit.model_validate(CACHE), change="num_parallel_calls: 1 → 8"),
        finding(in_spec=True, edit=Edit.model_validate(CACHE)),
    ]
    command = chosen(profile)
    assert command.line == change_command(profile, 2)
    assert command.purpose == "try: num_parallel_calls: 1 → 8"


def test_a_disturbed_measurement_is_made_again_before_anything_is_tried(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert profile.verdict is not None
    profile.verdict.disturbed = True
    command = next_command(profile, SAVED)
    assert command is not None
    assert (command.line, command.is_listed) == (rerun(profile), False)
    assert command.purpose == "measure again when no other process uses the cores"
    profile.verification = Verification(
        seconds=1.0, budget_seconds=2.0, mode="pairs", tried=0, block_seconds=0.5, needs_seconds=50
    )
    command = next_command(profile, SAVED)
    assert command is not None
    assert command.line == rerun(profile, budget="50")


def test_a_rejected_finding_is_not_tried(recorded: Recorded) -> None:
    profile = with_flags(recorded("input-bound"))
    profile.findings = [finding(in_spec=True).model_copy(update={"status": "rejected"})]
    assert next_command(profile, SAVED) is None


def test_a_fix_that_no_command_makes_is_shown(recorded: Recorded) -> None:
    profile = with_flags(recorded("input-bound"))
    profile.findings = [finding(), finding(patch="- shuffle: {}")]
    assert chosen(profile).line == f"pipeprof show {SAVED} --finding 2"
    assert next_command(profile, None) is None


def hand_written(status: str, **fields: Any) -> Finding:
    edit = {"kind": "HandWritten", "stages": ["stages.1"], "yaml": "", "python": "x = 1"}
    return Finding.model_validate(
        {"rule": "a", "title": "a", "status": status, "edit": edit, "python": "x = 1", "patch": "- x", **fields}
    )


@pytest.mark.parametrize("status", ["ceiling", "unverified"])
def test_after_lines_to_write_comes_the_run_that_measures_them(status: str, recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.target.kind = "function"
    assert profile.verification is None
    profile.verification = Verification(
        seconds=1.0, budget_seconds=60.0, mode="pairs", tried=1, block_seconds=0.3, needs_seconds=100
    )
    profile.findings = [hand_written(status, measured={"speedup": 5.0} if status == "ceiling" else None)]
    command = chosen(profile)
    assert command.line == rerun(profile)
    assert command.purpose == (
        "once you have written the lines of finding 1; pipeprof compare OLD NEW then shows the gain"
    )
    # Without lines a budget is what is left; of a spec the lines are in the finding.
    profile.findings = []
    assert chosen(profile).line.endswith("--budget 100")
    profile.findings, profile.target.kind = [hand_written(status)], "spec"
    assert chosen(profile).purpose == "the complete fix of finding 1"


def kept(**fields: Any) -> Finding:
    return finding(**fields).model_copy(update={"status": "kept"})


def test_a_proven_cache_is_written_before_a_budget_decides_about_more(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    lacks = finding(measured={"speedup": 1.7}, unfinished=Unfinished(pairs=8, needed=12, budget_seconds=40))
    cache = kept(measured={"speedup": 9.0}, cache=Kept(), edit=Edit.model_validate(CACHE), diff="--- a/train.py\n")
    profile.target.kind, profile.findings = "function", [lacks, cache]
    assert " fix " in chosen(profile).line
    saves = kept(family="memory", measured=MEMORY, edit=Edit.model_validate(CACHE))
    profile.findings = [lacks, saves]
    assert chosen(profile).line.endswith("--budget 40")


@pytest.mark.parametrize(
    ("more", "budget"),
    [
        ({"predicted": Predicted(speedup=3.0)}, False),
        ({"predicted": Predicted(speedup=1.2)}, True),
        ({"family": "correctness"}, False),
    ],
)
def test_lines_that_promise_more_come_before_a_budget(more: dict[str, Any], budget: bool, recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.target.kind = "function"
    lacks = finding(measured={"speedup": 1.7}, unfinished=Unfinished(pairs=8, needed=12, budget_seconds=40))
    profile.findings = [lacks, hand_written("unverified", **more)]
    assert ("--budget 40" in chosen(profile).line) == budget


def test_a_budget_that_may_not_decide_is_the_last_resort(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.target.kind = "function"
    profile.findings = [
        finding(measured={"speedup": 1.7}, unfinished=Unfinished(pairs=12, needed=20, budget_seconds=40)),
        hand_written("ceiling", measured={"speedup": 1.5}),
    ]
    assert chosen(profile).purpose.startswith("once you have written the lines of finding 2")
    profile.findings = profile.findings[:1]
    assert chosen(profile).purpose.startswith("may decide about")


def test_what_is_wrong_with_the_data_comes_before_a_budget(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.verification = Verification(
        seconds=1.0, budget_seconds=60.0, mode="pairs", tried=1, block_seconds=0.3, needs_seconds=100
    )
    profile.findings = [finding(family="correctness", change="Write `ds = ds.cache()`.")]
    command = chosen(profile)
    assert (command.line, command.purpose) == (rerun(profile), "once finding 1 is fixed")


@pytest.mark.parametrize(("most", "budget"), [(5.0, False), (1.1, True)])
def test_a_budget_is_next_only_where_it_may_gain_more_than_lines_that_are_known(
    most: float, budget: bool, recorded: Recorded
) -> None:
    profile = recorded("step-bound")
    profile.target.kind = "function"
    unfinished = Unfinished(pairs=8, needed=12, budget_seconds=40)
    profile.findings = [
        finding(measured={"speedup": 1.7}, unfinished=unfinished),
        hand_written("ceiling", measured={"speedup": most}),
    ]
    assert ("--budget 40" in chosen(profile).line) == budget


def test_what_cannot_be_imported_is_installed_first(recorded: Recorded) -> None:
    profile = recorded("raised")
    profile.errors[0].message = "The pipeline raised an exception: ModuleNotFoundError: No module named 'cv2'"
    command = chosen(profile)
    assert command.line == rerun(profile)
    assert command.purpose == "once cv2 can be imported: install it, or run pipeprof with the Python that has it"
    profile.errors[0].message = "ValueError: no"
    assert chosen(profile).purpose == "the complete traceback"
    profile.errors[0].traceback = None
    profile.steps = None
    assert next_command(profile, SAVED) is None


@pytest.mark.parametrize(
    ("batch_ms", "step"), [(1.2324, "1.3ms"), (83.0, "83ms"), (412.6, "420ms"), (0.0451, "1ms"), (1700.0, "1700ms")]
)
def test_without_a_step_one_as_long_as_a_batch_is_added(batch_ms: float, step: str, recorded: Recorded) -> None:
    profile = with_flags(recorded("step-none"), "--seed 7")
    assert profile.steps is not None
    profile.steps.interval_ms.mean = batch_ms
    command = chosen(profile)
    assert f" --step simulate:{step}" in command.line
    assert f"replace {step} with your step time" in command.purpose


def test_a_healthy_run_has_none(recorded: Recorded) -> None:
    assert next_command(recorded("step-bound"), SAVED) is None


def test_a_bottleneck_without_a_known_fix_has_none(recorded: Recorded) -> None:
    assert next_command(recorded("input-bound"), SAVED) is None


@pytest.mark.parametrize(
    ("flags", "steps", "seconds", "expected"),
    [("--seconds 2", 12, 2.0, "--seconds 30"), ("--steps 5", 5, 0.1, "--seconds 30"), ("", 6, 40.0, "--seconds 2min")],
)
def test_a_short_measurement_is_made_longer(
    flags: str, steps: int, seconds: float, expected: str, recorded: Recorded
) -> None:
    profile = with_flags(recorded("step-bound"), flags)
    assert profile.steps is not None
    profile.steps.count, profile.steps.seconds = steps, seconds
    command = chosen(profile)
    assert command.line.endswith(expected)
    assert "--steps" not in command.line
    assert command.purpose == f"measure longer: only {steps} steps in {in_words(seconds)}"


def test_no_option_makes_a_script_longer_that_has_ended(recorded: Recorded) -> None:
    profile = with_flags(recorded("step-bound"))
    assert profile.steps is not None
    profile.steps.count = 1
    assert chosen(profile).purpose.startswith("measure longer: only 1 step in ")
    profile.warnings = [Message(code="short-script", message="…")]
    assert next_command(profile, SAVED) is None


def test_a_measurement_that_had_not_settled_is_made_longer(recorded: Recorded) -> None:
    profile = with_flags(recorded("step-bound"))
    profile.warnings = [Message(code="not-settled", message="…")]
    assert chosen(profile).purpose == "measure longer: the warm-up had not settled"


@pytest.mark.parametrize(
    ("op", "gib", "asked"), [("shuffle", 3.0, True), ("batch", 3.0, False), ("shuffle", 0.1, False)]
)
def test_memory_asks_which_buffers_fit(op: str, gib: float, asked: bool, recorded: Recorded) -> None:
    profile = with_flags(recorded("step-bound"))
    assert profile.verdict is not None
    assert profile.stages is not None
    profile.verdict.details = [VerdictDetail(label="memory", text="5 GiB at the peak")]
    profile.memory.peak_bytes = 5 * 1024**3
    profile.stages[0].op = op
    profile.memory.ledger = [
        LedgerEntry(owner="shuffle", stage=profile.stages[0].id, bytes=int(gib * 1024**3), how="measured")
    ]
    if asked:
        assert chosen(profile).line.endswith("--no-python --memory-limit 3GiB")
    else:
        assert next_command(profile, SAVED) is None


@pytest.mark.parametrize(
    ("code", "flags", "expected"),
    [
        ("hung", "--seed 7", "pipeprof run spec.yaml --seed 7 --timeout 10min"),
        ("hung", "--timeout 50", "pipeprof run spec.yaml --timeout 250"),
        ("max-time", "--max-time 1min", "pipeprof run spec.yaml --max-time 3min"),
        ("step-raised", "--step simulate:1ms --dispatch 2", "pipeprof run spec.yaml --step none"),
        ("out-of-memory", "--memory-limit 2GiB --cold", "pipeprof check spec.yaml --memory-limit 2GiB"),
        ("raised", "", f"pipeprof show {SAVED} -v"),
        ("crashed", "", None),
        ("empty", "", None),
        ("interrupted", "--seed 7", "pipeprof run spec.yaml --seed 7"),
    ],
)
def test_after_a_failure(code: str, flags: str, expected: str | None, recorded: Recorded) -> None:
    profile = with_flags(recorded("out-of-memory"), flags)
    traceback = "ValueError: no" if code == "raised" else None
    profile.errors = [Problem(code=code, message="…", stage="stages.1", traceback=traceback)]
    command = next_command(profile, SAVED)
    assert (command.line if command else None) == expected
    if command is not None:
        assert differences(parse_run(profile.command[2:]), command.line, SAVED) == []


@pytest.mark.parametrize(("phase", "slow"), [("build", "building"), ("measure", "a batch")])
def test_what_may_only_be_slow_is_named(phase: PhaseName, slow: str, recorded: Recorded) -> None:
    profile = with_flags(recorded("interrupted"), "")
    profile.phases = [Phase(name="import"), Phase(name=phase)]
    profile.errors = [Problem(code="hung", message="…")]
    assert chosen(profile).purpose == f"in case {slow} only takes longer"


@pytest.mark.parametrize(("code", "words"), [("interrupted", ""), ("max-time", " --seconds 2")])
def test_after_an_early_end_it_is_measured_again_within_the_time_there_was(
    code: str, words: str, recorded: Recorded
) -> None:
    profile = with_flags(recorded("interrupted"), "--arg split=train --seed 3")
    profile.errors = [Problem(code=code, message="…")]
    assert chosen(profile).line == f"pipeprof run pipelines/load.py:train --arg split=train --seed 3{words}"


def test_a_run_that_never_ended_is_repeated(recorded: Recorded) -> None:
    profile = with_flags(recorded("step-bound"))
    profile.complete = False
    command = next_command(profile, SAVED)
    assert command is not None
    assert command.line == rerun(profile)


CACHE = {"kind": "InsertStage", "op": "cache", "arguments": {}, "after": "source"}
MOVED = {"kind": "MoveFilter", "stage": "stages.1", "before": "stages.0"}


def test_what_is_proven_is_written_by_its_number(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    kept = finding(in_spec=True).model_copy(update={"status": "kept"})
    kept.edit = Edit.model_validate(CACHE)
    profile.findings = [finding(), kept]
    command = chosen(profile)
    assert (command.line, command.purpose) == ("pipeprof fix spec.yaml --change 2 --write", "writes change 2")
    assert parsed(command.line)[1]["change"] == "2"


@pytest.mark.parametrize("edit", [CACHE, {"kind": "MoveFilter", "stage": "stages.1", "before": "stages.0"}])
def test_a_diff_is_promised_where_there_is_one(edit: dict[str, Any], recorded: Recorded) -> None:
    profile = recorded("input-bound")
    profile.target.kind, profile.target.text = "function", "train.py:make"
    profile.command = ["pipeprof", "run", "train.py:make"]
    profile.findings = [kept(edit=[Edit.model_validate(edit)], measured={"speedup": 4.0})]
    assert chosen(profile).line == "pipeprof run train.py:make --change 1"
    profile.findings[0].diff = "--- a/train.py\n"
    command = chosen(profile)
    line = "pipeprof fix train.py:make --change 1 --out change-1.patch"
    assert (command.line, command.purpose) == (line, "writes the diff of change 1")


def test_what_is_not_finished_goes_on_with_the_budget_that_decides(recorded: Recorded) -> None:
    profile = with_flags(recorded("input-bound"))
    lacks = finding(in_spec=True)
    lacks.unfinished = Unfinished(pairs=8, needed=12, budget_seconds=40)
    profile.findings = [finding(in_spec=True), lacks]
    assert chosen(profile).line == rerun(profile, budget="40")


MEMORY = {"speedup": 1.0, "peak_rss_delta_bytes": -1_000_000_000}


def test_a_variable_of_the_environment_is_tried_not_written(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    profile.target.kind, profile.target.text = "function", "train.py:make"
    profile.command = ["pipeprof", "run", "train.py:make"]
    kept = finding(measured=MEMORY, change="OMP_NUM_THREADS=1").model_copy(update={"status": "kept"})
    kept.edit = Edit.model_validate({"kind": "SetEnvironment", "variable": "OMP_NUM_THREADS", "value": "1"})
    profile.findings = [kept]
    command = chosen(profile)
    assert command.is_listed
    assert command.purpose == "try: OMP_NUM_THREADS=1"
    assert " fix " not in command.line


def test_memory_that_grows_is_looked_at_for_longer(recorded: Recorded) -> None:
    profile = with_flags(recorded("input-bound"), "--seconds 5 --seed 7")
    profile.findings = []
    profile.memory.growth = MemoryGrowth(mb_per_1000_steps=9, low=8, high=10, windows=9, leak=True)
    command = next_command(profile, SAVED)
    assert command is not None
    assert command.line == f"pipeprof run {profile.target.text} --seed 7 --soak 5m"
    profile.memory.growth.leak = False
    assert "--soak" not in (getattr(next_command(profile, SAVED), "line", ""))
