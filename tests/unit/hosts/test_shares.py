"""What each host reads, worked out from a spec: files, bytes, records and steps."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from unit.test_benchmarks import loaded

from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.document.sharding import Sharding
from pipeprof.profiles.hosts import files as host_files
from pipeprof.profiles.hosts.files import SpecFiles, count_records
from pipeprof.profiles.hosts.shares import sharding_of
from pipeprof.profiles.view.attach_spec import with_written
from pipeprof.profiles.view.from_spec import view_of_spec

cases = loaded("hosts/cases.py")
BATCH = {"batch": {"batch_size": 30}}


@pytest.fixture
def divided(tmp_path: Path) -> Any:
    """The division of a spec among hosts."""

    def work_out(case: Any, hosts: int = 3, **options: str) -> Sharding:
        cases.write(tmp_path, case)
        spec = case.spec() | (
            {"options": {"experimental_distribute": {"auto_shard_policy": options["policy"]}}} if options else {}
        )
        path = tmp_path / "spec.yaml"
        path.write_text(json.dumps(spec), encoding="utf-8")
        spec_loaded = load_spec(path)
        view = with_written(view_of_spec(spec_loaded, cores=2), spec_loaded)
        return sharding_of(view, hosts, SpecFiles(spec_loaded))

    return work_out


def column(sharding: Sharding, name: str) -> list[int | None]:
    return [getattr(share, name) for share in sharding.shares]


def changed(name: str, *stages: Any, source: Any = None) -> Any:
    case = cases.CASES[name]
    return cases.Case(source or case.source, list(stages), case.files)


def test_files_are_dealt_out(divided: Any) -> None:
    found = divided(cases.CASES["skewed"])
    assert (found.policy, found.applied, found.at) == ("AUTO", "FILE", ["stages.0"])
    assert column(found, "files") == [2, 2, 2]
    assert column(found, "records") == [260, 20, 20]
    assert column(found, "steps") == [26, 2, 2]
    assert column(found, "bytes") == [32 * 260, 32 * 20, 32 * 20]
    assert (found.files, found.bytes, found.amplification, found.fails) == (6, 32 * 300, 1.0, None)


def test_batches_are_dealt_out_and_everything_is_read(divided: Any) -> None:
    found = divided(cases.CASES["skewed"], policy="DATA")
    assert (found.applied, found.at, found.amplification) == ("DATA", ["stages.3"], 3.0)
    assert column(found, "records") == [100, 100, 100]
    found = divided(cases.CASES["skewed"], policy="OFF")
    assert (found.applied, found.amplification) == ("OFF", 3.0)
    assert column(found, "records") == [300, 300, 300]
    assert column(found, "steps") == [30, 30, 30]


def test_the_rest_of_a_batch_goes_to_the_first_hosts(divided: Any) -> None:
    found = divided(cases.CASES["numbers"])
    assert found.why is not None
    assert found.why.endswith("range (spec.yaml:1) is none")
    assert column(found, "records") == [36, 36, 28]
    assert (found.files, found.bytes, found.amplification) == (None, None, None)


def test_too_few_files_have_no_parts(divided: Any) -> None:
    found = divided(cases.CASES["two"])
    assert found.fails == (
        "FILE, which AUTO becomes here, needs a file for each of 3 hosts, and interleave (spec.yaml:1) has 2: "
        "TensorFlow refuses the first element"
    )
    assert found.shares == []
    assert divided(cases.CASES["two"], hosts=2).fails is None


def test_file_without_a_reader_is_refused(divided: Any) -> None:
    found = divided(cases.CASES["numbers"], policy="FILE")
    assert (found.applied, found.shares) == (None, [])
    assert found.fails is not None
    assert found.fails.endswith("TensorFlow refuses it")


@pytest.mark.parametrize(
    "stage", [{"enumerate": {}}, {"ignore_errors": {}}, {"take_while": {"ops": [{"tf.less": {"y": 5}}]}}]
)
def test_some_stages_end_the_search_for_a_reader(stage: Any, divided: Any) -> None:
    case = changed("direct", cases.LENGTHS, stage)
    found = divided(case)
    assert found.applied == "DATA"
    assert found.why is not None
    assert "ends the search" in found.why


def test_what_a_python_function_opens_is_not_known(divided: Any, tmp_path: Path) -> None:
    (tmp_path / "opening.py").write_text("def opened(name):\n    return name\n", encoding="utf-8")
    found = divided(changed("equal", {"flat_map": {"python": "opening.py:opened"}}, BATCH))
    assert (found.applied, found.fails, found.shares) == (None, None, [])
    assert found.why is not None
    assert "known only after a run" in found.why


def test_a_shard_of_the_names_is_the_pipelines_own(divided: Any) -> None:
    part = {"shard": {"num_shards": 3, "index": 0}}
    found = divided(changed("skewed", part, cases.INTERLEAVED, BATCH))
    assert (found.applied, found.at, found.amplification) == ("own", ["stages.0"], 1.0)
    assert column(found, "records") == [260, 20, 20]
    assert found.why is not None
    assert "would divide it once more" in found.why
    off = divided(changed("skewed", part, cases.INTERLEAVED, BATCH), policy="OFF")
    assert off.why is None


def test_a_shard_of_the_batches_reads_everything(divided: Any) -> None:
    case = changed("skewed", cases.INTERLEAVED, BATCH, {"shard": {"num_shards": 3, "index": 2}})
    found = divided(case)
    assert (found.applied, found.amplification) == ("own", 3.0)
    assert column(found, "files") == [6, 6, 6]
    assert column(found, "records") == [120, 90, 90]
    other = divided(case, hosts=4)
    assert other.fails == "shard (spec.yaml:1) divides the data into 3 parts, and there are 4 hosts"


def test_files_elsewhere_are_not_known(divided: Any) -> None:
    source = {"TFRecordDataset": {"filenames": ["gs://bucket/a", "gs://bucket/b"]}}
    found = divided(changed("equal", BATCH, source=source))
    assert (found.applied, found.files, found.bytes) == ("FILE", None, None)
    assert column(found, "files") == [None] * 3
    assert found.unknown == ["the files of TFRecordDataset (spec.yaml:1) are elsewhere, or cannot be listed"]


def test_data_that_is_not_made_yet_has_names_and_records(divided: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    case = changed("equal", cases.INTERLEAVED, BATCH, source={"list_files": {"file_pattern": "data:made/*.tfrecord"}})
    spec = case.spec() | {"data": {"made": {"tfrecord": {"shards": 5, "records": 52}}}}
    monkeypatch.setattr(case.__class__, "spec", lambda _self: spec)
    found = divided(case)
    assert (found.files, found.bytes) == (5, None)
    assert column(found, "records") == [11 + 10, 11 + 10, 10]


def test_what_a_filter_drops_is_not_known(divided: Any) -> None:
    keep = {"filter": {"ops": ["tf.strings.length", {"tf.greater": {"y": 3}}]}}
    assert column(divided(changed("equal", cases.INTERLEAVED, keep, BATCH)), "records") == [None] * 3


def test_many_records_are_not_counted(divided: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(host_files, "MOST_COUNTED_RECORDS", 100)
    found = divided(cases.CASES["equal"])
    assert column(found, "records") == [None] * 3
    assert column(found, "files") == [2, 2, 2]
    assert found.unknown == ["the records of the files were not counted: they are many, or not readable here"]


def test_lines_without_an_end_and_packed_records_are_counted(tmp_path: Path) -> None:
    lines, packed, broken = tmp_path / "a.txt", tmp_path / "b.tfrecord", tmp_path / "c.tfrecord"
    lines.write_text("one\ntwo", encoding="utf-8")
    cases.write(tmp_path, cases.Case({}, [], {"b.tfrecord": 7}))
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    broken.write_bytes(b"no records at all, and long enough for a header")
    one = [host_files.SourceFile(str(lines), lines.stat().st_size)]
    assert count_records(one, "TextLineDataset", {}) == [2]
    other = [host_files.SourceFile(str(packed), packed.stat().st_size)]
    assert count_records(other, "TFRecordDataset", {"compression_type": "GZIP"}) == [7]
    assert count_records(other, "TFRecordDataset", {"compression_type": "ZLIB"}) is None


def test_shards_on_several_sides_are_not_followed(divided: Any) -> None:
    part = {"shard": {"num_shards": 3, "index": 0}}
    side = {"source": {"TFRecordDataset": {"filenames": "data/*.tfrecord"}}, "stages": [part]}
    found = divided(changed("equal", BATCH, source={"zip": {"datasets": [side, side]}}))
    assert (found.applied, found.shares) == (None, [])
    assert found.why is not None
    assert found.why.endswith("divide parts of it")


def test_names_that_repeat_are_not_followed(divided: Any) -> None:
    found = divided(changed("equal", {"repeat": {}}, cases.INTERLEAVED, BATCH))
    assert (found.applied, column(found, "files")) == ("FILE", [None] * 3)
    assert found.unknown == ["repeat (spec.yaml:1) changes the list of files before it is divided"]


def test_names_in_an_array_are_files_and_rows_of_a_table_are_not(divided: Any) -> None:
    source = {"from_tensor_slices": {"tensors": {"files": "data/*.tfrecord"}}}
    found = divided(changed("skewed", {"shuffle": {"buffer_size": 6}}, cases.INTERLEAVED, BATCH, source=source))
    assert (found.applied, column(found, "records")) == ("FILE", [260, 20, 20])
    table = {"CsvDataset": {"filenames": "data/*.tfrecord", "record_defaults": ["int32"]}}
    found = divided(changed("skewed", BATCH, source=table))
    assert (found.applied, found.files, column(found, "records")) == ("DATA", 6, [None] * 3)


def test_a_reader_that_makes_batches(divided: Any) -> None:
    made: dict[str, Any] = {"file_pattern": "data/*.tfrecord", "batch_size": 30, "num_epochs": 1}
    made["features"] = {"x": {"FixedLenFeature": {"shape": [], "dtype": "int64"}}}
    found = divided(changed("skewed", cases.PREFETCH, source={"make_batched_features_dataset": made}))
    assert (column(found, "records"), column(found, "steps")) == ([260, 20, 20], [26, 2, 2])
