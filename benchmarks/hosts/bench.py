"""What each of three hosts reads: `pipeprof check --hosts 3` against three real processes of a strategy.

Usage: ``python benchmarks/hosts/bench.py --out FILE [--case NAME …]``. A case is a spec with the policies AUTO, FILE,
DATA and OFF. ``check`` works the numbers out from the stages, in one process and without TensorFlow. The truth are
three processes of ``MultiWorkerMirroredStrategy`` on loopback, which iterate the same pipeline in plain Python
(`truth.py`): records and steps are counted by them, and the kernel tells which files each of them opens, because each
has a folder of its own for each policy (inotify). A case holds if files, bytes of these files, records and steps are
equal on each host, and TensorFlow refuses what ``check`` says that it refuses.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from cases import CASES, HOSTS, POLICIES, Case, write
from suite import BROKEN, CHECK, HOLDS, Benchmark, main

SECONDS = 240
"""That three processes may take together; a collective operation that nobody answers waits for ever."""
FILE = "pipeline.py"
MAKES = "import pipeprof\n\n\ndef make_dataset():\n    return pipeprof.dataset({!r})\n"
_OPENED = 0x20
_EVENT = struct.Struct("iIII")
_POLICY = "options.experimental_distribute.auto_shard_policy"

Json = dict[str, Any]


class Watch:
    """The files of folders that anybody opens, as the kernel tells them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_NONBLOCK)
        self._folders = {
            libc.inotify_add_watch(self._file, os.fsencode(folder), _OPENED): number
            for number, folder in enumerate(folders)
        }

    def opened(self) -> list[set[str]]:
        """Names that were opened since the last question, by folder."""
        found: list[set[str]] = [set() for _ in self._folders]
        while True:
            try:
                data = os.read(self._file, 1 << 16)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                watch, _, _, length = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0").decode()
                if name:
                    found[self._folders[watch]].add(name)
                at += _EVENT.size + length

    def close(self) -> None:
        """End it."""
        os.close(self._file)


def check(spec: Path, policy: str, *arguments: str) -> str:
    """What ``pipeprof check`` prints of a spec with a policy."""
    command = [sys.executable, "-m", "pipeprof", "check", spec.name, "--set", f"{_POLICY}={policy}", *arguments]
    done = subprocess.run(command, cwd=spec.parent, check=True, capture_output=True, text=True)
    return done.stdout


def predicted(spec: Path, policy: str) -> Json:
    """What ``check --hosts`` says: by host, or that TensorFlow refuses it."""
    told = json.loads(check(spec, policy, "--hosts", str(HOSTS), "--json"))["sharding"]
    if told["fails"] is not None:
        return {"refused": True}
    return {"hosts": [{key: share[key] for key in ("files", "bytes", "records", "steps")} for share in told["shares"]]}


@contextmanager
def ports() -> Iterator[list[str]]:
    """Free ports, which the processes take over."""
    taken = [socket.socket() for _ in range(HOSTS)]
    for one in taken:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
    numbers = [str(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    yield numbers


def run(folders: Sequence[Path], names: Sequence[str]) -> list[list[Json]]:
    """What the real processes say of the pipelines in files of their folders: a list for each process."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with ports() as numbers:
        started = [
            subprocess.Popen(
                [sys.executable, HERE / "truth.py", str(index), *numbers, "--", *names],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for index, folder in enumerate(folders)
        ]
        try:
            said = [process.communicate(timeout=SECONDS)[0] for process in started]
        finally:
            for process in started:
                process.kill()
                process.wait()
    return [[json.loads(line) for line in text.splitlines() if line.startswith("{")] for text in said]


def real(folders: Sequence[Path]) -> dict[str, Json]:
    """What three processes get with each policy: by host, or that one of them raised."""
    places = [folder / policy / "data" for policy in POLICIES for folder in folders]
    found: dict[str, Json] = {}
    watch = Watch(places)
    try:
        while left := [policy for policy in POLICIES if policy not in found]:
            lines = run(folders, [f"{policy}/{FILE}" for policy in left])
            # An error ends the cluster of the processes: what comes after it is asked of the next one.
            for policy in left[: max(1, *map(len, lines))]:
                found[policy] = of_policy([[one for one in said if one["file"].startswith(policy)] for said in lines])
        opened = dict(zip(places, watch.opened(), strict=True))
    finally:
        watch.close()
    for policy, told in found.items():
        for folder, host in zip(folders, told.get("hosts", ()), strict=False):
            place = folder / policy / "data"
            host["files"] = len(opened[place])
            host["bytes"] = sum((place / name).stat().st_size for name in opened[place])
    return found


def of_policy(lines: list[list[Json]]) -> Json:
    """What all processes said of one pipeline."""
    errors = [line["error"] for said in lines for line in said if "error" in line]
    if errors or not all(lines):
        return {"refused": True, "errors": errors}
    return {"hosts": [{"records": said[0]["records"], "steps": said[0]["steps"]} for said in lines]}


def differences(told: Json, found: Json) -> list[str]:
    """What differs, in words; the steps of all hosts are those of the one with the most."""
    if "refused" in told or "refused" in found:
        return [] if "refused" in told and "refused" in found else ["refused by one and not by the other"]
    most = max((host["steps"] for host in told["hosts"] if host["steps"] is not None), default=None)
    differing = []
    for index, (one, other) in enumerate(zip(told["hosts"], found["hosts"], strict=True)):
        for key in ("files", "bytes", "records"):
            # A pipeline without files opens none.
            if (one[key] or 0) != other[key]:
                differing.append(f"host {index}: {one[key]} {key}, really {other[key]}")
        if most is not None and other["steps"] != most:
            differing.append(f"host {index}: {most} steps, really {other['steps']}")
    return differing


def measure(name: str, _inputs: Path) -> Json:
    """Work out and count one spec with all policies."""
    case: Case = CASES[name]
    raw, wrong = [], []
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder) / f"host{index}" for index in range(HOSTS)]
        for place in (here / policy for here in folders for policy in POLICIES):
            (place / "data").mkdir(parents=True)
            write(place, case)
            options = {"experimental_distribute": {"auto_shard_policy": place.name}}
            (place / "spec.yaml").write_text(json.dumps({**case.spec(), "options": options}), encoding="utf-8")
            (place / FILE).write_text(MAKES.format(str(place / "spec.yaml")), encoding="utf-8")
        found = real(folders)
        for policy in POLICIES:
            told = predicted(folders[0] / policy / "spec.yaml", policy)
            differing = differences(told, found[policy])
            wrong += [f"{policy}: {text}" for text in differing]
            raw.append({"policy": policy, "check": told, "real": found[policy], "differences": differing})
    return {
        "outcome": BROKEN if wrong else HOLDS,
        "figures": {"policies": len(POLICIES), "equal": sum(not one["differences"] for one in raw)},
        "raw": {"policies": raw},
    }


BENCHMARK = Benchmark(
    claim="files, bytes, records and steps of each of three hosts, worked out from a spec, equal those of three real "
    "processes of MultiWorkerMirroredStrategy, with every policy",
    cases=list(CASES),
    measure=measure,
    covers=CHECK,
    seconds=60.0,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
