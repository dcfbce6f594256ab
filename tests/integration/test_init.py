"""``pipeprof init`` over real files: what it writes is built and read by TensorFlow as it is."""

import base64
import csv
import gzip
import os
import traceback
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from integration.example_data import made

from pipeprof.cli.main import invoke
from pipeprof.pipelines.build.dataset import BuildContext, build, load_arrays
from pipeprof.pipelines.data.look import Feature, look
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.load import load_spec

# A picture of 8 × 8 pixels.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAJklEQVR42mNgkLOJqpi25dIHPh2vjLYlhx78k7GKKJuyiWFoSQAAC7VawSnFpKgAAAAASUVORK5CYII="
)
ODD_NAMES = [
    "plain",
    "with space",
    'it\'s "quoted"',
    "ünï – 漢字 😀",
    "a:b {c}, [d]",
    "we[i]rd*?",
    "#1 & %d",
    "~tilde",
    "back\\slash",
    "data:x",
    "- no",
]


def shape(component):
    return [component.dtype.name, component.shape.as_list() if component.shape.rank is not None else None]


def read(path):
    """How many elements TensorFlow reads through a spec, and of which kind."""
    loaded = load_spec(path)
    photos = [name for name, entry in loaded.spec.data.items() if entry.kind == "image_folder"]
    loaded = load_spec(path, [f"data.{name}.image_folder.count=60" for name in photos])
    context = BuildContext(base_dir=loaded.base_dir, data_dirs=made(loaded), seed=None)
    load_arrays(loaded.data, context)
    dataset = build(loaded.data, context)
    elements = 0
    for batch in dataset:
        first = tf.nest.flatten(batch)[0]
        elements += int(first.dense_shape[0] if isinstance(first, tf.sparse.SparseTensor) else first.shape[0])
    return {"elements": elements, "spec": tf.nest.map_structure(shape, dataset.element_spec)}


def read_or_told(path):
    try:
        return read(path)
    except Exception:
        return {"error": traceback.format_exc()}


def example(features):
    """A serialised tf.train.Example of byte strings, floats or integers."""
    kinds = {bytes: ("bytes_list", tf.train.BytesList), float: ("float_list", tf.train.FloatList)}
    written = {}
    for name, values in features.items():
        kind, make = kinds.get(type(values[0]), ("int64_list", tf.train.Int64List))
        written[name] = tf.train.Feature(**{kind: make(value=values)})
    return tf.train.Example(features=tf.train.Features(feature=written)).SerializeToString()


def write_records(path, records, compression=""):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)


def make_files(root):
    """Files of every kind; case name to what is given to ``--from``, relative to ``root``."""
    cases = {}
    for name in ODD_NAMES:
        (root / name / "class a").mkdir(parents=True)
        for number in range(3):
            (root / name / "class a" / f"{number} {name}.png").write_bytes(PNG)
        cases[f"images {name}"] = name
        np.save(root / f"{name}.npy", np.zeros((5, 2), np.float32))
        cases[f"npy {name}"] = f"{name}.npy"
    (root / "flat").mkdir()
    for number, suffix in enumerate(["png", "PNG", "jpg"]):
        (root / "flat" / f"{number}.{suffix}").write_bytes(PNG)
    cases["images flat"] = "flat"

    records = [
        example({"image": [PNG], "ids": [1] * (1 + n % 3), "x": [0.5, 1.5], "label": [n], "no: {a}": [b"word"]})
        for n in range(40)
    ]
    for folder, compression in (("shards", "GZIP"), ("plain shards [1]", "")):
        (root / folder).mkdir()
        for part in range(2):
            write_records(root / folder / f"part-{part:05d}-of-00002", records[part::2], compression)
        cases[f"records {folder}"] = folder
    cases["records glob"] = "shards/part-*1-of-00002"
    write_records(root / "raw.tfrecord", [b"text", b"more"])
    cases["records raw"] = "raw.tfrecord"

    with (root / "table; 1.csv").open("w", newline="") as file:
        rows = [["id", "a;b", "empty", "words"], *([n, n / 4, "" if n % 2 else n, 'say "hi"; now'] for n in range(9))]
        csv.writer(file, delimiter=";").writerows(rows)
    cases["csv"] = "table; 1.csv"
    (root / "numbers.csv").write_text("".join(f"{n},{n}.5,{n}e-3\n" for n in range(7)))
    cases["csv without header"] = "numbers.csv"
    (root / "packed.csv").write_bytes(gzip.compress(b"a,b\n1,2\n3,4\n"))
    cases["csv packed"] = "packed.csv"

    np.savez(root / "both.npz", x=np.zeros((6, 4, 4), np.uint8), y=np.arange(6), mean=np.zeros(4))
    cases["npz"] = "both.npz"
    np.save(root / "big.npy", np.asfortranarray(np.ones((70, 3), np.float16)))
    cases["npy fortran"] = "big.npy"
    return cases


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """For each case what TensorFlow reads through the spec that init wrote; all cases in this process."""
    root = tmp_path_factory.mktemp("user") / "da[t]a"
    root.mkdir()
    cases = make_files(root)
    specs = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        (root.parent / "spécs 2").mkdir()
        for number, (case, source) in enumerate(cases.items()):
            # Half of the specs lie somewhere else than the files and the current folder.
            out = f"{number}.yaml" if number // 2 % 2 else f"../spécs 2/{number}.yaml"
            assert invoke(["init", "--from", source, "--out", out]) == 0, case
            specs[case] = (root / out).resolve()
        assert invoke(["init"]) == 0
        specs["example"] = root / "pipeprof.yaml"
    return {case: read_or_told(path) for case, path in specs.items()}


