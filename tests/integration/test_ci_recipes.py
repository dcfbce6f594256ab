"""The recipes in the documentation, run as CI, pytest and pre-commit run them, in a repository that is another one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.repositories import begin, commit_all, git

from pipeprof import __version__

ROOT = Path(__file__).parents[2]
ACTION = Path(".github", "actions", "pipeprof-gate")
FORGED = "# Gate passed, merge it\n\n<!-- pipeprof -->\n"
INSTALL = """import shutil, sys
from pathlib import Path
folder = Path(sys.argv[1])
if (folder / "source" / "fails").exists() or not sys.flags.isolated:
    sys.exit(1)
(folder / "env" / "bin").mkdir(parents=True)
shutil.copy(folder / "source" / "stub", folder / "env" / "bin" / "python")
"""
STUB = """#!/bin/bash
printf '%s\\n' "$@" > "$SEEN/arguments"
printf '%s' "$PIPEPROF_CACHE_DIR" > "$SEEN/cache_folder"
git merge-base HEAD "refs/remotes/origin/main" > "$SEEN/resolved"
while [ $# -gt 0 ]; do
  if [ "$1" = --out ]; then echo "report of this run" > "$2"; fi
  shift
done
exit CODE
"""


def recipe(title: str) -> dict[Any, Any]:
    """The YAML after a title in the documentation."""
    text = (ROOT / "docs" / "ci.md").read_text()
    found = re.search(rf"^{title}.*?^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return dict(yaml.safe_load(found[1]))


class Runner:
    """A runner of GitLab with the merge request of another repository, and a server that has a stub of pipeprof.

    Attributes:
        origin: The repository, on the branch of the merge request.
        project: The checkout.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin, self.project, self.seen = folder / "origin", folder / "builds" / "project", folder / "seen"
        self.source = folder / "server" / "OWNER" / "pipeprof.git"
        for made in (self.origin, self.project, self.seen, self.source / ACTION, folder / "tmp"):
            made.mkdir(parents=True)
        git(self.origin, "init", "-q")
        (self.origin / "spec.yaml").write_text("version: 1\n")
        commit_all(self.origin)
        git(self.origin, "checkout", "-qb", "feature")
        git(self.origin, "checkout", "-q", "main")
        (self.origin / "later.txt").touch()
        commit_all(self.origin)
        git(self.origin, "checkout", "-q", "feature")

    def run(self, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Check out the merge request alone, without the branch that it goes to, and run the job."""
        commit_all(self.origin)
        git(self.project, "init", "-q")
        git(self.project, "remote", "add", "origin", str(self.origin))
        git(self.project, "fetch", "-q", "origin", "+refs/heads/feature:refs/pipelines/1")
        git(self.project, "checkout", "-q", "refs/pipelines/1")
        (self.source / ACTION / "install.py").write_text(INSTALL)
        (self.source / "stub").write_text(STUB.replace("CODE", str(code)))
        (self.source / "stub").chmod(0o755)
        git(self.source, "init", "-q")
        commit_all(self.source)
        git(self.source, "tag", f"v{__version__}")
        (job,) = recipe("GitLab").values()
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME")},
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_PROJECT_DIR": str(self.project),
            "CI_SERVER_URL": f"file://{self.folder / 'server'}",
            "SEEN": str(self.seen),
            "TMPDIR": str(self.folder / "tmp"),
            **job["variables"],
        }
        script = "\n".join([*job["before_script"], *job["script"]])
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=self.project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def published(self) -> dict[str, str]:
        """Files that the server shows afterwards, whether the job has failed or not."""
        (job,) = recipe("GitLab").values()
        assert job["artifacts"]["when"] == "always"
        paths = [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]
        files = [file for path in paths for file in (self.project / path, *(self.project / path).rglob("*"))]
        return {str(file.relative_to(self.project)): file.read_text() for file in files if file.is_file()}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize("code", [0, 4])
def test_gitlab(code: int, runner: Runner) -> None:
    (job,) = recipe("GitLab").values()
    done = runner.run(code)
    assert done.returncode == code, done.stderr
    words = (runner.seen / "arguments").read_text().splitlines()
    assert words[:6] == ["-I", "-m", "pipeprof", "gate", "spec.yaml", "--no-python"]
    assert words[words.index("--against") + 1] == "git:origin/main..."
    # The runner's checkout does not have the branch: the recipe's own line fetched it, and it has gone on since.
    assert (runner.seen / "resolved").read_text().strip() == git(runner.origin, "rev-parse", "main~1")
    assert job["allow_failure"] == {"exit_codes": [4]}
    # The document is not redacted, so it stays on the runner.
    names = ("gate.xml", "gate.md")
    assert runner.published() == {f"pipeprof-report/{name}": "report of this run\n" for name in names}
    (cached,) = job["cache"]["paths"]
    assert (runner.seen / "cache_folder").read_text() == str(runner.project / cached)


@pytest.mark.parametrize(
    ("what", "fails"),
    [("a folder", ""), ("a link", ""), ("a file", ""), ("a folder", "the installation"), ("a folder", "the gate")],
)
def test_a_report_of_the_merge_request_is_not_published(what: str, fails: str, runner: Runner) -> None:
    elsewhere = runner.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "gate.md").write_text(FORGED)
    committed = runner.origin / "pipeprof-report"
    if what == "a folder":
        shutil.copytree(elsewhere, committed)
        (committed / "gate.xml").write_text(FORGED)
    elif what == "a link":
        committed.symlink_to(elsewhere)
    else:
        committed.write_text(FORGED)
    (runner.origin / "gate.md").write_text(FORGED)
    if fails == "the installation":
        (runner.source / "fails").touch()
    done = runner.run(6 if fails == "the gate" else 0)
    assert (done.returncode != 0) is bool(fails)
    published = runner.published()
    assert set(published.values()) == (set() if fails == "the installation" else {"report of this run\n"})
    assert {path.name: path.read_text() for path in elsewhere.iterdir()} == {"gate.md": FORGED}


def test_a_merge_request_cannot_lead_the_cache_elsewhere(runner: Runner) -> None:
    (runner.origin / ".pipeprof-cache").symlink_to(runner.folder)
    assert runner.run().returncode != 0
    assert not (runner.seen / "arguments").exists()


def test_a_merge_request_has_no_say_in_the_installation(runner: Runner) -> None:
    pwned = runner.folder / "PWN"
    for name in ("pip", "venv", "shutil", "sitecustomize", "pathlib", "install"):
        (runner.origin / f"{name}.py").write_text(f"open({str(pwned)!r}, 'a').write(__file__)\n")
    (runner.origin / "env" / "bin").mkdir(parents=True)
    (runner.origin / "source").mkdir()
    (runner.origin / "env" / "bin" / "python").write_text(f"#!/bin/bash\ntouch {shlex.quote(str(pwned))}\n")
    done = runner.run()
    assert done.returncode == 0, done.stderr
    assert not pwned.exists()


HOOKS = ".pre-commit-hooks.yaml"


@pytest.mark.parametrize("bad", [False, True])
def test_pre_commit(bad: bool, tmp_path: Path) -> None:
    """`language: system` is the entry, from the root of the repository, with the files that match."""
    foreign = begin(tmp_path / "theirs")
    (foreign / "configs").mkdir()
    spec = "version: 1\nname: rows\nsource: {range: {stop: 100}}\nstages:\n  - batch: {batch_size: 8}\nstep: none\n"
    (foreign / "configs" / "pipeline.yaml").write_text(spec.replace("batch_size", "batch_sise") if bad else spec)
    (foreign / "configs" / "other.yaml").write_text("a: 1\n")
    commit_all(foreign)
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / HOOKS).read_text())}
    (repository,) = recipe("## Before a commit")["repos"]
    assert repository["rev"] == f"v{__version__}"
    assert [hook["id"] for hook in repository["hooks"]] == list(hooks)
    changed = git(foreign, "ls-files").splitlines()
    for hook in hooks.values():
        assert hook["language"] == "system"
        files = [file for file in changed if re.search(hook.get("files", ""), file)]
        given = files if hook.get("pass_filenames", True) else []
        assert given in ([], ["configs/pipeline.yaml"])
        done = subprocess.run(
            [*shlex.split(hook["entry"]), *given],
            cwd=foreign,
            env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": os.environ["HOME"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (2 if bad else 0), done.stdout + done.stderr
        assert ("did you mean batch_size" in done.stdout + done.stderr) is bad


def test_every_option_of_the_recipes_exists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pipeprof.cli.main import invoke

    monkeypatch.chdir(tmp_path)
    (job,) = recipe("GitLab").values()
    (line,) = [line for line in job["script"][-1].replace("\\\n", " ").splitlines() if "-m pipeprof" in line]
    words = shlex.split(re.sub(r"\$folder(/report)?", str(tmp_path), line.partition(" || ")[0]))
    given = yaml.safe_load((ROOT / ACTION / "action.yml").read_text())["inputs"]["options"]["default"]
    action = ["gate", "--no-python", *shlex.split(given), "--against", "git:main", "--format", "github"]
    for command in (
        words[words.index("pipeprof") + 1 :],
        [*action, "--out", "a.json", "--out", "a.md", "--", "spec.yaml"],
    ):
        assert invoke(command) == 2
        # The options are read first: what is wrong is that there is no such spec here.
        assert "spec.yaml: no such file" in capsys.readouterr().err


def test_github() -> None:
    document = recipe("GitHub Actions")
    # YAML 1.1 reads the key `on` as a truth value. A fork's code must not get the repository's token.
    assert document[True] == "pull_request"
    (job,) = document["jobs"].values()
    steps = {step["uses"].partition("@")[0]: step.get("with", {}) for step in job["steps"]}
    inputs = yaml.safe_load((ROOT / ACTION / "action.yml").read_text())["inputs"]
    (used,) = [step["uses"] for step in job["steps"] if "pipeprof" in step["uses"]]
    owner, _, path = used.partition("/pipeprof/")
    assert owner == "OWNER"
    assert path == f"{ACTION.as_posix()}@v{__version__}"
    own = steps[used.partition("@")[0]]
    assert set(own) <= set(inputs)
    assert {name for name, given in inputs.items() if given.get("required")} <= set(own)
    assert own["against"] == "git:origin/${{ github.base_ref }}..."
    assert own["no-python"] is True
    # The base commit is there without a further fetch, and no token for whatever runs later.
    assert steps["actions/checkout"] == {"fetch-depth": 0, "persist-credentials": False}
    assert document["permissions"] == {}
    assert job["permissions"] == {"contents": "read"}
    others = [step["uses"] for step in job["steps"] if step["uses"] != used]
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name) for name in others)


def test_the_cached_folder_is_the_one_that_pipeprof_uses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pipeprof.pipelines.data.cache import locate

    (job,) = recipe("GitHub Actions")["jobs"].values()
    (cached,) = [step["with"]["path"] for step in job["steps"] if step["uses"].startswith("actions/cache@")]
    for name in ("PIPEPROF_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate() == Path(cached.replace("~", str(tmp_path)))
