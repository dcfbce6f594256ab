"""A user's own function as the target: how it is found, called and judged, and where its stages are written."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from integration import forked

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.observe.reading import read_executed, read_written
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.received import locate
from pipeprof.profiles.protocol.channel import Changes, HarnessEnd, encode
from pipeprof.profiles.protocol.messages import Graphs, Warned
from pipeprof.profiles.protocol.options import Options, StepJob
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.view.from_graph import ParsedGraphs
from pipeprof.profiles.worker import sample
from pipeprof.profiles.worker.pipeline import NotADatasetError, call_target
from pipeprof.profiles.worker.steps import headspace
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace import record as recording
from pipeprof.profiles.worker.trace.record import to_trace
from pipeprof.profiles.worker.trace.work import traced_ops

USERS = Path(__file__).parent / "pipelines_of_users"
FLOWERS = USERS / "flowers" / "input.py"
ELEMENTS = USERS / "elements.py"
WRONG = USERS / "wrong.py"


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test imports afresh, from the folder of the user's package."""
    monkeypatch.chdir(USERS)
    monkeypatch.setattr(sys, "path", [str(USERS), *sys.path])
    for name in [one for one in sys.modules if one.partition(".")[0] in ("flowers", "elements", "wrong")]:
        monkeypatch.delitem(sys.modules, name)


def functions_of(path: Path) -> list[str]:
    lines = [line.removeprefix("async ") for line in path.read_text().splitlines()]
    return [line[4:].partition("(")[0] for line in lines if line.startswith("def ")]


def stages_of(target: str) -> dict[str, Stage]:
    called = call_target(target)
    written = read_written(called.dataset, in_memory=0)
    executed = read_executed(called.dataset, written)
    stages, _ = explain_stages(StageGraphs.of(written, executed, by_address=False), batches=1)
    places = called.watch.lines.places(called.dataset, written)
    locate(stages, ParsedGraphs.of(Graphs(written, executed, places=places)))
    return {stage.id: stage for stage in stages}


def said_there(stage: Stage) -> str | None:
    """What the comment at the stage's line says, else the code from the stage's column on."""
    if stage.location is None:
        return None
    line = Path(stage.location.file).read_text().splitlines()[stage.location.line - 1]
    _, marked, said = line.partition("# line: ")
    # Python 3.10 tells no columns.
    start = stage.location.column - 1 if stage.location.column else max(0, line.find(f"{stage.op}("))
    return said if marked else line[start:].strip()


def test_every_stage_has_its_line_and_its_column() -> None:
    stages = stages_of("flowers.input:stages")
    assert {address: (stage.op, said_there(stage)) for address, stage in stages.items()} == {
        "source": ("range", "range"),
        "stages.0": ("map", "first map"),
        # Before 3.11, a call with arguments by name stands where its chain begins.
        "stages.1": ("map", "map(" if sys.version_info >= (3, 11) else "range"),
        "stages.2": ("shuffle", "shuffle and repeat"),
        "stages.3": ("repeat", "shuffle and repeat"),
        "stages.4": ("skip", "in a loop"),
        "stages.5": ("skip", "in a loop"),
        "stages.6": ("interleave", "interleave("),
        "stages.6.source": ("from_tensors", "inside the lambda"),
        "stages.6.stages.0": ("repeat", "inside the lambda"),
        "stages.7": ("batch", "batch("),
        "stages.8": ("prefetch", "prefetch in a helper"),
    }
    assert stages["stages.2"].name == "shuffled"
    if sys.version_info >= (3, 11):
        shuffle, repeat = stages["stages.2"].location, stages["stages.3"].location
        line = FLOWERS.read_text().splitlines()[shuffle.line - 1]
        assert [line[one.column - 1 :][:6] for one in (shuffle, repeat)] == ["shuffl", "repeat"]
    helper = stages["stages.8"]
    assert Path(helper.location.file).name == "steps.py"
    caller = helper.called_from[0]
    assert (Path(caller.file).name, caller.function) == ("input.py", "stages")
    at = FLOWERS.read_text().splitlines()[caller.line - 1]
    assert at.endswith("# line: apply")


LAMBDAS = "flat_map and its lambda"
INSIDE = "interleave, converted"


