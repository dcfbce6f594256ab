"""Pipelines that read from a tf.data service: what is named, what is refused, and why nothing comes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from integration import forked

from pipeprof.profiles.document.profile import Profile

SERVE = """
import os, signal, sys
from pathlib import Path

import tensorflow as tf

service = tf.data.experimental.service
role, out, *dispatcher = sys.argv[1:]
if role == "dispatcher":
    server = service.DispatchServer(service.DispatcherConfig(job_gc_check_interval_ms=200))
    said = server.target.partition("://")[2]
else:
    server = service.WorkerServer(service.WorkerConfig(dispatcher_address=dispatcher[0], heartbeat_interval_ms=100))
    said = "ready"
Path(out + ".new").write_text(said)
os.rename(out + ".new", out)
signal.pause()
"""
TARGETS = """
import tensorflow as tf
from tensorflow.python.data.experimental.ops import testing

service = tf.data.experimental.service


def slow(number):
    return tf.reduce_sum(tf.random.uniform([800, 800], seed=1)) * 0.0 + tf.cast(number, tf.float32)


def remote(address: str, **more):
    dataset = tf.data.Dataset.range(1000).repeat()
    dataset = dataset.map(slow, name="slow")
    dataset = dataset.batch(8)
    dataset = dataset.apply(service.distribute("parallel_epochs", address, **more))
    return dataset.prefetch(2)


def epochs(address: str):
    # The workers wait: the cores are free for other tests.
    dataset = tf.data.Dataset.range(20).flat_map(lambda n: tf.data.Dataset.range(10)).apply(testing.sleep(5000))
    return dataset.apply(service.distribute("distributed_epoch", address))


def shared(address: str):
    return remote(address, job_name="train")


def in_turns(address: str):
    dataset = tf.data.Dataset.range(64)
    return dataset.apply(
        service.distribute("parallel_epochs", address, job_name="turns", consumer_index=0, num_consumers=1)
    )


def python(address: str):
    dataset = tf.data.Dataset.range(1000).repeat()
    dataset = dataset.map(lambda x: tf.numpy_function(lambda v: v, [x], tf.int64))  # line: python
    return dataset.apply(service.distribute("parallel_epochs", address))
"""
LINES = {line.partition("# line: ")[2]: number for number, line in enumerate(TARGETS.splitlines(), 1)}


@dataclass
class Cluster:
    """A dispatcher and workers, each a process."""

    folder: Path
    ending: ExitStack
    address: str = ""
    dispatcher: forked.Started | None = None
    workers: list[forked.Started] = field(default_factory=list)

    def start(self, role: str) -> forked.Started:
        out = self.folder / f"{role}{len(self.workers)}"
        process = forked.start([role, str(out), self.address], self.folder, SERVE)
        self.ending.callback(self.end, process)
        while not out.exists():
            assert process.returncode is None
            time.sleep(0.02)
        if role == "dispatcher":
            self.address, self.dispatcher = out.read_text(), process
        else:
            self.workers.append(process)
        return process

    @staticmethod
    def end(process: forked.Started) -> None:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as ending:
        cluster = Cluster(tmp_path, ending)
        cluster.start("dispatcher")
        yield cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as ending:
        cluster = Cluster(tmp_path_factory.mktemp("service"), ending)
        for role in ("dispatcher", "worker", "worker"):
            cluster.start(role)
        yield cluster


def profiled(folder: Path, target: str, *options: str) -> tuple[int, Profile, str]:
    (folder / "targets.py").write_text(TARGETS)
    out = folder / "profile.json"
    words = ["run", target, "--no-verify", "--force", "--seconds", "0.4", "--out", str(out), *options]
    done = forked.run(words, folder)
    assert out.exists(), done.stderr
    return done.returncode, Profile.model_validate_json(out.read_text()), done.stdout + done.stderr


def failed(folder: Path, function: str, address: str, *options: str) -> str:
    """What is said of a pipeline that fails because of its service."""
    code, profile, said = profiled(folder, f"targets.py:{function}", "--arg", f"address={address}", *options)
    assert (code, [problem.code for problem in profile.errors]) == (5, ["service"]), said
    return profile.errors[0].message


SPEC = """
version: 1
source:
  range: {{stop: 1000}}
stages:
  - repeat: {{}}
  - map:
      python: targets.py:slow
  - batch: {{batch_size: 8}}
  - distribute: {{processing_mode: parallel_epochs, service: "{service}", compression: null{more}}}
  - prefetch: {{buffer_size: 2}}
