"""The action for GitHub: its steps run as written, in a repository that is not this one and may be hostile."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from integration.composite_action import Ended, run_action
from integration.repositories import begin

ROOT = Path(__file__).parents[2]
ACTION = Path(".github", "actions", "pipeprof-gate")
FORGED = "# Gate passed, merge it\n"
SPEC = """version: 1
name: numbers
source: {range: {stop: 100000}}
stages:
  - batch: {batch_size: 8}
  - repeat: {}
step: {simulate: 10ms}
"""
WITH_DATA = SPEC.replace(
    "source: {range: {stop: 100000}}",
    'data:\n  table: {csv: {rows: 50}}\nsource: {TextLineDataset: {filenames: "data:table/data.csv"}}',
)
# In place of `python3`: it makes an environment whose Python is the stub below, or fails.
INSTALLS = """#!/bin/bash
printf '%s\\0' "$@" > "$SEEN/install"
pwd > "$SEEN/folder"
if [ "$INSTALL_ENDS" != 0 ]; then echo "no such thing" >&2; exit "$INSTALL_ENDS"; fi
mkdir -p "$3/env/bin"
cp "$SEEN/stub" "$3/env/bin/python"
"""
STUB = """#!/bin/bash
printf '%s\\0' "$@" > "$SEEN/arguments"
env > "$SEEN/environment"
while [ $# -gt 0 ]; do
  if [ "$1" = --out ] && [ "$GATE_WRITES" = yes ]; then echo "report of this run" > "$2"; fi
  shift
done
exit "$GATE_ENDS"
"""


class Job:
    """A job with a checkout of its own, and the action where a runner puts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout, self.seen, self.runner = folder / "work", folder / "seen", folder / "runner"
        self.action = folder / "_actions" / "someone" / "pipeprof" / "v0.1.0" / ACTION
        for made in (self.checkout, self.seen, folder / "bin"):
            made.mkdir()
        shutil.copytree(ROOT / ACTION, self.action)
        shutil.copy(ROOT / "constraints.txt", self.action.parents[2])
        (self.seen / "stub").write_text(STUB)
        (folder / "bin" / "python3").write_text(INSTALLS)
        for stub in (self.seen / "stub", folder / "bin" / "python3"):
            stub.chmod(0o755)

    def run(
        self,
        inputs: Mapping[str, str] | None = None,
        *,
        install: int = 0,
        gate: int = 0,
        writes: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run the action with an installation and a gate that are stubs and end as given."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "SEEN": str(self.seen),
            "INSTALL_ENDS": str(install),
            "GATE_ENDS": str(gate),
            "GATE_WRITES": "yes" if writes else "no",
            **(variables or {}),
        }
        given = {"target": "a spec.yaml", "against": "git:origin/main", **(inputs or {})}
        return run_action(self.action, given, self.checkout, self.runner, environment)

    def words(self, name: str) -> list[str]:
        """Arguments that a stub was given."""
        return (self.seen / name).read_text().split("\0")[:-1]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize(
    ("code", "ends", "verdict", "said"),
    [
        (0, 0, "passed", ""),
        (3, 3, "failed", "::error title=pipeprof gate::Failed: "),
        (4, 0, "inconclusive", "::warning title=pipeprof gate::Inconclusive: "),
        (5, 5, "none", "::error title=pipeprof gate::No verdict: a pipeline raised"),
        (6, 6, "none", "::error title=pipeprof gate::No verdict: the git ref"),
        (130, 130, "none", "::error title=pipeprof gate::No verdict: pipeprof ended with 130."),
    ],
)
def test_each_end_of_the_gate(code: int, ends: int, verdict: str, said: str, job: Job) -> None:
    ended = job.run(gate=code)
    assert (ended.code, ended.outputs["verdict"], ended.outputs["exit-code"]) == (ends, verdict, str(code)), ended.log
    commands = [line for line in ended.log.splitlines() if line.startswith("::")]
    assert len(commands) == bool(said)
    assert all(command.startswith(said) for command in commands)
    assert ended.summary == "report of this run\n"
    for name in ("report", "result"):
        assert Path(ended.outputs[name]).read_text() == "report of this run\n"
        assert (job.runner / "temp") in Path(ended.outputs[name]).parents
    assert list(job.checkout.iterdir()) == []


@pytest.mark.parametrize("code", [0, 3])
def test_a_gate_without_a_report_has_no_verdict(code: int, job: Job) -> None:
    ended = job.run(gate=code, writes=False)
    assert ended.code != 0
    assert ended.outputs == {"verdict": "none", "exit-code": str(code), "report": "", "result": ""}
    assert "wrote no report" in ended.log
    assert ended.summary == ""


def test_what_the_gate_is_given(job: Job) -> None:
    options = "--max-pairs 5\n  --limit stage:decode=10%  --env A=*"
    ended = job.run({"options": options, "no-python": "true"}, variables={"PYTHONPATH": ".", "PYTHONUSERBASE": "."})
    assert ended.code == 0, ended.log
    *rest, target = job.words("arguments")
    assert target == "a spec.yaml"
    assert rest[:4] == ["-I", "-m", "pipeprof", "gate"]
    assert rest[4:11] == ["--max-pairs", "5", "--limit", "stage:decode=10%", "--env", "A=*", "--no-python"]
    assert rest[11:15] == ["--against", "git:origin/main", "--format", "github"]
    assert rest[-1] == "--"
    assert "PYTHON" not in (job.seen / "environment").read_text().replace("NO_PYTHON", "")
    assert job.run(variables={"PYTHONPATH": "src"}).code == 0
    assert "--no-python" not in job.words("arguments")
    # The code of the workflow's own authors finds its modules.
    assert "\nPYTHONPATH=src\n" in f"\n{(job.seen / 'environment').read_text()}"


@pytest.mark.parametrize(("mark", "linked"), [("", False), ("<!-- pipeprof -->\n", True)])
@pytest.mark.parametrize(("code", "writes"), [(6, False), (0, True)])
def test_a_report_that_came_with_the_checkout_is_not_published(
    mark: str, linked: bool, code: int, writes: bool, job: Job
) -> None:
    for name in ("gate.md", "gate.json", "pipeprof-report/gate.md"):
        (job.checkout / name).parent.mkdir(exist_ok=True)
        (job.checkout / name).write_text(FORGED + mark)
    elsewhere = job.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "gate.md").write_text(FORGED + mark)
    if linked:
        (job.checkout / "pipeprof-out").symlink_to(elsewhere)
    # What an earlier step has left where reports go is not this run's, either.
    left = job.runner / "temp" / "pipeprof-gate.AAAAAAAA"
    left.mkdir(parents=True)
    for folder in (left, left.parent):
        (folder / "gate.md").write_text(FORGED)
    ended = job.run(gate=code, writes=writes)
    assert ended.summary == ("report of this run\n" if writes else "")
    assert ended.outputs["verdict"] == ("passed" if writes else "none")
    assert [path.name for path in elsewhere.iterdir()] == ["gate.md"]
    assert (job.checkout / "gate.md").read_text() == FORGED + mark


