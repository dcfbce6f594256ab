"""``pipeprof init`` over real files: what it writes is built and read by TensorFlow as it is."""

from __future__ import annotations

import base64
import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.example_data import made

from pipeprof.cli.main import invoke
from pipeprof.pipelines.build.dataset import BuildContext, build, load_arrays
from pipeprof.pipelines.data.look import Feature, RecordsFound, look
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.load import load_spec

# A picture of 8 × 8 pixels.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAJklEQVR42mNgkLOJqpi25dIHPh2vjLYlhx78k7GKKJuyiWFoSQAAC7VawSnFpKgAAAAASUVORK5CYII="
)
JPEG_START = b"\xff\xd8\xff\xe0" + bytes(20)
ODD_NAMES = ['it\'s "quoted" – 😀', "a:b {c}, we[i]rd*?", "#1 & %d", "~t b\\s", "data:x", "- no"]
IMAGES = ["float32", [None, 224, 224, 3]]


def read(path: Path) -> tuple[int, Any]:
    """How many elements TensorFlow reads through a spec, and their dtypes and shapes."""
    loaded = load_spec(path)
    if loaded.spec.data:
        loaded = load_spec(path, ["data.photos.image_folder.count=60"])
    context = BuildContext(base_dir=loaded.base_dir, data_dirs=made(loaded.spec), seed=None)
    load_arrays(loaded.data, context)
    dataset = build(loaded.data, context)
    elements = 0
    for batch in dataset:
        first = tf.nest.flatten(batch)[0]
        elements += int(first.dense_shape[0] if isinstance(first, tf.sparse.SparseTensor) else first.shape[0])
    return elements, tf.nest.map_structure(lambda part: [part.dtype.name, part.shape.as_list()], dataset.element_spec)


def example(features: dict[str, list[Any]]) -> bytes:
    """A serialised tf.train.Example of byte strings, floats or integers."""
    kinds = {bytes: ("bytes_list", tf.train.BytesList), float: ("float_list", tf.train.FloatList)}
    written = {}
    for name, values in features.items():
        kind, make = kinds.get(type(values[0]), ("int64_list", tf.train.Int64List))
        written[name] = tf.train.Feature(**{kind: make(value=values)})
    return bytes(tf.train.Example(features=tf.train.Features(feature=written)).SerializeToString())


def write_records(path: Path, records: list[bytes], compression: str = "") -> None:
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)


def make_files(root: Path) -> dict[str, tuple[int, Any]]:
    """Files of every kind; what is given to ``--from`` and what is read of it."""
    expected: dict[str, tuple[int, Any]] = {}
    for name in ODD_NAMES:
        (root / name / "class a").mkdir(parents=True)
        for number in range(3):
            (root / name / "class a" / f"{number} {name}.png").write_bytes(PNG)
        np.save(root / f"{name}.npy", np.zeros((5, 2), np.float32))
        expected |= {name: (3, IMAGES), f"{name}.npy": (5, ["float32", [None, 2]])}
    (root / "flat").mkdir()
    for number, suffix in enumerate(["png", "PNG", "jpg"]):
        (root / "flat" / f"{number}.{suffix}").write_bytes(PNG)
    expected["flat"] = (3, IMAGES)

    written = [
        example({"image": [PNG], "ids": [1] * (1 + n % 3), "x": [0.5, 1.5], "label": [n], "no: {a}": [b"word"]})
        for n in range(40)
    ]
    for folder, compression in (("shards", "GZIP"), ("plain shards [1]", "")):
        for part in range(2):
            write_records(root / folder / f"part-{part:05d}-of-00002", written[part::2], compression)
    parsed = {
        "ids": ["int64", [None, None]],
        "image": IMAGES,
        "label": ["int64", [None]],
        "no: {a}": ["string", [None]],
        "x": ["float32", [None, 2]],
    }
    expected |= {"shards": (40, parsed), "plain shards [1]": (40, parsed), "shards/part-*1-of-00002": (20, parsed)}
    write_records(root / "raw.tfrecord", [b"text", b"more"])
    expected["raw.tfrecord"] = (2, ["string", [None]])

    with (root / "table; 1.csv").open("w", newline="") as file:
        rows = [["id", "a;b", "empty", "words"], *([n, n / 4, "" if n % 2 else n, 'say "hi"; now'] for n in range(9))]
        csv.writer(file, delimiter=";").writerows(rows)
    (root / "numbers.csv").write_text("".join(f"{n},{n}.5,{n}e-3\n" for n in range(7)))
    for name, count, dtypes in (
        ("table; 1.csv", 9, ["int64", "float32", "int32", "string"]),
        ("numbers.csv", 7, ["int64", "float32", "float32"]),
    ):
        expected[name] = (count, tuple([dtype, [None]] for dtype in dtypes))

    np.savez(root / "both.npz", x=np.zeros((6, 4, 4), np.uint8), y=np.arange(6), mean=np.zeros(4))
    expected["both.npz"] = (6, {"x": ["uint8", [None, 4, 4]], "y": ["int64", [None]]})
    np.save(root / "big.npy", np.asfortranarray(np.ones((70, 3), np.float16)))
    expected["big.npy"] = (70, ["float16", [None, 3]])
    return expected


