"""Texts of options, and the checks on outputs before anything is measured."""

import doctest
import errno
import io
import os
from pathlib import Path

import pytest

from pipeprof.cli import options, output
from pipeprof.cli.output import plan_outputs
from pipeprof.cli.streams import OutputError, write_stdout
from pipeprof.pipelines.errors import UsageError

CLOCKS = [("20m", 1200.0), ("1h30m", 5400.0), ("1h30min", 5400.0), ("1m30s", 90.0), (" 2h5s ", 7205.0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10", 10.0), ("1.5", 1.5), ("1.5s", 1.5), ("400ms", 0.4), ("2min", 120.0), ("1h", 3600.0), *CLOCKS],
)
def test_durations(text: str, expected: float) -> None:
    assert options.duration("--seconds", text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "0ms",
        "x",
        "",
        "nan",
        "inf",
        "1e999",
        "12 bananas",
        "1e300",
        "1001d",
        "24001h",
        "1m1h",
        "h",
        "m",
        f"{10**400}s",
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError, match=r"--timeout: got '.*', expected a duration above 0"):
        options.duration("--timeout", text)


@pytest.mark.parametrize("text", [f"{2**63}", f"{10**30}", "0", "-3", "1e3", "2.5", "", "x", "٣", "9" * 5000])
def test_no_whole_numbers(text: str) -> None:
    words = r"--steps: got '.{0,30}', expected a whole number from 1, below 2\*\*63"
    with pytest.raises(UsageError, match=words):
        options.whole("--steps", text)


@pytest.mark.parametrize(
    ("text", "elements", "size"),
    [
        ("500000", 500_000, None),
        ("500,000 elements", 500_000, None),
        ("1.2TB", None, 1_200_000_000_000),
        ("8GiB", None, 8 << 30),
    ],
)
def test_sizes_of_a_data_set(text: str, elements: int | None, size: int | None) -> None:
    found = options.dataset_size(text)
    assert found is not None
    assert (found.elements, found.bytes) == (elements, size)
    assert options.dataset_size(None) is None


@pytest.mark.parametrize("text", ["", "0", "big", "-1", "1.5", "elements", "3 batches"])
def test_no_sizes_of_a_data_set(text: str) -> None:
    with pytest.raises(UsageError, match=r"--dataset-size: got .*, expected "):
        options.dataset_size(text)


def test_whole_numbers() -> None:
    assert options.whole("--seed", "0", 0) == 0
    assert options.whole("--steps", f"{2**63 - 1}") == 2**63 - 1
    assert options.whole("--steps", None) is None


def test_one_choice_is_named_alone() -> None:
    with pytest.raises(UsageError, match=r"--fail-on: got 'x', expected warning$"):
        options.choice("--fail-on", "x", ("warning",))


@pytest.mark.parametrize(("text", "expected"), [("8GiB", 8 * 1024**3), ("500MB", 500_000_000), ("2097152", 2_097_152)])
def test_sizes(text: str, expected: int) -> None:
    assert options.byte_size("--memory-limit", text) == expected


@pytest.mark.parametrize(("text", "meant"), [("8", "8GiB"), ("500", "500MiB"), ("1024", "1024MiB")])
def test_a_small_number_without_a_unit_is_no_number_of_bytes(text: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"--memory-limit: {text} without a unit .* did you mean {meant}\\?"):
        options.byte_size("--memory-limit", text)


@pytest.mark.parametrize("text", ["0", "8XB", "-1", "", "GiB", "8 G", f"{10**400}GB", "9000000TiB"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError, match="--memory-limit: got"):
        options.byte_size("--memory-limit", text)


@pytest.mark.parametrize(("text", "expected"), [(None, None), ("sync", "sync"), ("1", 1), ("2", 2)])
def test_dispatch(text: str | None, expected: object) -> None:
    assert options.dispatch(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "async", "1.5", ""])
def test_no_dispatch(text: str) -> None:
    if text:
        with pytest.raises(UsageError, match="--dispatch: got"):
            options.dispatch(text)


def test_steps() -> None:
    assert options.step(None) is None
    none, simulated, python = (options.step(text) for text in ("none", "simulate:12ms", "python:f.py:fn"))
    assert none is not None
    assert simulated is not None
    assert python is not None
    assert (none.kind, simulated.kind, python.kind) == ("none", "simulate", "python")
    assert simulated.simulate is not None
    assert simulated.simulate.base == pytest.approx(0.012)


@pytest.mark.parametrize("text", ["", "simulate", "simulate:", "simulate:12", "python:", "keras:f", "nonsense"])
def test_no_steps(text: str) -> None:
    with pytest.raises(UsageError, match="--step: "):
        options.step(text)


@pytest.mark.parametrize("name", ["pdf", "junit"])
def test_formats_that_a_command_lacks_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"--format: got '{name}', expected text, json, github, md, html or sarif$"):
        options.report_format(name, json=False)
    assert options.report_format("github", json=False, command="check") == "github"


def test_formats() -> None:
    assert options.report_format(None, json=False) == "text"
    assert options.report_format(None, json=True) == "json"
    assert options.report_format("json", json=True) == "json"
    with pytest.raises(UsageError, match="did you mean json"):
        options.report_format("jsno", json=False)
    with pytest.raises(UsageError, match="contradict"):
        options.report_format("text", json=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.docx", "unknown output format .docx"),
        ("a.xml", "unknown output format .xml"),
        ("a.jsonl", "unknown output format .jsonl"),
        ("a", "the file has no extension"),
    ],
)
def test_unknown_extensions(name: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"{expected}; use \.html, .*, \.sarif or \.txt, or -"):
        plan_outputs([str(tmp_path / name)], None, json=False, force=True)


def test_outputs(tmp_path: Path) -> None:
    files = [tmp_path / "a.txt", tmp_path / "b.json", tmp_path / "c.json"]
    outputs = plan_outputs(["-", *map(str, files)], "json", json=False, force=False)
    assert outputs.stdout == "json"
    assert outputs.files == [(files[0], "text"), (files[1], "json"), (files[2], "json")]
    assert outputs.profile == files[1]


def test_folders_are_not_made_and_files_not_overwritten(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("Report byte counts\n")
    (tmp_path / "folder.json").mkdir()
    for path, expected in (
        (tmp_path / "no" / "a.json", "does not exist"),
        (tmp_path / "folder.json", "this is a folder"),
        (foreign, "use --force to overwrite it"),
    ):
        with pytest.raises(UsageError, match=expected):
            plan_outputs([str(path)], None, json=False, force=False)
    assert plan_outputs([str(foreign)], None, json=False, force=True).files == [(foreign, "text")]


def test_own_text_reports_are_written_over(tmp_path: Path) -> None:
    golden = Path(__file__).parents[2] / "golden" / "report" / "input-bound-80.txt"
    own = tmp_path / "report.txt"
    own.write_bytes(golden.read_bytes())
    assert plan_outputs([str(own)], None, json=False, force=False).files == [(own, "text")]


def test_shown_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert output.shown_path(Path("a/b.json")) == "a/b.json"
    assert output.shown_path(tmp_path / "a" / "b.json") == "a/b.json"
    assert output.shown_path(tmp_path.parent / "b.json") == str(tmp_path.parent / "b.json")
    assert output.shown_path(None) is None


@pytest.mark.parametrize("module", [options, output])
def test_examples_in_the_docstrings(module: object) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


class FullDisk(io.StringIO):
    encoding = "utf-8"

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_stdout_is_an_error_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", FullDisk())
    with pytest.raises(OutputError, match=r"stdout could not be written \(no space left on device\)"):
        write_stdout("a report")
