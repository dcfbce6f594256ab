"""The command line without a measurement: help, errors, exit codes, what goes to which stream."""

import errno
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeprof.cli import exit_codes
from pipeprof.cli.exit_codes import USAGE
from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.cli.refused import command_gone, gone, option_gone
from pipeprof.pipelines import errors
from pipeprof.profiles.advise.check import GONE, NEW_NAMES
from pipeprof.profiles.document.store import ProfileNotSavedError
from tests.unit.cli.reports import RECORDED, Pipeprof

INPUT_BOUND = RECORDED / "input-bound.json"
VARIABLES = ("PIPEPROF_CACHE_DIR", "PIPEPROF_DEBUG")
SPEC = "version: 1\nsource: {range: {stop: 1000}}\nstages:\n  - batch: {batch_size: 32}\n"


def test_alone_it_prints_help(pipeprof: Pipeprof) -> None:
    alone, asked = pipeprof(), pipeprof("--help")
    assert (alone.code, alone.err, asked.code) == (0, "", 0)
    assert alone.out == asked.out == pipeprof("help").out
    assert pipeprof("help", "schema").out == pipeprof("schema", "-h").out
    for kind in COMMANDS.values():
        assert f"  {str(kind.__doc__).partition(chr(10))[0]}\n" in asked.out, "a summary is cut"
    assert re.fullmatch(r"pipeprof \d+\.\d+\.\d+\S*\n", pipeprof("-V").out)


def test_the_exit_codes_are_listed_once(pipeprof: Pipeprof) -> None:
    listed = pipeprof("--help").out.partition("Exit codes:")[2]
    found = [int(line.split()[0]) for line in listed.splitlines() if line.strip()]
    assert found == [entry.code for entry in exit_codes.EXIT_CODES]
    assert {one.exit_code for one in family(errors.PipeprofError)} <= set(found)
    assert not any("Exit codes" in pipeprof(name, "--help").out for name in COMMANDS)


