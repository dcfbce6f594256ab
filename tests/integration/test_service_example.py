"""The commands of ``examples/service``: what Kubernetes and Slurm are told to run, run on loopback."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration import forked

from pipeprof.profiles.document.profile import Profile

EXAMPLE = Path(__file__).parents[2] / "examples" / "service"
AS_PROGRAM = """
import runpy, sys
sys.argv[0] = "dispatcher.py"
runpy.run_path("dispatcher.py", run_name="__main__")
"""
STUBS = {
    "scontrol": "printf 'node-0\\nnode-1\\nnode-2\\n'",
    "srun": 'while [[ $1 == --* ]]; do shift; done; printf "%s\\n" "$(printf "%q " "$@")" >> "$LOG"',
    # The script ends those that it has started: they are waited for first.
    "seq": 'until [[ $(wc -l < "$LOG") -ge 3 ]]; do command -p sleep 0.02; done; echo 1',
    "sleep": ":",
}
"""Programs of Slurm's, and what would take time, as far as the script needs them."""


def containers() -> Iterator[tuple[str, list[str]]]:
    """Name and command of each container in the manifests."""
    for document in yaml.safe_load_all((EXAMPLE / "kubernetes.yml").read_text()):
        pod: dict[str, Any] = document["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", ()):
            yield container["name"], container["command"]


KUBERNETES = dict(containers())


def slurms(folder: Path) -> list[list[str]]:
    """The commands that the script of Slurm runs on nodes."""
    (folder / "bin").mkdir()
    for name, text in STUBS.items():
        stub = folder / "bin" / name
        stub.write_text(f"#!/bin/bash\n{text}\n")
        stub.chmod(0o755)
    log = folder / "log"
    log.touch()
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LOG": str(log)}
    environment |= {"SLURM_JOB_NODELIST": "node-[0-2]", "SLURM_JOB_ID": "7"}
    subprocess.run(["bash", EXAMPLE / "service.sbatch"], cwd=folder, env=environment, check=True, timeout=300)
    return [shlex.split(line) for line in log.read_text().splitlines()]


def test_slurm_and_kubernetes_run_the_same(tmp_path: Path) -> None:
    commands = slurms(tmp_path)

    def plain(words: list[str]) -> list[str]:
        text = " ".join(words).replace("$(NAME).workers", "NODE").replace("--set stages.3.service=dispatcher:5000 ", "")
        text = re.sub(r"worker-\d\.workers|node-[12]", "NODE", text)
        return re.sub(rf"{re.escape(str(tmp_path))}/traces-7|/traces", "TRACES", text).split()

    found = [plain([word.replace("node-0", "dispatcher") for word in words]) for words in commands]
    assert sorted(found) == sorted(
        [plain(KUBERNETES["dispatcher"]), *[plain(KUBERNETES["worker"])] * 2, plain(KUBERNETES["run"])]
    )


def free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    return ports


def wait_for(port: int, process: Any) -> None:
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None if hasattr(process, "poll") else process.returncode is None
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "traces").mkdir()
    return tmp_path


def test_the_commands_of_the_manifests_work_together(folder: Path) -> None:
    """With one worker, at ports of this machine that are free."""
    dispatcher_port, port, trace_port = free_ports(3)
    here = {
        "dispatcher:5000": f"localhost:{dispatcher_port}",
        "$(NAME).workers:5001": f"localhost:{port}",
        "worker-0.workers:5002,worker-1.workers:5002": f"localhost:{trace_port}",
        "5000": str(dispatcher_port),
        "5001": str(port),
        "5002": str(trace_port),
    }

    def local(name: str) -> list[str]:
        return [here.get(word, word).replace("/traces", str(folder / "traces")) for word in KUBERNETES[name]]

    spec = folder / "pipeline.yaml"
    spec.write_text(spec.read_text().replace("dispatcher:5000", here["dispatcher:5000"]))
    with ExitStack() as ending:
        words = local("dispatcher")
        assert words[:2] == ["python", "dispatcher.py"]
        dispatcher = forked.start(words[2:], folder, AS_PROGRAM)
        ending.callback(dispatcher.communicate)
        ending.callback(dispatcher.send_signal, signal.SIGKILL)
        wait_for(dispatcher_port, dispatcher)
        words = local("worker")
        assert words[:2] == ["pipeprof", "worker"]
        command = [sys.executable, "-m", *words]
        with (folder / "worker.log").open("w") as log:
            worker = subprocess.Popen(command, cwd=folder, stderr=log, stdout=log)
        ending.callback(worker.wait)
        ending.callback(worker.kill)
        while "ready" not in (folder / "worker.log").read_text():
            assert worker.poll() is None, (folder / "worker.log").read_text()
            time.sleep(0.05)
        words = local("run")
        assert words[:2] == ["pipeprof", "run"]
        done = forked.run([*words[1:], "--no-lock", "--seconds", "0.5"], folder)
        assert done.returncode == 0, done.stdout + done.stderr
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    profile = Profile.model_validate(json.loads((folder / "traces" / "profile.json").read_text()))
    rows = {stage.op: stage.on_workers for stage in profile.stages or () if stage.on_workers is not None}
    assert (rows["map"].cpu_ms_per_batch or 0.0) > 0.0
    # With oneDNN, some processors have one of their own.
    assert {"MatMul", "MklMatMul"} & {op.op for op in rows["map"].ops or ()}
    service = next(stage.service for stage in profile.stages or () if stage.service is not None)
    assert [(one.traced, (one.cores or 0) > 0) for one in service.worker_list] == [(True, True)]
    said = (folder / "worker.log").read_text()
    assert f"opens port {port} (worker) and port {trace_port} (profiler) on all addresses" in said
    assert "without\n" in said
    assert f"--trace-workers localhost:{trace_port}" in said