@pytest.mark.parametrize(
    ("function", "lines"),
    [
        (
            "nested",
            [
                "source zip: zip",
                "source.inputs.0.source range: left",
                "source.inputs.1.source from_generator: from_generator(",
                "stages.0 flat_map: flat_map",
                "stages.0.source from_tensors: inside a function",
                "stages.0.stages.0 map: map inside a function",
                "stages.1 batch: flat_map",
            ],
        ),
        (
            "traced",
            [
                "source range: range, traced",
                "stages.0 take: take, traced",
                "stages.1 take: take, traced",
                "stages.2 map: map, traced",
                "stages.3 batch: batch of a traced one",
            ],
        ),
        (
            "converted",
            [
                "source range: range, converted",
                f"stages.0 interleave: {INSIDE}",
                f"stages.0.source from_tensors: {INSIDE}",
                f"stages.0.stages.0 repeat: {INSIDE}",
                "stages.1 flat_map: flat_map(",
                f"stages.1.source from_tensors: {LAMBDAS}",
                f"stages.1.stages.0 map: {LAMBDAS}",
            ],
        ),
        ("in_threads", ["range in a thread", "concatenate", "range in a thread"]),
        ("chosen", ["choose", "range of the choice", "repeat of the choice", *["sides"] * 4]),
        # TensorFlow reads the files in parallel with stages of its own.
        ("records", ["source TFRecordDataset: records", "stages.0 batch: batch of records"]),
        ("served", ["distribute", "batch of the served"]),
    ],
)
def test_stages_have_the_lines_they_were_written_in(function: str, lines: list[str]) -> None:
    profile = threading.getprofile()
    stages = stages_of(f"flowers.input:{function}")
    said = [f"{address} {one.op}: {said_there(one)}" for address, one in stages.items() if one.origin == "written"]
    for text, line in zip(said, lines, strict=True):
        assert line in text
    assert threading.getprofile() is profile


def test_python_that_autograph_converted_has_the_line_where_it_is_put_to_use() -> None:
    called = call_target("flowers.input:waiting")
    feed = Feed(called.dataset)
    feed.next()
    traced = traced_ops(
        *to_trace(
            called.dataset,
            feed,
            in_memory=0,
            room=None,
            watch=called.watch,
            again=False,
            fill_seconds=0.0,
            stop=lambda: False,
        )
    )
    assert {(Path(one.file or "").name, one.function.rpartition(".")[2]) for one in traced.functions} == {
        ("input.py", "<lambda>")
    }
    source = FLOWERS.read_text().splitlines()
    assert all("tf.numpy_function(" in source[(one.line or 0) - 1] for one in traced.functions)


def test_the_context_of_a_worker_that_is_alone() -> None:
    called = call_target("flowers.input:for_a_worker")
    assert [batch.numpy().tolist() for batch in called.dataset] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [code for code, _ in called.notes] == ["input-context"]


def test_anything_else_is_refused_with_what_would_help() -> None:
    functions = functions_of(WRONG)
    said = []
    for function in functions:
        with pytest.raises(NotADatasetError) as caught:
            call_target(f"{WRONG}:{function}")
        start, _, rest = str(caught.value).partition(" returned ")
        assert (start, caught.value.exit_code) == (f"{WRONG}:{function}", 2)
        said.append(rest)
    assert not any("\n" in text for text in said)
    assert len(set(said)) == len(functions) > 13


class Recorder:
    """A channel that keeps what the worker would send."""

    def __init__(self) -> None:
        self.sent: list[Changes] = []
        self.stop = threading.Event()

    def together(self) -> nullcontext[None]:
        return nullcontext()

    def send(self, **changes: Any) -> None:
        self.sent += HarnessEnd(-1).feed(encode(changes).encode())

    def warn(self, code: str, text: str) -> None:
        self.send(warnings=[Warned(code, text)])

    def one(self, field: str) -> Any:
        return [changes[field] for changes in self.sent if field in changes][-1]


def job(target: str, **changes: Any) -> Options:
    """What a worker is asked to do."""
    return replace(Options(parse_target(target), steps=3, warmup_seconds=0.0), **changes)


