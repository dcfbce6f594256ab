"""The steps of a composite action, run from its `action.yml` as GitHub runs them, in another repository."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")


@dataclass(frozen=True)
class Ended:
    """Exit code of the last step, what the steps printed, what is put on the page of the job, and outputs as read."""

    code: int
    log: str
    summary: str
    outputs: dict[str, str]


def run_action(
    action: Path, inputs: Mapping[str, str], workspace: Path, runner: Path, environment: Mapping[str, str]
) -> Ended:
    """Run the steps up to the first that fails, as in a runner's folder, whose folder for temporary files is `temp`."""
    document = yaml.safe_load((action / "action.yml").read_text())
    assert document["runs"]["using"] == "composite"
    values = {f"inputs.{name}": given.get("default", "") for name, given in document["inputs"].items()}
    assert {f"inputs.{name}" for name in inputs} <= set(values)
    values |= {f"inputs.{name}": value for name, value in inputs.items()}
    (runner / "temp").mkdir(parents=True, exist_ok=True)
    summary = runner / "summary"
    code, log = 0, ""
    for step in document["runs"]["steps"]:
        assert step["shell"] == "bash"
        # What an input says becomes a value, never a part of a script.
        assert not _EXPRESSION.search(step["run"])
        output = runner / f"output-{step['id']}"
        output.touch()
        own = {name: _evaluated(text, values) for name, text in step.get("env", {}).items()}
        own |= {
            "GITHUB_ACTION_PATH": str(action),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(runner / "temp"),
        }
        script = runner / f"{step['id']}.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=workspace,
            env={**environment, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
        code, log = done.returncode, log + done.stdout
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            values[f"steps.{step['id']}.outputs.{name}"] = value
        if code:
            break
    outputs = {name: _evaluated(given["value"], values) for name, given in document["outputs"].items()}
    return Ended(code, log, summary.read_text() if summary.exists() else "", outputs)


def _evaluated(text: str, values: Mapping[str, str]) -> str:
    """Text with its expressions replaced: names, and `||` between names and literals."""

    def value(found: re.Match[str]) -> str:
        for part in found[1].split(" || "):
            literal = part.startswith("'")
            assert literal or part.startswith(("inputs.", "steps.")), part
            if each := part.strip("'") if literal else values.get(part, ""):
                return each
        return ""

    return _EXPRESSION.sub(value, text)
