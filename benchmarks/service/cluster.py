"""A tf.data service of processes that a benchmark starts and ends, and the command that reads from it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
STARTED_SECONDS = 60
"""For a process to serve, on a busy machine."""
RUN_SECONDS = 120

Json = dict[str, Any]


def free_port() -> int:
    """A port at which nothing listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def environment() -> dict[str, str]:
    """That of all processes: no accelerator, no log of TensorFlow's, no lock between measurements."""
    return os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "PIPEPROF_NO_LOCK": "1"}


@dataclass
class Cluster:
    """A dispatcher and workers, each a process."""

    folder: Path
    address: str = ""
    dispatcher: psutil.Process | None = None
    workers: list[psutil.Process] = field(default_factory=list)
    _maker: subprocess.Popen[str] | None = None
    _count: int = 0

    def start(self, role: str, **given: object) -> psutil.Process:
        """Start a process of the service and wait until it serves.

        Args:
            given: See serve.py.
        """
        self._count += 1
        out = self.folder / f"{role}{self._count}"
        order = {"role": role, "out": str(out), "dispatcher": self.address, **given}
        process = psutil.Process(self._make(json.dumps(order)))
        if role == "worker":
            self.workers.append(process)
        end = time.monotonic() + STARTED_SECONDS
        while not out.exists():
            if not process.is_running() or time.monotonic() > end:
                raise RuntimeError(f"{role} did not start")
            time.sleep(0.02)
        if role == "dispatcher":
            self.address, self.dispatcher = out.read_text(), process
        return process

    def _make(self, order: str) -> int:
        """Have a process made; return its id."""
        if self._maker is None:
            self._maker = subprocess.Popen(
                [sys.executable, HERE / "serve.py"],
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        print(order, file=self._maker.stdin, flush=True)
        said = self._maker.stdout.readline()
        if not said:
            raise RuntimeError("the processes of the service cannot be started")
        return int(said)

    def end(self) -> None:
        """End all of them."""
        if self._maker is not None:
            # All of them end with it, also those that are stopped.
            self._maker.kill()
            self._maker.communicate()


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A service with some workers."""
    made = Cluster(folder)
    try:
        made.start("dispatcher")
        for _ in range(workers):
            made.start("worker")
        yield made
    finally:
        made.end()


def command(*words: str) -> list[str]:
    """A command of pipeprof."""
    return [sys.executable, "-m", "pipeprof", *words]


def run(
    folder: Path, words: Sequence[str], during: Callable[[], None] | None = None, *, at: str = "measure"
) -> tuple[int, Json, str]:
    """Run ``pipeprof run``; return its exit code, the saved profile, and what it printed.

    Args:
        during: Is called when the run has reached a phase.
        at: That phase.
    """
    out = folder / "profile.json"
    out.unlink(missing_ok=True)
    line = command("run", *words, "--no-verify", "--force", "--out", str(out))
    process = subprocess.Popen(
        line, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        if during is not None:
            wait_for(out, at, process)
            during()
        said = process.communicate(timeout=RUN_SECONDS)[0]
    finally:
        process.kill()
        process.wait()
    return process.returncode, json.loads(out.read_text()) if out.exists() else {}, said


def wait_for(out: Path, phase: str, process: subprocess.Popen[str]) -> None:
    """Wait until a run that goes on has reached a phase."""
    while process.poll() is None:
        if out.exists() and phase in [one["name"] for one in json.loads(out.read_text())["phases"]]:
            return
        time.sleep(0.05)