def sampled(target: str, **changes: Any) -> Recorder:
    """A whole sample, within this process, whose windows are short: what it sends is looked at, not how exact it is."""
    channel = Recorder()
    # What was there before is not gone through for its size.
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(headspace, "FLOOR_SECONDS", 0.02)
        patch.setattr(headspace, "SECONDS", 0.05)
        patch.setattr(recording, "SECONDS", 0.05)
        sample.JobRun(job(target, **changes), channel).run()
    return channel


@pytest.mark.parametrize("function", [name for name in functions_of(ELEMENTS) if not name.startswith("_")])
def test_every_kind_of_element_goes_through_all_phases(function: str) -> None:
    channel = sampled(f"{ELEMENTS}:{function}")
    assert [changes for changes in channel.sent if "warnings" in changes] == []
    assert channel.one("measured").steps.count == 3
    graphs = channel.one("graphs")
    assert graphs.written["root"] is not None
    places = graphs.places
    assert set(places) == {node["id"] for node in graphs.written["nodes"]}
    assert {place["file"] for place in places.values()} == {str(ELEMENTS)}


def test_a_step_on_the_command_line_replaces_it() -> None:
    given = StepJob("simulate", {"base_ms": 1.0})
    channel = sampled("flowers.input:with_step", step=given, step_given=True, dispatch="sync")
    assert channel.one("warnings")[0].code == "step-replaced"
    assert sys.modules["flowers.input"].calls["step"] == 0


def test_what_the_users_code_says_is_kept_apart(tmp_path: Path) -> None:
    out = tmp_path / "profile.json"
    words = ["run", "flowers.input:talks", "--step", "simulate:10ms", "--steps", "20", "--no-verify", "--out", str(out)]
    done = forked.run(words, USERS, FLOWERS_SEEN="yes")
    assert done.returncode == 0, done.stderr
    profile = Profile.model_validate_json(out.read_text())
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    expected = [
        "flowers are being imported",
        "printed to stdout",
        "printed to stderr",
        "written by other code",
        "logged",
        f"TF_CPP_MIN_LOG_LEVEL={level}",
        "names: yes",
    ]
    lines = profile.output.splitlines()
    assert [line for line in lines if line in expected] == expected
    # Our own words in the environment are those of the test itself, and the mark by which a run finds its processes.
    (changed,) = [line.removeprefix("changed:").split() for line in lines if line.startswith("changed:")]
    assert sorted(changed) == sorted({*(name for name in os.environ if name.startswith("PIPEPROF")), "PIPEPROF_RUN"})
    assert any("UserWarning: warned" in line for line in lines)
    assert f"    {lines[-1]}\n" in done.stdout
    assert all(line not in done.stderr for line in expected)


def test_json_stays_json_with_arguments_and_a_step_of_its_own(tmp_path: Path) -> None:
    words = [
        "run", "flowers.input:with_step", "--arg", "size=6", "--steps", "50", "--no-verify",
        "--json", "-q", "--out", str(tmp_path / "p.json"),
    ]  # fmt: skip
    done = forked.run(words, USERS)
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    assert profile["target"]["arguments"] == {"size": "6"}
    assert profile["device"]["kind"] == "python"
    assert profile["steps"]["dispatch"] == "sync"
    assert profile["throughput"]["elements_per_batch"] == 6
    assert "flowers are being imported" in profile["output"]


def test_a_file_that_configures_tensorflow_is_imported_in_time(tmp_path: Path) -> None:
    (tmp_path / "configured.py").write_text(
        "import tensorflow as tf\n"
        "tf.config.threading.set_inter_op_parallelism_threads(3)\n"
        "def make():\n"
        "    print('threads:', tf.config.threading.get_inter_op_parallelism_threads())\n"
        "    return tf.data.Dataset.range(8).repeat()\n"
    )
    out = tmp_path / "p.json"
    options = ["--step", "simulate:10ms", "--steps", "20", "--no-verify", "-q", "--out", str(out)]
    done = forked.run(["run", "configured.py:make", *options], tmp_path)
    profile = Profile.model_validate_json(out.read_text())
    assert done.returncode == 0, profile.errors
    assert profile.output == "threads: 3"
    assert [one.code for one in profile.warnings if one.code == "imported-early"] == ["imported-early"]
