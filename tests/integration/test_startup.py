"""What a command costs before it does anything: which modules are loaded, seen in the process itself."""

import json
import subprocess
import sys
from pathlib import Path

# Written when the process ends, however the command ends it.
RECORD = """\
import atexit, json, sys
from pathlib import Path
out = Path(sys.argv[1])
atexit.register(lambda: out.write_text(json.dumps(sorted(sys.modules))))
"""
PATIENCE = 300
"""Seconds for what takes one or two; other processes may use the machine."""
OURS = "sys.argv = ['pipeprof', *sys.argv[2:]]\nfrom pipeprof.cli.main import main\nmain()\n"
FRAMEWORKS = {"tensorflow", "keras", "jax", "torch"}

SPEC = """\
version: 1
source:
  range: {stop: 100}
stages:
  - map: {ops: [{tf.cast: {dtype: float32}}]}
  - batch: {batch_size: 10}
"""


def loaded(code: str, *arguments: str, cwd: Path) -> tuple[set[str], subprocess.CompletedProcess[str]]:
    """Top-level names of the modules a process had loaded when it ended, and how it ended."""
    out = cwd / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", RECORD + code, out, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return {name.partition(".")[0] for name in json.loads(out.read_text(encoding="utf-8"))}, done


PROFILE = str(min((Path(__file__).parents[1] / "recorded" / "profiles").glob("*.json")))
# One after the other in a process.
COMMANDS = (
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["check", "--no-build", "spec.yaml"],
    ["check", "--no-build", "train.py:make"],
    ["check", "missing.yaml"],
    ["run", "missing.yaml"],
    ["rules", "prefetch-between"],
    ["schema", "profile"],
    ["show", PROFILE],
    ["data", "list"],
    ["doctor"],
    ["init", "--from", "texts"],
)
ALL = """\
from pipeprof.cli.main import invoke
WATCHED = ("numpy", "tensorflow", "keras", "jax", "torch")
for number, arguments in enumerate(json.loads(sys.argv[2])):
    code = invoke(arguments)
    print("ended:", json.dumps([number, code, [name for name in WATCHED if name in sys.modules]]), file=sys.stderr)
"""


def test_commands_that_need_no_tensorflow_do_not_load_it(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "train.py").write_text("import tensorflow\ndef make(): ...\n", encoding="utf-8")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.csv").write_text("x,y\n1,2\n3,4\n", encoding="utf-8")
    modules, done = loaded(ALL, json.dumps(COMMANDS), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ended = [json.loads(line[7:]) for line in done.stderr.splitlines() if line.startswith("ended: ")]
    for arguments, (_, code, seen) in zip(COMMANDS, ended, strict=True):
        assert code == (2 if "missing.yaml" in arguments else 0), done.stderr
        assert not seen, arguments
    assert not modules & FRAMEWORKS
    assert "pipeprof" in modules


def test_check_imports_only_what_the_spec_uses(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    top, done = loaded(OURS, "check", "--no-build", "spec.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not top & {"numpy", "psutil", *FRAMEWORKS}
    names = json.loads((tmp_path / "modules.json").read_text(encoding="utf-8"))
    of_a_run = ("cli.report.report", "profiles.harness", "profiles.worker", "profiles.host.run_family")
    assert not [name for name in names if any(part in name for part in of_a_run)], "what only a run needs"
    assert "pipeprof.pipelines.spec.load" in names