def test_everything_that_init_writes_runs_as_it_is(built):
    assert {case: result["error"] for case, result in built.items() if "error" in result} == {}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_leads_to_its_files_and_no_others(built, name):
    assert built[f"images {name}"] == {"elements": 3, "spec": ["float32", [None, 224, 224, 3]]}
    assert built[f"npy {name}"] == {"elements": 5, "spec": ["float32", [None, 2]]}


def test_class_folders_become_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes = sorted(["cat", "no", "with space", "a:b {c}, [d]", "12"])
    for number, name in enumerate(classes):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for each in range(number + 1):
            (folder / f"{each}.png").write_bytes(PNG)
    assert invoke(["init", "--from", "photos", "--out", "labelled.yaml"]) == 0
    loaded = load_spec(Path("labelled.yaml"))
    context = BuildContext(base_dir=loaded.base_dir, data_dirs={}, seed=None)
    images, labels = next(iter(build(loaded.data, context)))
    assert images.shape == (15, 224, 224, 3)
    # As many of each label as its folder has files, and labels are in the order of the names, as Keras' are.
    assert np.bincount(labels.numpy()).tolist() == [1, 2, 3, 4, 5]


def test_folders_of_images_of_all_suffixes(built):
    assert built["images flat"]["elements"] == 3
    assert built["example"]["elements"] == 60


@pytest.mark.parametrize(("case", "elements"), [("shards", 40), ("plain shards [1]", 40), ("glob", 20)])
def test_records_are_parsed_and_their_images_decoded(built, case, elements):
    assert built[f"records {case}"] == {
        "elements": elements,
        "spec": {
            "ids": ["int64", [None, None]],
            "image": ["float32", [None, 224, 224, 3]],
            "label": ["int64", [None]],
            "no: {a}": ["string", [None]],
            "x": ["float32", [None, 2]],
        },
    }


def test_records_of_another_kind_are_read_as_they_are(built):
    assert built["records raw"] == {"elements": 2, "spec": ["string", [None]]}


@pytest.mark.parametrize(
    ("case", "elements", "dtypes"),
    [
        ("csv", 9, ["int64", "float32", "int32", "string"]),
        ("csv without header", 7, ["int64", "float32", "float32"]),
        ("csv packed", 2, ["int64", "int64"]),
    ],
)
def test_no_row_of_a_table_is_lost_to_a_header_and_no_header_read_as_a_row(built, case, elements, dtypes):
    assert built[case]["elements"] == elements
    assert [dtype for dtype, _ in built[case]["spec"]] == dtypes


def test_arrays_are_sliced_along_their_first_axis(built):
    assert built["npz"] == {"elements": 6, "spec": {"x": ["uint8", [None, 4, 4]], "y": ["int64", [None]]}}
    assert built["npy fortran"] == {"elements": 70, "spec": ["float16", [None, 3]]}


JPEG = b"\xff\xd8\xff\xe0" + bytes(20)


