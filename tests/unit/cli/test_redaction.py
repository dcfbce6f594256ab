"""In which formats reports are redacted, and what a command prints of the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.profiles.document.store import encode
from pipeprof.profiles.redaction.forms import HIDDEN

Pipeprof = Callable[..., Any]


@pytest.fixture
def hostile(recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved profile that says what it should not."""
    monkeypatch.chdir(tmp_path)
    profile = recorded("input-bound")
    profile.host.name = "machine-9"
    profile.warnings[:] = []
    profile.output = "on machine-9 in /home/grace/secret/place"
    profile.verdict.headline = "Input-bound on machine-9: /home/grace/secret/place, opened with s3cr3t-of-mine"
    path = tmp_path / "profile.json"
    path.write_bytes(encode(profile))
    return path


@pytest.mark.parametrize(
    ("form", "flags", "shown"),
    [
        ("text", (), True),
        ("json", (), True),
        ("md", (), False),
        ("html", (), False),
        ("sarif", (), False),
        ("text", ("--redact",), False),
        ("json", ("--redact",), False),
        ("md", ("--no-redact",), True),
        ("html", ("--no-redact",), True),
    ],
)
def test_formats_for_others_are_redacted_unless_asked(
    form: str, flags: tuple[str, ...], shown: bool, hostile: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "s3cr3t-of-mine")
    found = pipeprof("show", hostile, "--format", form, *flags)
    assert found.code == 0, found.err
    assert [word in found.out for word in ("machine-9", "grace")] == [shown, shown]
    assert shown or "s3cr3t-of-mine" not in found.out


def test_each_file_of_one_command_is_redacted_by_itself(hostile: Path, pipeprof: Pipeprof, tmp_path: Path) -> None:
    names = ("a.json", "a.md", "a.html", "a.sarif", "a.txt")
    for _ in range(2):
        # The second time over the reports of the first.
        found = pipeprof("show", hostile, *(word for name in names for word in ("--out", name)))
        assert found.code == 0, found.err
        assert ["machine-9" in (tmp_path / name).read_text() for name in names] == [True, False, False, False, True]
    json.loads((tmp_path / "a.sarif").read_text())


BUCKET = "projectx-9931"
SPEC = """\
version: 1
source: {TextLineDataset: {filenames: "${INTERNAL_BUCKET}/x.txt"}}
step: none
"""


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (("--format", "github"), False),
        (("--format", "sarif"), False),
        (("--redact",), False),
        (("--json", "--redact"), False),
        (("--out", "check.sarif", "--redact"), False),
        ((), True),
        (("--format", "github", "--no-redact"), True),
    ],
)
def test_values_of_env_in_errors_of_check(
    flags: tuple[str, ...], shown: bool, pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERNAL_BUCKET", BUCKET)
    (tmp_path / "v.yaml").write_text(SPEC)
    found = pipeprof("check", "v.yaml", "--env", *flags)
    assert found.code == 2
    files = "".join(path.read_text() for path in tmp_path.glob("*.sarif"))
    assert "no such file" in found.out + files
    assert (BUCKET in found.out + found.err + files) is shown
    # Another command of the same process starts anew.
    (tmp_path / "v.yaml").write_text(SPEC.replace("${INTERNAL_BUCKET}", BUCKET))
    assert BUCKET in pipeprof("check", "v.yaml", "--redact").out


def test_values_of_env_in_a_report_of_check_and_in_errors_of_run(
    pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERNAL_BUCKET", BUCKET)
    (tmp_path / "v.yaml").write_text(SPEC)
    failed = pipeprof("run", "v.yaml", "--env", "--redact")
    assert (failed.code, BUCKET in failed.err, HIDDEN in failed.err) == (2, False, True)
    assert BUCKET in pipeprof("run", "v.yaml", "--env").err
    (tmp_path / BUCKET).mkdir()
    (tmp_path / BUCKET / "x.txt").write_text("a\n")
    monkeypatch.setenv("STAGE_NAME", "acme-decoder")
    (tmp_path / "v.yaml").write_text(
        SPEC.replace("step:", 'stages: [{batch: {batch_size: 2, name: "${STAGE_NAME}"}}]\nstep:')
    )
    assert "acme-decoder" in pipeprof("check", "v.yaml", "--env").out
    for flags in (("--redact",), ("--redact", "--json"), ("--format", "github"), ("--format", "sarif")):
        found = pipeprof("check", "v.yaml", "--env", *flags)
        assert found.code == 0, found.out + found.err
        assert "acme-decoder" not in found.out
