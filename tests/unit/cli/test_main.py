"""The command line without a measurement: help, errors, exit codes, what goes to which stream."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeprof.cli import exit_codes
from pipeprof.cli.main import invoke, make_app
from pipeprof.cli.report.report import build_report
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.pipelines import errors
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileNotSavedError, load_profile

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
Pipeprof = Callable[..., Any]
INPUT_BOUND = RECORDED / "input-bound.json"
COMMANDS = (
    "run",
    "compare",
    "gate",
    "check",
    "show",
    "gaps",
    "rules",
    "explain",
    "schema",
    "init",
    "doctor",
    "data",
    "data list",
    "data rm",
)

SPEC = """\
version: 1
name: rows
source:
  range: {stop: 1000}
stages:
  - map: {name: noise, ops: [{tf.cast: {dtype: float32}}]}
  - interleave: {source: {from_tensors: {}}, stages: [{repeat: {count: 2}}], cycle_length: 2}
  - batch: {batch_size: 32}
step: {simulate: 4ms}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


def test_alone_it_prints_help(pipeprof: Pipeprof) -> None:
    alone, asked = pipeprof(), pipeprof("--help")
    assert pipeprof("help").out == asked.out
    assert pipeprof("help", "schema").out == pipeprof("schema", "--help").out
    assert (alone.code, asked.code) == (0, 0)
    assert alone.out == asked.out
    assert "Usage: pipeprof" in alone.out