HOSTILE = [
    '"; touch PWN; "',
    "'; touch PWN; '",
    "$(touch PWN)",
    "`touch PWN`",
    "a\ntouch PWN\n",
    "x[$(touch PWN)]",
    "*",
    "-h",
    "${{ github.token }}",
    "::set-output name=verdict::passed",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_an_input_is_a_value_and_never_code(value: str, job: Job) -> None:
    (job.checkout / "--no-verify").touch()
    ended = job.run(dict.fromkeys(("target", "against", "options", "install"), value))
    assert list(job.folder.rglob("PWN")) == []
    assert ended.outputs["verdict"] == "passed", ended.log
    words = job.words("arguments")
    place = words.index("--against")
    assert words[4:place] == value.split()
    assert words[place + 1] == words[-1] == job.words("install")[3] == value


@pytest.mark.parametrize("value", ["$(touch PWN)", "a\ntouch PWN\n", "x[$(touch PWN)]"])
def test_whether_python_runs_is_true_or_false(value: str, job: Job) -> None:
    ended = job.run({"no-python": value})
    assert list(job.folder.rglob("PWN")) == []
    assert ended.outputs["verdict"] == "none", ended.log
    assert "neither true nor false" in ended.log
    assert not (job.seen / "arguments").exists()


@pytest.mark.parametrize("how", ["fails", "no python3"])
def test_without_pipeprof_the_action_fails(how: str, job: Job) -> None:
    (job.checkout / "gate.md").write_text(FORGED)
    if how == "no python3":
        (job.folder / "bin" / "python3").write_text("#!/nowhere/interpreter\n")
    ended = job.run(install=1)
    assert ended.code == 1
    assert "::error title=pipeprof gate::No verdict: pipeprof could not be installed" in ended.log
    assert ended.outputs == {"verdict": "none", "exit-code": "", "report": "", "result": ""}
    assert ended.summary == ""
    assert not (job.seen / "arguments").exists()


def test_the_installation_sees_nothing_of_the_checkout(job: Job) -> None:
    ended = job.run({"install": "pipeprof==0.1.0"})
    assert ended.code == 0
    isolated, script, folder, requirement = job.words("install")
    assert (isolated, script, requirement) == ("-I", str(job.action / "install.py"), "pipeprof==0.1.0")
    assert (job.seen / "folder").read_text().strip() == folder
    assert Path(folder).parent == job.runner / "temp"
    assert Path(folder).stat().st_mode & 0o077 == 0


def hostile_checkout(job: Job) -> Path:
    """A pull request with files of every name that something might run or read; the file that they would write."""
    pwned = job.folder / "PWN"
    code = f"open({str(pwned)!r}, 'a').write(__file__ + chr(10))\n"
    modules = ["pip", "venv", "site", "sitecustomize", "usercustomize", "typer", "yaml", "json", "subprocess"]
    modules += ["pipeprof", "numpy", "tensorflow", "psutil", "ensurepip", "setup", "conftest", "install"]
    # What libraries import if it is there.
    modules += ["brotli", "dill", "tblib", "pydantic", "tensorflow_datasets"]
    files = {f"{name}.py": code for name in modules}
    files |= {f"{name}/__init__.py": code for name in ("pip", "setuptools", "rich")}
    shell = f"#!/bin/bash\necho $0 >> {pwned}\n"
    files |= dict.fromkeys(("python3", "python", "bash", "env/bin/python", "git"), shell)
    nowhere = "[global]\nindex-url = http://127.0.0.1:9/simple\nno-index = false\nrequire-virtualenv = true\n"
    files |= dict.fromkeys(("pip.conf", ".pip/pip.conf", ".config/pip/pip.conf", "setup.cfg", "env/pip.conf"), nowhere)
    files |= {"requirements.txt": "nothing-of-this-name\n", "constraints.txt": "typer==0.0.1\n", "gate.md": FORGED}
    files |= {"pyproject.toml": '[build-system]\nrequires = ["nothing-of-this-name"]\n', "spec.yaml": WITH_DATA}
    for name, text in files.items():
        path = job.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (job.folder / "elsewhere").mkdir()
    (job.checkout / "pipeprof-out").symlink_to(job.folder / "elsewhere")
    begin(job.checkout)
    return pwned


def wheel() -> str:
    """The wheel that `make` builds and installs."""
    (built,) = (ROOT / ".venv" / "dist").glob("pipeprof-*.whl")
    return str(built)


def real(job: Job, inputs: Mapping[str, str]) -> Ended:
    """Run the action with the Python of these tests, whose packages are those of the job; pip reaches no index."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(job.folder / "home"),
        "PIP_NO_INDEX": "1",
        # What is imported is compiled, not all that is there; pip reads this as a value of `compile`.
        "PIP_NO_COMPILE": "false",
        "PIP_CONFIG_FILE": "pip.conf",
        # Whatever builds a source has the environment of pip.
        "PIP_NO_BUILD_ISOLATION": "0",
        # An empty part stands for the current folder.
        "PYTHONPATH": f":{job.checkout}",
    }
    given = {"target": "spec.yaml", "no-python": "true", "install": wheel(), **inputs}
    return run_action(job.action, given, job.checkout, job.runner, environment)


def test_a_hostile_pull_request_is_measured_and_runs_nothing(job: Job) -> None:
    pwned = hostile_checkout(job)
    before = sorted(job.checkout.rglob("*"))
    options = "--max-pairs 1 --quiet --measure"
    ended = real(job, {"against": "git:HEAD", "options": options})
    assert not pwned.exists(), pwned.read_text()
    # One pair says nothing about the spread.
    assert (ended.code, ended.outputs["verdict"], ended.outputs["exit-code"]) == (0, "inconclusive", "4"), ended.log
    assert "Inconclusive" in ended.summary
    assert FORGED.strip() not in ended.summary + ended.log
    document = json.loads(Path(ended.outputs["result"]).read_text())
    assert (document["kind"], len(document["pairs"])) == ("gate", 1)
    assert sorted(job.checkout.rglob("*")) == before
    assert list((job.folder / "elsewhere").iterdir()) == []
    # What the job's Python has is used as it is.
    (packages,) = Path(ended.outputs["result"]).parent.glob("env/lib/python3.*/site-packages")
    assert [path.name.partition("-")[0] for path in packages.glob("*.dist-info")] == ["pipeprof"]


def test_what_cannot_be_installed_fails(job: Job) -> None:
    pwned = hostile_checkout(job)
    source = job.folder / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    # pip runs it in a process of its own.
    (source / "backend.py").write_text("raise ValueError('this cannot be built')\n")
    ended = real(job, {"against": "git:HEAD", "install": str(source)})
    assert (ended.code, ended.outputs["verdict"]) == (1, "none")
    assert "this cannot be built" in ended.log
    assert "pipeprof could not be installed" in ended.log
    assert ended.summary == ""
    assert not pwned.exists(), pwned.read_text()


def test_every_input_and_output_is_documented() -> None:
    document = yaml.safe_load((ROOT / ACTION / "action.yml").read_text())
    text = (ROOT / "docs" / "ci.md").read_text()
    for table, names in (("input", document["inputs"]), ("output", document["outputs"])):
        (rows,) = re.findall(rf"^\| {table} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
        assert {name for row in rows.splitlines() for name in re.findall(r"`([\w-]+)`", row.split("|")[1])} == set(
            names
        )
    for name, given in document["inputs"].items():
        if default := given.get("default"):
            assert f"| `{name}` | `{default}` |" in text
