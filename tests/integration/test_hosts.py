"""Data that several hosts divide: what is worked out from stages is what TensorFlow's own rewrite gives."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration import forked
from unit.test_benchmarks import loaded

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.graph.edit.rewrites.host_part import host_part
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.document.sharding import Sharding
from pipeprof.profiles.hosts.called import view_for_hosts
from pipeprof.profiles.hosts.files import SpecFiles
from pipeprof.profiles.hosts.shares import sharding_of
from pipeprof.profiles.protocol.job import HostOf
from pipeprof.profiles.protocol.source import HostsJob
from pipeprof.profiles.view.attach_spec import with_written
from pipeprof.profiles.view.from_spec import view_of_spec
from pipeprof.profiles.worker.load_function import call_target
from pipeprof.profiles.worker.source.hosts_of_function import Calling

pytestmark = pytest.mark.usefixtures("without_autograph")

cases = loaded("hosts/cases.py")


def counted(dataset: Any) -> tuple[int, int]:
    """Records and steps."""
    sizes = [int(tf.nest.flatten(batch)[0].shape[0]) for batch in dataset]
    return sum(sizes), len(sizes)


def divided(path: Path, policy: str) -> tuple[Sharding, Callable[[], Any]]:
    """What is worked out from a spec, and how its dataset is built; the same as a function is beside it."""
    options = {"experimental_distribute": {"auto_shard_policy": policy}}
    spec = path.with_name(f"{policy}.yaml")
    spec.write_text(json.dumps({**json.loads(path.read_text()), "options": options}), encoding="utf-8")
    loaded_spec = load_spec(spec)
    text = f"import pipeprof\n\ndef make_dataset():\n    return pipeprof.dataset({str(spec)!r})\n"
    path.with_name(f"makes_{policy}.py").write_text(text, encoding="utf-8")
    view = with_written(view_of_spec(loaded_spec, cores=2), loaded_spec)

    def made() -> Any:
        context = BuildContext(path.parent)
        load_arrays(loaded_spec.spec, context)
        return build(loaded_spec.spec, context)

    return sharding_of(view, cases.HOSTS, SpecFiles(loaded_spec)), made


def of_function(target: str, hosts: int) -> Sharding:
    """What is worked out from the graph of a function, which is called in this process."""
    path = target.partition(":")[0]
    # In this one process two modules of one name would be one module.
    sys.modules.pop(Path(path).stem, None)
    answer = Calling(HostsJob(target, [], path, hosts)).run()
    found = view_for_hosts(answer, hosts, cores=2).sharding
    assert found is not None
    return found


def shares_of(sharding: Sharding) -> list[tuple[int | None, ...]]:
    return [(share.files, share.bytes, share.records, share.steps) for share in sharding.shares]


@pytest.mark.parametrize("name", list(cases.CASES))
def test_hosts_get_what_was_worked_out(name: str, tmp_path: Path) -> None:
    cases.write(tmp_path, cases.CASES[name])
    path = tmp_path / "spec.yaml"
    path.write_text(json.dumps(cases.CASES[name].spec()), encoding="utf-8")
    for policy in ("AUTO", "DATA"):
        told, made = divided(path, policy)
        called = of_function(f"{tmp_path}/makes_{policy}.py:make_dataset", cases.HOSTS)
        assert shares_of(called) == shares_of(told)
        assert (called.applied, called.files, called.bytes, called.amplification) == (
            told.applied, told.files, told.bytes, told.amplification,
        )  # fmt: skip
        assert (called.fails is None) == (told.fails is None)
        if told.fails is not None:
            with pytest.raises(tf.errors.InvalidArgumentError, match="Could not apply FILE based sharding"):
                counted(host_part(made(), 0, cases.HOSTS)[0])
            continue
        for share in told.shares:
            records, steps = counted(host_part(made(), share.index, cases.HOSTS)[0])
            assert (share.records, share.steps) == (records, steps), (policy, share.index)


def test_file_without_readers_is_refused() -> None:
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.FILE
    with pytest.raises(
        UsageError, match="TensorFlow does not divide this dataset among hosts: Found an unshardable source dataset"
    ):
        host_part(tf.data.Dataset.range(8).batch(2).with_options(options), 0, 2)


MAKES = """
from pathlib import Path

