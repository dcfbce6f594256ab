"""The step of the action for GitHub, run as GitHub runs it, with a gate that ends in each way."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ACTION = Path(__file__).parents[2] / ".github" / "actions" / "pipeprof-gate" / "action.yml"


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (3, 3), (4, 0), (5, 5), (6, 6)])
def test_only_an_inconclusive_gate_passes_with_a_warning(tmp_path: Path, code: int, ends: int) -> None:
    (step,) = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    assert set(step["env"]) == {"TARGET", "AGAINST", "OPTIONS"}
    stub = tmp_path / "pipeprof"
    stub.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > arguments\necho "# report" > gate.md\nexit {code}\n')
    stub.chmod(0o755)
    summary = tmp_path / "summary.md"
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "TARGET": "a spec.yaml",
        "AGAINST": "git:origin/main",
        "OPTIONS": "--max-time 600 --max-pairs 5",
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == ends
    assert ("::warning" in done.stdout) is (code == 4)
    assert summary.read_text() == "# report\n"
    assert (tmp_path / "arguments").read_text().splitlines() == [
        *["gate", "a spec.yaml", "--against", "git:origin/main", "--max-time", "600", "--max-pairs", "5"],
        *["--format", "github", "--out", "gate.md"],
    ]