def test_everything_that_init_writes_reads_its_files_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "da[t]a"
    root.mkdir()
    (tmp_path / "spécs 2").mkdir()
    expected = make_files(root)
    monkeypatch.chdir(root)
    for number, (source, whole) in enumerate(expected.items()):
        # Half of the specs lie somewhere else than the files and the current folder.
        out = Path(f"{number}.yaml" if number // 2 % 2 else f"../spécs 2/{number}.yaml")
        assert invoke(["init", "--from", source, "--out", str(out)]) == 0, source
        assert read(out.resolve()) == whole, source
    assert invoke(["init"]) == 0
    assert read(Path("pipeprof.yaml")) == (60, IMAGES)


def test_class_folders_become_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(sorted(["cat", "no", "with space", "a:b {c}, [d]", "12"])):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for each in range(number + 1):
            (tmp_path / "photos" / name / f"{each}.png").write_bytes(PNG)
    assert invoke(["init", "--from", "photos", "--out", "labelled.yaml"]) == 0
    loaded = load_spec(Path("labelled.yaml"))
    images, labels = next(iter(build(loaded.data, BuildContext(base_dir=loaded.base_dir, data_dirs={}, seed=None))))
    assert images.shape == (15, 224, 224, 3)
    # As many of each label as its folder has files, and labels are in the order of the names, as Keras' are.
    assert np.bincount(labels.numpy()).tolist() == [1, 2, 3, 4, 5]


def test_features_are_fixed_only_where_every_record_has_as_many_values(tmp_path: Path) -> None:
    records = [
        example({"n": [1], "v": [1, 2], "x": [0.5, 1.0], "image": [JPEG_START], "t": [b"word"]}),
        example({"n": [2], "v": [1], "x": [0.5, 1.0], "image": [PNG], "t": [b""], "rare": [3]}),
    ]
    write_records(tmp_path / "a.tfrecord", records, "ZLIB")
    features = (
        Feature("image", "string", 1, "tf.io.decode_jpeg"),
        Feature("n", "int64", 1),
        Feature("rare", "int64", None),
        Feature("t", "string", 1),
        Feature("v", "int64", None),
        Feature("x", "float32", 2),
    )
    assert look(str(tmp_path)) == RecordsFound((f"{tmp_path}/a.tfrecord",), 1, "ZLIB", features, 2)
    # The context of a sequence looks like an example.
    sequence = tf.train.SequenceExample()
    sequence.context.feature["n"].int64_list.value.append(1)
    sequence.feature_lists.feature_list["s"].feature.add().int64_list.value.append(1)
    for name, others in {"mixed": [example({"n": [1]}), b"text"], "sequence": [sequence.SerializeToString()]}.items():
        write_records(tmp_path / name, others)
        found = look(str(tmp_path / name))
        assert isinstance(found, RecordsFound)
        assert found.features == ()


def test_what_are_no_records_is_refused(tmp_path: Path) -> None:
    write_records(tmp_path / "kinds.tfrecord", [example({"n": [1]}), example({"n": [b"1"]})])
    write_records(tmp_path / "cut.tfrecord", [example({"n": [1] * 5000})])
    os.truncate(tmp_path / "cut.tfrecord", 100)
    data = bytearray((tmp_path / "kinds.tfrecord").read_bytes())
    data[12] ^= 1
    (tmp_path / "flipped.tfrecord").write_bytes(data)
    (tmp_path / "readme.md").write_text("text that is no record at all")
    (tmp_path / "short.tfrecord").write_text("text")
    for name in ("kinds.tfrecord", "cut.tfrecord", "flipped.tfrecord", "readme.md", "short.tfrecord"):
        with pytest.raises(UsageError) as caught:
            look(str(tmp_path / name))
        assert "{{" not in str(caught.value)


def test_no_file_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["init", "--out", "-"]) == 0
    output, errors = capfd.readouterr()
    assert (output.startswith("# "), errors, [*tmp_path.iterdir()]) == (True, "", [])
    Path("spec.yaml").write_text("mine")
    Path("t.csv").write_text("a,b\n1,2\n")
    Path("dangling.yaml").symlink_to("nowhere.yaml")
    for arguments in (
        ("--from", "t.csv", "--out", "spec.yaml"),
        ("--out", "dangling.yaml"),
        ("--from", "t.csv", "--out", "t.csv", "--force"),
        ("--from", "missing"),
    ):
        assert invoke(["init", *arguments]) == 2
        output, errors = capfd.readouterr()
        assert (output, errors.count("\n")) == ("", 1), errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling.yaml", "spec.yaml", "t.csv"]
    assert Path("spec.yaml").read_text() == "mine"
    assert invoke(["init", "--from", "t.csv", "--out", "spec.yaml", "--force"]) == 0
    assert Path("spec.yaml").read_text() != "mine"
