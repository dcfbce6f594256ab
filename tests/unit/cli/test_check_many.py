"""``check`` of many targets and folders: what is checked, how it is shown, and which exit code it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.cli.targets.find import find_targets, is_spec
from tests.unit.cli.test_main import Pipeprof

SPEC = """version: 1
source: {range: {stop: 100}}
stages:
  - batch: {batch_size: 8}
  - prefetch: {buffer_size: AUTOTUNE}
"""
WRONG = "version: 1\nsource: {rnge: 3}\n"
SLOW = """version: 1
source: {range: {stop: 100}}
stages:
  - shuffle: {buffer_size: 100}
  - cache:
  - batch: {batch_size: 8}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "a.yaml": SPEC,
        "specs/b.yml": SPEC,
        "specs/deep/c.yaml": f"# c\n{SPEC}",
        "compose.yaml": "version: 1\nservices: {}\n",
        ".hidden/d.yaml": SPEC,
        "node_modules/e.yaml": SPEC,
        "env/pyvenv.cfg": "",
        "env/f.yaml": SPEC,
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def test_a_folder_stands_for_the_specs_below_it() -> None:
    assert find_targets(["."]) == (["a.yaml", "specs/b.yml", "specs/deep/c.yaml"], 1)
    assert find_targets(["specs", "a.yaml", "specs/b.yml"]) == (["specs/b.yml", "specs/deep/c.yaml", "a.yaml"], 0)
    assert find_targets(["train.py:make", "missing.yaml"]) == (["train.py:make", "missing.yaml"], 0)
    Path("empty").mkdir()
    assert find_targets(["a.yaml", "empty", ""]) == (["a.yaml", "empty", ""], 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nsorce: {range: {stop: 9}}\n", True),
        ("version: 1\nstep: none\n", True),
        ("verison: 1\nsource: {range: {stop: 9}}\nstages: []\n", True),
        ("version: 2\nsource: {range: {stop: 9}}\nstages: []\n", True),
        ("version: 1\nservices: {}\n", False),
        ("version: 1\nhandlers: {}\nroot: {}\n", False),
        ("version: 2\nsources: []\n", False),
        ("stages: [build]\nbuild: {script: make}\n", False),
    ],
)
def test_a_spec_with_a_misspelt_key_is_checked_too(text: str, expected: bool) -> None:
    Path("broken.yaml").write_text(text)
    assert is_spec(Path("broken.yaml")) is expected


def test_a_misspelt_source_below_a_folder_is_an_error(pipeprof: Pipeprof) -> None:
    Path("d1").mkdir()
    Path("d1/broken.yaml").write_text("version: 1\nsorce: {range: {stop: 9}}\n")
    found = pipeprof("check", "d1", "--fail-on", "warning")
    assert found.code == 2
    assert "unknown key `sorce`" in found.out


def test_what_is_no_spec_is_counted(pipeprof: Pipeprof) -> None:
    Path("d1").mkdir()
    Path("d1/compose.yaml").write_text("version: 1\nservices: {}\n")
    found = pipeprof("check", "d1")
    assert found.code == 2
    assert "note: 1 YAML file is no spec below d1" in found.err


def test_each_target_has_a_line_and_the_worst_one_the_exit_code(pipeprof: Pipeprof) -> None:
    right = pipeprof("check", ".")
    assert (right.code, right.err) == (0, "")
    assert right.out == (
        "a.yaml: no errors\nspecs/b.yml: no errors\nspecs/deep/c.yaml: no errors\nChecked 3 targets: no errors; "
        "1 YAML file is no spec.\n"
    )
    Path("wrong.yaml").write_text(WRONG)
    wrong = pipeprof("check", "a.yaml", "wrong.yaml", "missing.yaml")
    assert wrong.code == 2
    assert "wrong.yaml:2:10: error[unknown-source]" in wrong.out
    assert "\nmissing.yaml: no such file" in wrong.out
    Path("empty").mkdir()
    assert "\nempty is a folder: expected" in pipeprof("check", "a.yaml", "empty").out
    assert wrong.out.endswith("Checked 3 targets: 2 with errors.\n")


def test_findings_of_several_targets_have_a_line_each(pipeprof: Pipeprof) -> None:
    Path("slow.yaml").write_text(SLOW)
    found = pipeprof("check", "a.yaml", "slow.yaml")
    assert found.code == 0
    assert "slow.yaml: 1 finding\n  slow.yaml:5: cache-after-shuffle: Cache before shuffling\n" in found.out
    assert pipeprof("check", "a.yaml", "slow.yaml", "--fail-on", "warning").code == 3
    Path("wrong.yaml").write_text(WRONG)
    assert pipeprof("check", "slow.yaml", "wrong.yaml", "--fail-on", "warning").code == 2


def test_annotations_of_several_targets_and_no_other_documents(pipeprof: Pipeprof) -> None:
    Path("wrong.yaml").write_text(WRONG)
    found = pipeprof("check", ".", "--format", "github")
    assert found.code == 2
    assert "::error file=wrong.yaml,line=2" in found.out
    assert "Checked" not in found.out
    for options in (["--json"], ["--out", "x.sarif"]):
        refused = pipeprof("check", ".", *options)
        assert (refused.code, refused.out) == (2, "")
        assert "name one for the rest" in refused.err


def test_a_folder_with_one_spec_is_checked_as_several_are(pipeprof: Pipeprof) -> None:
    assert pipeprof("check", "specs/deep").out == "specs/deep/c.yaml: no errors\nChecked 1 target: no errors.\n"