def family(base: type[errors.PipeprofError]) -> list[type[errors.PipeprofError]]:
    return [base, *(found for child in base.__subclasses__() for found in family(child))]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_text_is_one_that_users_read(command: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = pipeprof(command, "--help").out.splitlines()
    assert len(lines) <= (55 if command == "run" else 45)
    assert max(map(len, lines)) <= 100
    examples = lines[lines.index("  Examples:") + 1 :][:3]
    assert all(line.startswith(f"    pipeprof {command}") for line in examples if line)
    headings = [line for line in lines[1:] if line and not line.startswith(" ")]
    assert set(headings) <= {f"{name}:" for name in ("Arguments", *dict.fromkeys(_headings()))}
    listed = {word for line in lines if line.startswith("  -") for word in re.findall(r"--[\w-]+", line[:26])}
    known = {flag for one in make_parser(command).params for flag in (*one.opts, *one.secondary_opts)}
    assert listed == {flag for flag in known if flag.startswith("--")} | {"--help"}


def _headings() -> list[str]:
    return [one.rich_help_panel for name in COMMANDS for one in make_parser(name).params if hasattr(one, "hidden")]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("chek", "No such command 'chek'. Did you mean 'check'?", "pipeprof"),
        ("run", "Missing argument 'TARGET'.", "pipeprof run"),
        ("show --html", "No such option: --html. A report has the format of its file's name: --out report.html",
         "pipeprof show"),
        ("run train.py --epochs 3 '--lr=1 e'", "No such option: --epochs. The script's own arguments follow `--`: "
         "pipeprof run train.py -- --epochs 3 '--lr=1 e'", "pipeprof run"),
        ("run train.py --secnds 3", "No such option: --secnds. Did you mean --seconds?", "pipeprof run"),
        ("run train.py --set", "Option '--set' requires an argument.", "pipeprof run"),
    ],
)  # fmt: skip
def test_usage_errors_are_one_sentence(arguments: str, message: str, hint: str, pipeprof: Pipeprof) -> None:
    result = pipeprof(*shlex.split(arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err == f"pipeprof: error: {message}\nTry '{hint} --help'.\n"


def test_there_are_few_options() -> None:
    options = [one for name in COMMANDS for one in make_parser(name).params if hasattr(one, "hidden")]
    assert not any(one.hidden for one in options)
    assert len(options) + len(VARIABLES) <= 135


def test_wrong_options_end_before_anything_starts(pipeprof: Pipeprof) -> None:
    Path("spec.yaml").write_text(SPEC)
    for option in (
        "--format=pdf", "--seconds=0", "--timeout=x", "--max-time=x", "--budget=x", "--memory-limit=8XB",
        "--step=simulate", "--steps=0", "--out=report.pdf", "--out=no/report.json", "--out=spec.yaml",
        "--set=stages.9.x=1", "--change=x", "--dataset-size=big", "--workers=0", "--soak=0", "--arg=x",
    ):  # fmt: skip
        result = pipeprof("run", "spec.yaml", option)
        assert (result.code, result.out, option.partition("=")[0] in result.err) == (2, "", True)
    Path("train.py").write_text("def make(): ...\n")
    missing = pipeprof("run", "spec.yaml", "--step", "python:train.py:mak")
    assert (missing.code, "no function 'mak' in train.py" in missing.err) == (2, True)
    assert {path.name for path in Path().iterdir()} == {"spec.yaml", "train.py"}


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_target_and_python_that_is_refused(command: str, pipeprof: Pipeprof) -> None:
    Path("spec.yaml").write_text(SPEC.replace("stages:", 'stages:\n  - map: {python: "train.py:make"}'))
    Path("train.py").write_text("def make(x=None): ...\n")
    assert "did you mean spec.yaml" in pipeprof(command, "spce.yaml").err
    for target in ("train.py:make", "spec.yaml"):
        result = pipeprof(command, target, "--no-python")
        assert (result.code, "--no-python: " in result.err, "train.py" in result.err) == (2, True, True)


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
        (PermissionError(13, "Permission denied", "/a"), 2, "pipeprof: error: /a: permission denied; name a place"),
        (RecursionError(), 2, "pipeprof: error: the target is nested too deeply"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_end_with_a_sentence_and_a_code(
    error: BaseException, code: int, message: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        raise error

    monkeypatch.setattr("pipeprof.cli.commands.show.load_profile", fail)
    result = pipeprof("show", "a.json")
    assert (result.code, result.out, result.err.count("\n")) == (code, "", bool(message))
    assert result.err.startswith(message)
    if "internal" in message:
        monkeypatch.setenv("PIPEPROF_DEBUG", "1")
        assert "Traceback" in pipeprof("show", "a.json").err


def process(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from pipeprof.cli.main import main; main()", *map(str, arguments)], **options
    )  # type: ignore[call-overload]


CLOSED = b"pipeprof: error: stdout could not be written (it is closed)\n"


@pytest.mark.parametrize(
    ("arguments", "closed", "code", "said"),
    [
        (("rules",), (0,), 0, b""),
        (("rules",), (1,), 1, CLOSED),
        (("rules",), (2,), 0, b""),
        (("rules",), (0, 1, 2), 1, b""),
        (("--version",), (1,), 1, CLOSED),
        (("run", "--help"), (1,), 1, CLOSED),
    ],
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
    assert (done.returncode, (tmp_path / "file").read_text()) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code"), [(("check", "spec.yaml"), 2), (("init",), 2), (("show", INPUT_BOUND), 0)]
)
def test_a_deleted_folder(arguments: tuple[str | Path, ...], code: int, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    leave = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from pipeprof.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", leave, *map(str, arguments)], capture_output=True)
    assert done.returncode == code, done.stderr
    assert (b"the current folder was deleted: change to another one" in done.stderr) is (code == 2)


def test_a_reader_that_goes_away_is_no_error_and_a_full_stdout_is_one() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = process("show", INPUT_BOUND, stdout=gone, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
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
from pipeprof.cli.commands import show
from pipeprof.cli.main import main
show.load_profile = lambda path: os.kill(os.getpid(), signal.{name})
main()
"""


def test_signals() -> None:
    for name, code in (("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)):
        words = [sys.executable, "-c", TERMINATED.format(name=name), "show", "a.json"]
        done = subprocess.run(words, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.parametrize(
    "arguments", [["check", "--no-build", "examples/healthy/spec.yaml"], ["rules", "--json"], ["show", INPUT_BOUND]]
)
def test_a_command_loads_nothing_of_the_others(arguments: list[str]) -> None:
    code = (
        "import sys; from pipeprof.cli.main import invoke; invoke(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, cwd=RECORDED.parents[2])
    loaded, commands = set(done.stderr.splitlines()[-1].split()), "pipeprof.cli.commands."
    assert [name for name in loaded if name.startswith(commands)] == [f"{commands}{arguments[0]}"]
    measures = ("tries.run", "worker.sample", "judge.live", "experiment.team")
    assert loaded & {"tensorflow", "numpy", "psutil", *(f"pipeprof.profiles.{name}" for name in measures)} == set()


def test_what_is_gone_names_what_to_do_instead(pipeprof: Pipeprof) -> None:
    def refused(*words: str) -> str:
        done = pipeprof(*words)
        assert done.code == USAGE, words
        return str(done.err)

    for name, instead in gone()["commands"].items():
        assert name not in COMMANDS
        assert instead in refused(name, "x.yaml")
    for name, instead in gone()["formats"].items():
        assert instead in refused("show", "a.json", "--format", name)
    for name, instead in {**GONE, **NEW_NAMES}.items():
        assert instead in refused("rules", name)
    assert "pipeprof run input.py:train" in refused("init", "--from", "input.py:train"), "a spec of a function"
    assert (command_gone("rum"), option_gone("run", "--no-such-option")) == (None, None)
    for command, options in gone()["options"].items():
        commands = [command] if command else COMMANDS
        known = {flag for name in commands for one in make_parser(name).params for flag in one.opts}
        assert known.isdisjoint(options)
        for option, instead in options.items():
            assert instead in refused(command or "run", "spec.yaml", option)