def test_version(pipeprof: Pipeprof) -> None:
    result = pipeprof("--version")
    assert result.code == 0
    assert re.fullmatch(r"pipeprof \d+\.\d+\.\d+\S*\n", result.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_and_the_exit_codes(command: str, pipeprof: Pipeprof) -> None:
    result = pipeprof(*command.split(), "--help")
    assert result.code == 0
    assert f"pipeprof {command.split(maxsplit=1)[0]}" in result.out.partition("xample")[2]
    assert "xit codes:" in result.out
    assert max(len(line) for line in result.out.splitlines()) <= 80


@pytest.mark.parametrize("command", ["run", "compare", "gate", "check", "show", "rules", "explain", "schema", "doctor"])
def test_help_lists_the_whole_table(command: str, pipeprof: Pipeprof) -> None:
    listed = pipeprof(command, "--help").out.partition("Exit codes:")[2]
    assert [int(line.split()[0]) for line in listed.splitlines() if line.strip()] == [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        129,
        130,
        143,
    ]


def family(base: type[errors.PipeprofError]) -> list[type[errors.PipeprofError]]:
    return [base, *(found for child in base.__subclasses__() for found in family(child))]


def test_the_table_has_every_code_that_an_error_can_end_with() -> None:
    listed = [entry.code for entry in exit_codes.EXIT_CODES]
    assert len(listed) == len(set(listed))
    assert {one.exit_code for one in family(errors.PipeprofError)} <= set(listed)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["chek"], "No such command 'chek'. Did you mean 'check'?", "pipeprof"),
        (["frobnicate", "a.yaml"], "No such command 'frobnicate'.", "pipeprof"),
        (["--foo"], "No such option: --foo", "pipeprof"),
        (["run"], "Missing argument 'TARGET'.", "pipeprof run"),
        (
            ["show", "--html"],
            "No such option: --html. A report has the format of its file's name: --out report.html",
            "pipeprof show",
        ),
        (["run", "a.yaml", "--sett"], "No such option: --sett. Did you mean --set?", "pipeprof run"),
        (
            ["run", "train.py", "--epochs", "3", "--lr=1 e"],
            "No such option: --epochs. The script's own arguments follow `--`: "
            "pipeprof run train.py -- --epochs 3 '--lr=1 e'",
            "pipeprof run",
        ),
        (["run", "train.py", "--secnds", "3"], "No such option: --secnds. Did you mean --seconds?", "pipeprof run"),
        (["run", "a.yaml", "--set"], "Option '--set' requires an argument.", "pipeprof run"),
        (["data", "lst"], "No such command 'lst'. Did you mean 'list'?", "pipeprof data"),
    ],
)
def test_usage_errors_are_one_sentence(arguments: list[str], message: str, hint: str, pipeprof: Pipeprof) -> None:
    result = pipeprof(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"pipeprof: error: {message}\nTry '{hint} --help'.\n"


@pytest.mark.parametrize("options", [["--attach", "12"], ["-p", "12"], ["-p12"], ["--pid=12"], ["--attach"]])
def test_a_process_that_runs_already_is_refused_with_what_to_do(options: list[str], pipeprof: Pipeprof) -> None:
    result = pipeprof("run", *options)
    assert (result.code, result.out) == (2, "")
    assert "a running process cannot be measured from outside" in result.err
    assert '    import pipeprof\n    with pipeprof.watch("out.json"):\n' in result.err


@pytest.mark.parametrize(
    "option",
    [
        "--format=pdf",
        "--format=jsn",
        "--color=sometimes",
        "--seconds=0",
        "--seconds=1e300",
        "--timeout=x",
        "--max-time=x",
        "--budget=x",
        "--memory-limit=8XB",
        "--dispatch=0",
        "--step=simulate",
        "--step=keras:f",
        "--steps=0",
        f"--steps={10**30}",
        "--seed=-1",
        f"--seed={10**30}",
        "--out=report.pdf",
        "--out=no/report.json",
        "--out=spec.yaml",
        "--set=stages.9.x=1",
    ],
)
def test_wrong_options_end_before_anything_starts(option: str, spec: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("run", "spec.yaml", option)
    assert (result.code, result.out) == (2, "")
    assert option.partition("=")[0] in result.err
    assert os.listdir(spec.parent) == ["spec.yaml"]  # noqa: PTH208 - names are what is compared


@pytest.mark.usefixtures("spec")
def test_a_missing_target(pipeprof: Pipeprof) -> None:
    for command in ("run", "check"):
        result = pipeprof(command, "spce.yaml")
        assert result.code == 2
        assert "did you mean spec.yaml" in result.err


@pytest.mark.usefixtures("spec")
def test_check_lists_the_stages(pipeprof: Pipeprof) -> None:
    result = pipeprof("check", "spec.yaml")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "spec.yaml: no errors",
        "  source    range           line 4",
        "  0         noise (map)     line 6",
        "  1         interleave      line 7",
        "  1.source    from_tensors  line 7",
        "  1.0         repeat        line 7",
        "  2         batch           line 8",
        "  step      simulate: 4ms, dispatch sync",
        "  measure   10 s",
        "  rules     no findings without running it",
        "",
        "Memory predicted  less than 1.00 MiB above TensorFlow itself",
    ]


@pytest.mark.usefixtures("spec")
def test_check_shows_what_set_changed(pipeprof: Pipeprof) -> None:
    result = pipeprof("check", "spec.yaml", "--set", "step.simulate=7ms", "--set", "measure={seconds: 3}")
    assert result.code == 0
    assert "simulate: 7ms" in result.out
    assert "3 s" in result.out


@pytest.mark.usefixtures("spec")
def test_check_as_json_is_a_profile_of_nulls(pipeprof: Pipeprof) -> None:
    result = pipeprof("check", "spec.yaml", "--json")
    profile = Profile.model_validate_json(result.out)
    assert (result.code, profile.exit_code, profile.errors) == (0, 0, [])
    assert profile.steps is None
    assert profile.verdict is None
    assert [stage.id for stage in profile.stages or []] == [
        "source",
        "stages.0",
        "stages.1",
        "stages.1.source",
        "stages.1.stages.0",
        "stages.2",
    ]
    assert [stage.depth for stage in profile.stages or []] == [0, 0, 0, 1, 1, 0]


def test_spec_errors(pipeprof: Pipeprof, spec: Path) -> None:
    spec.write_text(SPEC.replace("batch_size", "batch_siz").replace("range", "rnge"))
    checked, run = pipeprof("check", "spec.yaml"), pipeprof("run", "spec.yaml")
    assert (checked.code, checked.err, run.code, run.out) == (2, "", 2, "")
    assert checked.out == f"{run.err}Found 2 errors in spec.yaml.\n"
    assert len(re.findall(r"^spec\.yaml:\d+:\d+: error\[[a-z-]+\]: ", run.err, re.MULTILINE)) == 2
    assert "did you mean batch_size?" in run.err
    assert "^^^" in run.err
    result = pipeprof("check", "spec.yaml", "--json")
    profile = Profile.model_validate_json(result.out)
    assert result.code == 2
    assert [(problem.file, problem.line) for problem in profile.errors] == [("spec.yaml", 4), ("spec.yaml", 8)]


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("wrong.yaml",), "Found 1 error in wrong.yaml."),
        (("spec.yaml", "--set", "a=1"), "Found 1 error."),
        (("wrong.yaml", "--set", "a=1"), "Found 2 errors."),
        (("many.yaml",), "Found 55 errors in many.yaml."),
    ],
)
def test_errors_are_counted(arguments: tuple[str, ...], last: str, pipeprof: Pipeprof, spec: Path) -> None:
    head = "version: 1\nsource: {range: {stop: 3}}\n"
    (spec.parent / "wrong.yaml").write_text(f"{head}measure: {{second: 3}}\n")
    (spec.parent / "many.yaml").write_text(f"{head}stages:\n" + "".join(f"  - nope{i}: {{}}\n" for i in range(55)))
    result = pipeprof("check", *arguments)
    assert (result.code, result.err) == (2, "")
    assert result.out.splitlines()[-1] == last