import numpy as np
import tensorflow as tf

FILES = sorted(map(str, Path(__file__).parent.glob("*.txt")))

def alone():
    return tf.data.Dataset.range(64).map(lambda x: x + 1).batch(8)

def divides(context: tf.distribute.InputContext):
    numbers = tf.data.Dataset.range(64)
    return numbers.shard(context.num_input_pipelines, context.input_pipeline_id).batch(4)

def by_shard(context: tf.distribute.InputContext):
    names = tf.data.Dataset.from_tensor_slices(FILES).shard(context.num_input_pipelines, context.input_pipeline_id)
    return names.interleave(tf.data.TextLineDataset).batch(2)

def by_slice(context: tf.distribute.InputContext):
    return tf.data.TextLineDataset(FILES[context.input_pipeline_id :: context.num_input_pipelines]).batch(2)

def not_at_all(context: tf.distribute.InputContext):
    return tf.data.TextLineDataset(FILES).batch(2)

def large():
    return tf.data.Dataset.from_tensor_slices(np.zeros([1_100_000, 100], np.uint8)).repeat().batch(8)
"""


def test_of_an_array_that_is_left_out_of_the_graph_all_rows_count(tmp_path: Path) -> None:
    (tmp_path / "makes_large.py").write_text(MAKES, encoding="utf-8")
    sharding = of_function(f"{tmp_path}/makes_large.py:large", 2)
    assert [(share.records, share.steps) for share in sharding.shares] == [(550_000, 137_500)] * 2


def test_a_function_gets_the_context_of_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("makes.py").write_text(MAKES, encoding="utf-8")
    called = call_target("makes.py:divides", host=HostOf(2, 4))
    assert called.took_context
    assert next(iter(called.dataset)).numpy().tolist() == [2, 6, 10, 14]
    assert "InputContext(4, 2, 4): the data of host 2" in called.notes[0][1]
    assert not call_target("makes.py:alone", host=HostOf(2, 4)).took_context


@pytest.mark.parametrize(
    ("function", "applied", "records", "times"),
    [("by_shard", "own", [6, 4], 1), ("by_slice", "own", [6, 4], 1), ("not_at_all", "OFF", [10, 10], 2)],
)
def test_a_function_divides_by_its_context(
    function: str, applied: str, records: list[int], times: int, tmp_path: Path
) -> None:
    for number, count in enumerate((1, 2, 5, 2)):
        (tmp_path / f"{number}.txt").write_text("line\n" * count, encoding="utf-8")
    (tmp_path / "makes.py").write_text(MAKES, encoding="utf-8")
    found = of_function(f"{tmp_path}/makes.py:{function}", 2)
    assert (found.applied, found.files, found.amplification) == (applied, 4, times)
    assert [share.records for share in found.shares] == records


def test_a_run_measures_the_part_of_one_host(tmp_path: Path) -> None:
    (tmp_path / "makes.py").write_text(MAKES, encoding="utf-8")
    done = forked.run(["run", "makes.py:alone", "--host", "2/4", "--seconds", "0.2", "--json", "--no-lock"], tmp_path)
    profile = json.loads(done.stdout)
    assert profile["target"]["host"] == {"index": 2, "of": 4}
    written = [stage["op"] for stage in profile["stages"] if stage["origin"] == "written"]
    assert written == ["range", "map", "batch", "rebatch", "shard", "prefetch"]
    line = MAKES.splitlines().index("def alone():") + 2
    places = [stage["location"] and stage["location"]["line"] for stage in profile["stages"]]
    assert places[: len(written)] == [line, line, line, None, None, None]
    assert "host-part" in [warning["code"] for warning in profile["warnings"]]
    assert profile["verification"] is None