def test_features_are_fixed_only_where_every_record_has_as_many_values(tmp_path):
    records = [
        example({"n": [1], "v": [1, 2], "x": [0.5, 1.0], "image": [JPEG], "t": [b"word"]}),
        example({"n": [2], "v": [1], "x": [0.5, 1.0], "image": [PNG], "t": [b""], "rare": [3]}),
    ]
    write_records(tmp_path / "a.tfrecord", records, "ZLIB")
    found = look(str(tmp_path))
    assert found.features == (
        Feature("image", "string", 1, "tf.io.decode_jpeg"),
        Feature("n", "int64", 1),
        Feature("rare", "int64", None),
        Feature("t", "string", 1),
        Feature("v", "int64", None),
        Feature("x", "float32", 2),
    )
    assert (found.files, found.looked_at, found.compression) == (1, 2, "ZLIB")
    assert found.patterns == (f"{tmp_path}/a.tfrecord",)


def test_records_of_another_kind_have_no_features(tmp_path):
    sequence = tf.train.SequenceExample()
    sequence.context.feature["n"].int64_list.value.append(1)
    sequence.feature_lists.feature_list["s"].feature.add().int64_list.value.append(1)
    for name, records in {"mixed": [example({"n": [1]}), b"text"], "sequence": [sequence.SerializeToString()]}.items():
        write_records(tmp_path / name, records)
        assert look(str(tmp_path / name)).features == ()


def test_what_are_no_records_is_refused(tmp_path):
    write_records(tmp_path / "kinds.tfrecord", [example({"n": [1]}), example({"n": [b"1"]})])
    write_records(tmp_path / "cut.tfrecord", [example({"n": [1] * 5000})])
    os.truncate(tmp_path / "cut.tfrecord", 100)
    data = bytearray((tmp_path / "kinds.tfrecord").read_bytes())
    data[12] ^= 1
    (tmp_path / "flipped.tfrecord").write_bytes(data)
    (tmp_path / "readme.md").write_text("text that is no record at all")
    for name, words in {
        "kinds.tfrecord": "feature 'n' has different types in different records: int64 and string",
        "cut.tfrecord": "not a TFRecord file",
        "flipped.tfrecord": "not a TFRecord file",
        "readme.md": "readme.md: not a TFRecord file",
    }.items():
        with pytest.raises(UsageError, match=words):
            look(str(tmp_path / name))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_next_command_is_told_on_stderr(here, capfd):
    assert invoke(["init", "--out", "my spec.yaml"]) == 0
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors == "Wrote my spec.yaml. Next: pipeprof run 'my spec.yaml'\n"
    load_spec(here / "my spec.yaml")
    assert [path.name for path in here.iterdir()] == ["my spec.yaml"]


def test_stdout_gets_the_spec_and_nothing_else(here, capfd):
    assert invoke(["init", "--out", "-"]) == 0
    output, errors = capfd.readouterr()
    assert output.startswith("# A tf.data pipeline for pipeprof")
    assert errors == ""
    assert list(here.iterdir()) == []


def test_nothing_is_written_over_without_force(here, capfd):
    Path("pipeprof.yaml").write_text("mine")
    assert invoke(["init"]) == 2
    assert capfd.readouterr().err == (
        "pipeprof: error: --out pipeprof.yaml: the file exists; use --force to overwrite it, or another name\n"
    )
    assert Path("pipeprof.yaml").read_text() == "mine"
    assert invoke(["init", "--force"]) == 0
    assert Path("pipeprof.yaml").read_text() != "mine"
    Path("dangling.yaml").symlink_to("nowhere.yaml")
    assert invoke(["init", "--out", "dangling.yaml"]) == 2
    assert not (here / "nowhere.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "missing/a.yaml"], "the folder missing does not exist"),
        (["--out", "."], "the name of a folder"),
        (["--from", "t.csv", "--out", "t.csv", "--force"], "the spec would read this file"),
        (["--from", "missing"], "missing: no such file or folder"),
        (["--from", "empty"], "empty: no file of a kind that init knows"),
    ],
)
def test_wrong_usage_is_one_sentence_and_writes_nothing(here, capfd, arguments, words):
    Path("t.csv").write_text("a,b\n1,2\n")
    Path("empty").mkdir()
    assert invoke(["init", *arguments]) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("pipeprof: error: ")
    assert words in errors
    assert errors.count("\n") == 1
    assert sorted(path.name for path in here.iterdir()) == ["empty", "t.csv"]
    assert Path("t.csv").read_text() == "a,b\n1,2\n"