def test_functions(pipeprof: Pipeprof, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise SystemExit('imported')\ndef make(): ...\n")
    assert pipeprof("check", "train.py:make").code == 0
    assert pipeprof("check", "train.py:mke").code == 2
    refused = pipeprof("check", "train.py:make", "--set", "a=1")
    assert refused.code == 2
    assert "--set" in refused.err


@pytest.mark.parametrize("command", ["check", "run"])
def test_no_python(command: str, pipeprof: Pipeprof, tmp_path: Path, spec: Path) -> None:
    (tmp_path / "train.py").write_text("def make(x=None): ...\n")
    spec.write_text(SPEC.replace("ops: [{tf.cast: {dtype: float32}}]", 'python: "train.py:make"'))
    for target in ("train.py:make", "spec.yaml"):
        result = pipeprof(command, target, "--no-python")
        assert result.code == 2
        assert "--no-python" in result.err
        assert "train.py" in result.err


def test_show_prints_the_report(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = pipeprof("show", INPUT_BOUND)
    assert (result.code, result.err) == (0, "")
    again = f"pipeprof show {INPUT_BOUND}"
    assert result.out == paint(build_report(load_profile(INPUT_BOUND), str(INPUT_BOUND), None, again), Style(80))


def test_show_as_json_is_the_file(pipeprof: Pipeprof) -> None:
    assert pipeprof("show", INPUT_BOUND, "--json").out == INPUT_BOUND.read_text()


def test_show_several(pipeprof: Pipeprof) -> None:
    both = (INPUT_BOUND, RECORDED / "step-none.json")
    text = pipeprof("show", *both).out
    assert text.index("Input-bound") < text.index("Pipeline alone")
    listed = json.loads(pipeprof("show", *both, "--format", "json").out)
    assert [one["target"]["text"] for one in listed] == ["spec.yaml", "examples/array/spec.yaml"]
    assert pipeprof("show", *both, "--out", "a.txt").code == 2


def test_show_writes_files(pipeprof: Pipeprof, tmp_path: Path) -> None:
    assert pipeprof("show", INPUT_BOUND, "--out", "a.txt", "--out", "b.json").code == 0
    assert load_profile(tmp_path / "b.json") == load_profile(INPUT_BOUND)
    assert "Input-bound" in (tmp_path / "a.txt").read_text()
    again = pipeprof("show", INPUT_BOUND, "--out", "a.txt", "--out", "b.json")
    assert again.code == 0


def test_show_a_partial_profile(pipeprof: Pipeprof) -> None:
    result = pipeprof("show", RECORDED / "interrupted.json")
    assert result.code == 0
    assert result.out.startswith("Interrupted in phase measure after 131 steps.")


def test_show_redacted(pipeprof: Pipeprof) -> None:
    assert "lab-7" in pipeprof("show", INPUT_BOUND, "-v").out
    assert "lab-7" not in pipeprof("show", INPUT_BOUND, "-v", "--redact").out


@pytest.mark.usefixtures("spec")
@pytest.mark.parametrize("name", ["missing.json", "spec.yaml"])
def test_show_what_is_no_profile(name: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("show", INPUT_BOUND, name)
    assert (result.code, result.out) == (6, "")
    assert result.err.count("\n") == 1
    assert name in result.err


@pytest.mark.parametrize(("color", "expected"), [("always", True), ("never", False), ("auto", False)])
def test_colour_in_a_pipe(color: str, expected: bool, pipeprof: Pipeprof) -> None:
    assert ("\x1b" in pipeprof("show", INPUT_BOUND, "--color", color).out) is expected


def test_schema_of_a_profile(pipeprof: Pipeprof) -> None:
    schema = json.loads(pipeprof("schema", "profile").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    validator = jsonschema.validators.validator_for(schema)(schema)
    for path in RECORDED.glob("*.json"):
        document = json.loads(path.read_text())
        validator.validate(document)
        document["steps"] = "fast"
        assert not validator.is_valid(document)


def test_schema_of_a_spec(pipeprof: Pipeprof) -> None:
    result = pipeprof("schema")
    assert result.code == 0
    assert result.out == pipeprof("schema", "spec").out
    assert "draft-07" in json.loads(result.out)["$schema"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [("findings", "expected spec, profile, result or gaps"), ("profil", "did you mean profile?")],
)
def test_schema_of_nothing(document: str, expected: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("schema", document)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err


class Deep(errors.PipeprofError):
    pass


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.PipeprofError("a"), 1, "pipeprof: error: a\n"),
        (errors.UsageError("b"), 2, "pipeprof: error: b\n"),
        (errors.PipelineFailedError("c"), 5, "pipeprof: error: c\n"),
        (errors.ProfileError("d"), 6, "pipeprof: error: d\n"),
        (ProfileNotSavedError("e"), 1, "pipeprof: error: e\n"),
        (ValueError("f\x1b"), 1, "pipeprof: internal error: ValueError: f\\x1b (PIPEPROF_DEBUG=1 shows where)\n"),
        (MemoryError(), 1, "pipeprof: error: the system gave pipeprof no more memory\n"),
        (RuntimeError("can't start new thread"), 1, "pipeprof: error: the system let pipeprof start no more threads"),
        (OSError(errno.EMFILE, "Too many open files"), 1, "pipeprof: error: too many open files: a process may have "),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "pipeprof: error: stdout could not be written (no space"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(143), 143, ""),
    ],
)
def test_errors_become_messages_and_codes(
    error: BaseException, code: int, message: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> Profile:
        raise error

    monkeypatch.setattr("pipeprof.profiles.document.store.load_saved", fail)
    result = pipeprof("show", "a.json")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(message)
    assert result.err.count("\n") == bool(message)


CLOSED_STREAMS = [
    # Closed, exit code, what is said where it can be said.
    ((0,), 0, b""),
    ((1,), 1, b"pipeprof: error: stdout could not be written (it is closed)\n"),
    ((2,), 0, b""),
    ((0, 1, 2), 1, b""),
]


@pytest.mark.parametrize(
    ("arguments", "closed", "code", "said"),
    [*[(("rules",), *case) for case in CLOSED_STREAMS], (("--version",), *CLOSED_STREAMS[1])],
)
def test_closed_streams(arguments: tuple[str, ...], closed: tuple[int, ...], code: int, said: bytes) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    done = process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=close)
    assert (done.returncode, done.stderr) == (code, said)
    assert bool(done.stdout) == (1 not in closed)


def test_files_do_not_get_the_numbers_of_closed_streams(tmp_path: Path) -> None:
    """Else what is said would be written into them."""
    code = (
        "import os\nfrom pipeprof.cli import streams\nstreams.open_closed()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\nassert file.fileno() > 2\nstreams.say('lost')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], preexec_fn=lambda: os.closerange(0, 3))
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check", "spec.yaml"), 2, b"the current folder was deleted: change to another one"),
        (("init",), 1, b"the current folder was deleted: change to another one"),
        (("show", INPUT_BOUND), 0, b""),
    ],
)
def test_a_deleted_folder(arguments: tuple[str | Path, ...], code: int, words: bytes, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    leave = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from pipeprof.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", leave, *map(str, arguments)], capture_output=True)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert b"internal error" not in done.stderr


def test_debug_shows_the_traceback(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeprof.profiles.document.store.load_saved", lambda _path: 1 / 0)
    monkeypatch.setenv("PIPEPROF_DEBUG", "1")
    result = pipeprof("show", "a.json")
    assert result.code == 1
    assert "Traceback" in result.err
    assert result.err.endswith("pipeprof: internal error: ZeroDivisionError: division by zero\n")


def test_invoke_gives_the_code() -> None:
    assert make_app().info.name == "pipeprof"
    assert invoke(["run"]) == 2


def process(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from pipeprof.cli.main import main; main()", *map(str, arguments)], **options
    )  # type: ignore[call-overload]


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = process("show", INPUT_BOUND, stdout=gone, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_stdout_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = process("show", INPUT_BOUND, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert b"no space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_other_encodings(encoding: str) -> None:
    environ = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = process("show", INPUT_BOUND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"\\u" not in done.stdout


# A shell that starts the tests in the background has them ignore SIGINT: here it counts.
TERMINATED = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
import pipeprof.profiles.document.store as store
from pipeprof.cli.main import main
store.load_saved = lambda path: os.kill(os.getpid(), signal.{name})
main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_signals(name: str, code: int) -> None:
    assert hasattr(signal, name)
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED.format(name=name), "show", "a.json"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["check", "examples/healthy/spec.yaml"], {"pipeprof.profiles.advise", "pipeprof.profiles.memory", "rich"}),
        (["rules", "--json"], {"pipeprof.profiles.advise"}),
        (["schema", "spec"], set()),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_loads_nothing_of_the_others(arguments: list[str], needed: set[str]) -> None:
    code = (
        "import sys; from pipeprof.cli.main import invoke; invoke(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=RECORDED.parents[2]
    )
    loaded = done.stderr.splitlines()[-1].split()
    rooms = {".".join(name.split(".")[:3]) if name.startswith("pipeprof.") else name for name in loaded}
    rooms |= {name for name in loaded if name.startswith("pipeprof.cli.commands.")}
    measuring = {
        f"pipeprof.profiles.{room}" for room in ("fix", "harness", "judge", "model", "protocol", "verify", "worker")
    }
    assert needed <= rooms
    assert rooms & (measuring | {"numpy", "psutil", "tensorflow", "pipeprof.cli.comparing"}) == set()
    assert {name for name in rooms if name.startswith("pipeprof.cli.commands.")} == {
        f"pipeprof.cli.commands.{arguments[0]}"
    }