"""
LOCAL = f"{SPEC}measure: {{{{workers: 2}}}}\n".format(service="local", more=", job_name: own")


def test_the_stages_of_a_spec_before_the_service_are_on_its_workers(cluster: Cluster, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.format(service=cluster.address, more=""))
    code, profile, said = profiled(tmp_path, "spec.yaml")
    assert code == 0, said
    assert profile.stages is not None
    rows = {stage.id: (stage.op, stage.remote, stage.executed) for stage in profile.stages if stage.origin == "written"}
    assert {id_: row for id_, row in rows.items() if row[1]} == {
        "source": ("range", True, "on the workers"),
        "stages.0": ("repeat", True, "on the workers"),
        "stages.1": ("map", True, "on the workers"),
        "stages.2": ("batch", True, "on the workers"),
    }
    service = profile.stages[4].service
    assert service is not None
    assert (service.address, service.processing_mode, service.compression) == (cluster.address, "OFF", "NONE")
    assert (service.workers, service.known, service.job_name) == (None, True, None)
    assert profile.verdict is not None
    assert profile.verdict.limit == "remote"
    assert f"waits for the tf.data service at {cluster.address} " in said
    assert profile.verdict.stage == "stages.3"


@pytest.mark.parametrize("function", ["shared", "in_turns"])
def test_a_job_that_others_read_is_refused(cluster: Cluster, tmp_path: Path, function: str) -> None:
    words = [f"targets.py:{function}", "--arg", f"address={cluster.address}"]
    code, profile, said = profiled(tmp_path, *words)
    assert code == 2
    assert [problem.code for problem in profile.errors] == ["shared-job"]
    assert "would lack what this run reads" in said


def test_an_error_of_the_service_has_its_cause(cluster: Cluster, tmp_path: Path) -> None:
    said = failed(tmp_path, "python", cluster.address)
    assert "Python runs in " in said
    assert f"(targets.py:{LINES['python']})" in said


def test_a_service_without_workers_is_named(made: Cluster, tmp_path: Path) -> None:
    said = failed(tmp_path, "remote", made.address, "--timeout", "8")
    assert f"he tf.data service at {made.address} gave no element" in said
    assert "it has no worker" in said


def wait_for(profile: Path, phase: str) -> None:
    """Wait until a run that goes on has reached a phase."""
    while True:
        now = json.loads(profile.read_text()) if profile.exists() else {"phases": [], "exit_code": None}
        if phase in [one["name"] for one in now["phases"]]:
            return
        assert now["exit_code"] is None, now["errors"]
        time.sleep(0.05)


def lost(folder: Path, address: str, lose: Callable[[], None], *, keeps: bool = False) -> str:
    """What is said of a pipeline that loses a part of its service while it is measured."""
    (folder / "targets.py").write_text(TARGETS)
    out = folder / "profile.json"
    words = ["run", "targets.py:epochs", "--arg", f"address={address}", "--no-verify", "--out", str(out)]
    process = forked.start([*words, "--seconds", "60", "--timeout", "6"], folder)
    wait_for(out, "measure")
    lose()
    said = "".join(process.communicate())
    profile = Profile.model_validate_json(out.read_text())
    assert (process.returncode, [problem.code for problem in profile.errors]) == (5, ["service"]), said
    if keeps:
        assert profile.steps is not None
        assert profile.steps.count > 0
    return profile.errors[0].message


def test_a_worker_that_is_lost_keeps_what_was_measured(made: Cluster, tmp_path: Path) -> None:
    for _ in range(2):
        made.start("worker")
    said = lost(tmp_path, made.address, lambda: made.workers[1].send_signal(signal.SIGKILL), keeps=True)
    assert "a worker is lost or stopped" in said


def test_a_dispatcher_that_is_lost_is_named(made: Cluster, tmp_path: Path) -> None:
    made.start("worker")

    def lose() -> None:
        for process in (made.dispatcher, *made.workers):
            assert process is not None
            made.end(process)

    assert f"othing listens at {made.address}" in lost(tmp_path, made.address, lose)


def test_a_function_gets_the_address_of_the_service_that_is_started_for_it(tmp_path: Path) -> None:
    code, profile, said = profiled(tmp_path, "targets.py:shared", "--arg", "address={service}", "--workers", "1")
    assert code == 0, said
    services = [stage.service for stage in profile.stages or () if stage.service is not None]
    assert [service.workers for service in services] == [1]


def test_workers_that_nothing_would_read_from_are_refused(tmp_path: Path) -> None:
    (tmp_path / "targets.py").write_text(TARGETS)
    done = forked.run(["run", "targets.py:remote", "--arg", "address=localhost:1", "--workers", "1"], tmp_path)
    assert (done.returncode, "--arg service={service}" in done.stderr) == (2, True), done.stderr


def test_a_local_service_ends_with_the_command_however_that_ends(tmp_path: Path) -> None:
    (tmp_path / "targets.py").write_text(TARGETS)
    (tmp_path / "spec.yaml").write_text(LOCAL)
    out = tmp_path / "profile.json"
    process = forked.start(["run", "spec.yaml", "--seconds", "60", "--out", str(out)], tmp_path)
    wait_for(out, "warmup")
    servers = psutil.Process(process.pid).children(recursive=True)
    assert len(servers) >= 4
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(servers, timeout=10)
    assert alive == []


def test_a_worker_of_a_local_service_that_is_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / "targets.py").write_text(TARGETS)
    (tmp_path / "spec.yaml").write_text(LOCAL)
    out = tmp_path / "profile.json"
    words = ["run", "spec.yaml", "--no-verify", "--seconds", "60", "--out", str(out)]
    process = forked.start(words, tmp_path)
    wait_for(out, "measure")
    family = psutil.Process(process.pid).children(recursive=True)
    measured = next(one for one in family if len(one.children()) >= 3)
    measured.children()[-1].kill()
    said = "".join(process.communicate())
    profile = Profile.model_validate_json(out.read_text())
    assert (process.returncode, [problem.code for problem in profile.errors]) == (5, ["service"]), said
    assert "worker 2 of 2 of the local tf.data service was killed" in profile.errors[0].message
