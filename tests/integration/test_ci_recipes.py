"""The recipes for CI in the documentation: their lines, run as the CI system runs them, with a gate that is a stub."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "pipeprof-gate" / "action.yml"
STUB = """#!/bin/bash
printf '%s\\n' "$@" > arguments
printf '%s' "$PIPEPROF_CACHE_DIR" > cache_folder
git rev-parse --verify --quiet "${4#git:}^{commit}" > resolved
for file in gate.md gate.xml; do echo report > "$file"; done
exit CODE
"""


def recipe(title: str) -> dict[str, Any]:
    """The YAML after a title in the documentation."""
    text = (ROOT / "docs" / "compare.md").read_text()
    found = re.search(rf"^{title}.*?^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return dict(yaml.safe_load(found[1]))


def git(folder: Path, *arguments: str) -> str:
    user = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A merge request as a runner has it: its own commit alone, without the branch that it goes to."""
    origin, work = tmp_path / "origin", tmp_path / "work"
    origin.mkdir()
    work.mkdir()
    git(origin, "init", "-q")
    (origin / "spec.yaml").write_text("version: 1\n")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "first")
    git(origin, "checkout", "-qb", "feature")
    git(origin, "commit", "-qm", "second", "--allow-empty")
    git(work, "init", "-q")
    git(work, "remote", "add", "origin", str(origin))
    git(work, "fetch", "-q", "origin", "+refs/heads/feature:refs/pipelines/1")
    git(work, "checkout", "-q", "refs/pipelines/1")
    return work


@pytest.mark.parametrize("code", [0, 3, 4, 5])
def test_gitlab(code: int, checkout: Path, tmp_path: Path) -> None:
    (job,) = recipe("GitLab").values()
    stub = tmp_path / "pipeprof"
    stub.write_text(STUB.replace("CODE", str(code)))
    stub.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        **job["variables"],
    }
    script = "\n".join(job["script"])
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=checkout, env=environment, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr
    words = (checkout / "arguments").read_text().splitlines()
    assert words[:4] == ["gate", "spec.yaml", "--against", "git:origin/main"]
    # The runner's checkout does not have the branch: the recipe's own line fetched it.
    assert (checkout / "resolved").read_text().strip() == git(tmp_path / "origin", "rev-parse", "main")
    assert job["allow_failure"] == {"exit_codes": [4]}
    written = {words[place + 1] for place, word in enumerate(words) if word == "--out"}
    artifacts = job["artifacts"]
    assert {*artifacts["paths"], *artifacts["reports"].values()} == written
    assert all((checkout / name).exists() for name in written)
    assert artifacts["when"] == "always"
    (cached,) = job["cache"]["paths"]
    assert (checkout / "cache_folder").read_text() == str(checkout / cached)


def test_every_option_of_the_recipes_exists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pipeprof.cli.main import invoke

    monkeypatch.chdir(tmp_path)
    (job,) = recipe("GitLab").values()
    (command,) = [shlex.split(line) for line in job["script"] if line.startswith("pipeprof ")]
    given = yaml.safe_load(ACTION.read_text())["inputs"]["options"]["default"]
    for words in (command[1:], ["gate", "spec.yaml", "--against", "git:main", *shlex.split(given)]):
        assert invoke(words) == 2
        # The options are read first: what is wrong is that there is no such spec here.
        assert "spec.yaml: no such file" in capsys.readouterr().err


def test_github() -> None:
    (job,) = recipe("GitHub Actions")["jobs"].values()
    steps = {step["uses"].partition("@")[0]: step.get("with", {}) for step in job["steps"]}
    inputs = yaml.safe_load(ACTION.read_text())["inputs"]
    own = steps["./.github/actions/pipeprof-gate"]
    assert set(own) <= set(inputs)
    assert {name for name, given in inputs.items() if given.get("required")} <= set(own)
    assert own["against"] == "git:origin/${{ github.base_ref }}"
    # The base commit is there without a further fetch.
    assert steps["actions/checkout"]["fetch-depth"] == 0
    assert (ROOT / own.get("using", "") / ".github" / "actions" / "pipeprof-gate" / "action.yml").is_file()
    assert job["permissions"] == {"contents": "read"}


def test_the_cached_folder_is_the_one_that_pipeprof_uses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pipeprof.pipelines.data.folders import locate

    (job,) = recipe("GitHub Actions")["jobs"].values()
    (cached,) = [step["with"]["path"] for step in job["steps"] if step["uses"].startswith("actions/cache@")]
    for name in ("PIPEPROF_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate().folder == Path(cached.replace("~", str(tmp_path)))
