"""In which formats reports are redacted, and what a command prints of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.profiles.document.store import encode
from pipeprof.profiles.redaction.known import HIDDEN
from tests.unit.cli.reports import Pipeprof, Recorded


@pytest.fixture
def hostile(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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


def test_formats_for_others_are_redacted(hostile: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "s3cr3t-of-mine")
    for words, said in {
        "text": True, "json": True, "md": False, "html": False, "sarif": False, "text --redact": False,
        "json --redact": False, "md --no-redact": True, "html --no-redact": True,
    }.items():  # fmt: skip
        found = pipeprof("show", hostile, "--format", *words.split())
        assert found.code == 0, found.err
        assert [word in found.out for word in ("machine-9", "grace")] == [said, said], words
        assert said or "s3cr3t-of-mine" not in found.out
    names = {"a.json": True, "a.md": False, "a.html": False, "a.sarif": False, "a.txt": True}
    for _ in range(2):
        # Each file is redacted by itself; the second time it is written over the report of the first.
        Path("a.txt").unlink(missing_ok=True)
        done = pipeprof("show", hostile, *(word for name in names for word in ("--out", name)))
        assert (done.code, "pipeprof: wrote a.json, a.md, " in done.err) == (0, True)
        assert {name: "machine-9" in Path(name).read_text() for name in names} == names


BUCKET = "projectx-9931"
SPEC = """\
version: 1
source: {TextLineDataset: {filenames: "${INTERNAL_BUCKET}/x.txt"}}
step: none
"""


def test_values_of_env_in_errors_of_check(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERNAL_BUCKET", BUCKET)
    for flags, said in {
        "--format github": False, "--format sarif": False, "--redact": False, "--json --redact": False,
        "--out check.sarif --redact": False, "": True, "--format github --no-redact": True,
    }.items():  # fmt: skip
        Path("v.yaml").write_text(SPEC)
        found = pipeprof("check", "v.yaml", "--env", *flags.split())
        texts = "".join([found.out, found.err, *(path.read_text() for path in Path().glob("*.sarif"))])
        assert (found.code, "no such file" in texts, BUCKET in texts) == (2, True, said), flags
        # Another command of the same process starts anew.
        Path("v.yaml").write_text(SPEC.replace("${INTERNAL_BUCKET}", BUCKET))
        assert BUCKET in pipeprof("check", "v.yaml", "--redact").out
        Path("check.sarif").unlink(missing_ok=True)


def test_values_of_env_in_reports_of_check_and_of_run(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERNAL_BUCKET", BUCKET)
    monkeypatch.setenv("STAGE_NAME", "acme-decoder")
    Path("v.yaml").write_text(SPEC)
    failed = pipeprof("run", "v.yaml", "--env", "--redact")
    assert (failed.code, BUCKET in failed.err, HIDDEN in failed.err) == (2, False, True)
    assert BUCKET in pipeprof("run", "v.yaml", "--env").err
    with monkeypatch.context() as patch:
        patch.setenv("PIPEPROF_RUN_REDACT", "1")
        assert BUCKET not in pipeprof("run", "v.yaml", "--env").err
        assert BUCKET in pipeprof("run", "v.yaml", "--env", "--no-redact").err
    Path(BUCKET).mkdir()
    Path(BUCKET, "x.txt").write_text("a\n")
    stage = 'stages: [{batch: {batch_size: 2, name: "${STAGE_NAME}"}}]\nstep:'
    Path("v.yaml").write_text(SPEC.replace("step:", stage))
    for flags, said in {"": True, "--redact": False, "--redact --json": False, "--format github": False}.items():
        found = pipeprof("check", "v.yaml", "--env", *flags.split())
        assert (found.code, "acme-decoder" in found.out) == (0, said), found.err
