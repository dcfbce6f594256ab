"""Values of options as typed, and the checks on outputs before anything is measured."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipeprof.cli import values
from pipeprof.cli.commands import gate
from pipeprof.cli.options import RunOptions
from pipeprof.cli.output import Outputs, plan_outputs, write_texts
from pipeprof.cli.targets.settings import dataset_size
from pipeprof.pipelines.errors import UsageError


def test_durations_and_sizes() -> None:
    for text, seconds in {
        "10": 10, "1.5s": 1.5, "400ms": 0.4, "2min": 120, "1h": 3600, "20m": 1200, "1h30min": 5400, "1m30s": 90,
        " 2h5s ": 7205,
    }.items():  # fmt: skip
        assert values.duration("--seconds", text) == pytest.approx(seconds)
    for text, size in {"8GiB": 8 << 30, "500MB": 500_000_000, "2097152": 2_097_152}.items():
        assert values.byte_size("--memory-limit", text) == size
    for text, elements, size in (
        ("500000", 500_000, None), ("500,000 elements", 500_000, None), ("1.2TB", None, 12 * 10**11),
    ):  # fmt: skip
        assert (found := dataset_size(text)) is not None
        assert (found.elements, found.bytes) == (elements, size)
    assert values.whole("--steps", f"{2**63 - 1}") == 2**63 - 1


REFUSED: tuple[tuple[str, Callable[[str], object], tuple[str, ...]], ...] = (
    ("--timeout: got '.*', expected a duration above 0", partial(values.duration, "--timeout"),
     ("0", "-1", "x", "", "nan", "inf", "1e999", "12 bananas", "1001d", "1m1h", f"{10**400}s")),
    (r"--steps: got '.{0,30}', expected a whole number from 1, below 2\*\*63", partial(values.whole, "--steps"),
     (f"{2**63}", f"{10**30}", "0", "-3", "1e3", "2.5", "", "x", "٣", "9" * 5000)),
    ("--dataset-size: got .*, expected ", dataset_size, ("", "0", "big", "-1", "1.5", "elements", "3 batches")),
    ("--memory-limit: (got|8 without .* mean 8GiB|1024 without .* mean 1024MiB)",
     partial(values.byte_size, "--memory-limit"),
     ("0", "8XB", "-1", "", "GiB", "8 G", f"{10**400}GB", "9000000TiB", "8", "1024")),
    ("--step: ", values.step,
     ("", "simulate", "simulate:", "simulate:12", "python:", "keras:f", "nonsense", "none,dispatch=2",
      *(f"simulate:12ms,dispatch={ahead}" for ahead in ("0", "-1", "async", "1.5", "")))),
    *((said, lambda text: gate.limits([text]), (text,)) for text, said in {
        "10%": "expected NAME=BUDGET", "step_ms=": "expected NAME=BUDGET", "stage:=10%": "expected NAME=BUDGET",
        "step_m=5%": r"did you mean step_ms\?", "step_ms=2GiB": "--limit step_ms: got '2GiB'",
        "peak_bytes=20ms": "--limit peak_bytes: got '20ms'", "stage:batch=1GiB": "--limit stage:batch: got '1GiB'",
        "step_ms=0ms": "expected a larger limit",
    }.items()),
    *((said, values.step, (text,)) for text, said in {
        "counted:a.py:fn": "expected none, recorded:profile.json, simulate:12ms, jax:file.py:step, keras:",
        "sim:12": r"— did you mean simulate:12\?", "12ms": r"— did you mean simulate:12ms\?",
        "12": r"— did you mean simulate:12ms\?", "none,dispatch=2": "without a step",
        "simulate:12ms,dispatch=0": "expected sync or a number",
    }.items()),
)  # fmt: skip


@pytest.mark.parametrize(("said", "read", "texts"), REFUSED)
def test_what_is_no_value_is_refused(said: str, read: Callable[[str], object], texts: tuple[str, ...]) -> None:
    for text in texts:
        with pytest.raises(UsageError, match=said):
            read(text)


def test_steps() -> None:
    assert values.step(None) is None
    for text, kind, dispatch in (
        ("none", "none", None),
        ("simulate:12ms", "simulate", None),
        ("simulate:12ms,dispatch=2", "simulate", 2),
        ("simulate:12ms, dispatch=sync", "simulate", "sync"),
        ("python:f.py:fn,dispatch=3", "python", 3),
    ):
        assert (found := values.step(text)) is not None
        assert (found.kind, found.dispatch) == (kind, dispatch)


def test_limits() -> None:
    found = gate.limits(["step_ms=5%", "peak_bytes=2GiB", "wait_ms=0ms", "stage:a=b=10%", "idle_share=warn"])
    assert {name: (one.change, one.limit, one.level) for name, one in found.items() if one is not None} == {
        "step_ms": (0.05, None, "error"),
        "peak_bytes": (None, 2 * 1024**3, "error"),
        "wait_ms": (None, 0.0, "error"),
        "stages.a=b.time_ms": (0.1, None, "error"),
        "idle_share": (None, None, "warn"),
    }
    for name in ("step_ms", "stage:decode"):
        with pytest.raises(UsageError, match=f"{name} has two budgets"):
            gate.limits([f"{name}=5%", f"{name}=500%"])


def planned(*out: str, **options: object) -> Outputs:
    return plan_outputs(RunOptions(target="a.yaml", out=list(out), **options), "run")  # type: ignore[arg-type]


def test_formats_and_outputs(tmp_path: Path) -> None:
    stdouts = [planned(**one).stdout for one in ({}, {"json": True}, {"format": "json", "json": True})]
    assert stdouts == ["text", "json", "json"]
    with pytest.raises(UsageError, match="expected text, json, github, md, html or sarif"):
        planned(format="jsno")
    for name in ("a.docx", "a.xml", "a.jsonl", "a"):
        with pytest.raises(UsageError, match=r"unknown output format|has no extension"):
            planned(str(tmp_path / name))
    names = [tmp_path / "a.txt", tmp_path / "b.json", tmp_path / "c.json"]
    found = planned("-", *map(str, names))
    assert found.files == [(names[0], "text"), (names[1], "json"), (names[2], "json")]
    assert found.profile == names[1]


def test_a_report_as_it_was_written_is_written_over_and_nothing_else_is(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("report.md", "report.html", "report.txt", "notes.md", "package.json")]
    notes, page, *others = files
    outputs = Outputs(None, [(page, "html"), (notes, "md"), (files[2], "text")])
    write_texts(lambda kind, _style, to_file: f"a report as {kind}, to a file: {to_file}\n", outputs, None)
    assert planned(str(page), str(notes)).files == [(page, "html"), (notes, "md")]
    notes.write_text(f"{notes.read_text()}My own words.\n")
    files[3].write_text("Saved  x.json\n\n<!-- pipeprof -->\n")
    files[4].write_text('{"tool": {"name": "pipeprof"}, "dependencies": {}}')
    for file in (notes, *others):
        with pytest.raises(UsageError, match="use --force to overwrite it"):
            planned(str(file))
        assert planned(str(file), force=True).files[0][0] == file
