"""What a user's files are, told without TensorFlow; `integration/test_init` has records."""

import gzip
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeprof.pipelines.data.look import CsvFound, ImagesFound, look
from pipeprof.pipelines.errors import UsageError

JPEG, PNG = "tf.io.decode_jpeg", "tf.io.decode_png"


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "patterns", "decoder"),
    [
        (["a.jpg", "b.jpg"], ["*.jpg"], JPEG),
        (["x/a.jpg", "y/b.JPG", "y/c.png"], ["*/*.JPG", "*/*.jpg", "*/*.png"], JPEG),
        (["train/x/a.png", "top.png"], ["*.png", "*/*/*.png"], PNG),
    ],
)
def test_images_are_found_in_the_folder_and_below(tmp_path, names, patterns, decoder):
    folder = files(tmp_path / "we[i]rd", *names, "labels.txt", ".hidden.jpg", ".cache/a.jpg", "a/b/c/deep.jpg")
    found = look(str(folder))
    assert found.patterns == tuple(f"{tmp_path}/we[[]i]rd/{pattern}" for pattern in patterns)
    assert (found.count, found.decoder) == (len(names), decoder)
    pattern = f"{tmp_path}/*/{names[0]}"
    assert look(pattern) == ImagesFound((pattern,), 1, PNG if names[0].endswith("png") else JPEG)


@pytest.mark.parametrize(
    ("names", "classes", "splits"),
    [
        (["cat/a.jpg", "dog/a.jpg"], ("cat", "dog"), ""),
        (["val/cat/a.jpg", "val/dog/a.jpg", "train/cat/a.jpg", "train/dog/a.jpg"], ("cat", "dog"), "train, val"),
        (["train/cat/a.jpg", "train/dog/a.jpg", "val/cat/a.jpg"], (), "train, val"),
        (["ann/cat/a.jpg", "ann/dog/a.jpg", "ben/cat/a.jpg", "ben/dog/a.jpg"], (), ""),
        (["cat/a.jpg", "dog/a.jpg", "a.jpg"], (), ""),
    ],
)
def test_folders_of_images_are_classes_one_level_below_or_in_each_split(tmp_path, names, classes, splits):
    notes: list[str] = []
    found = look(str(files(tmp_path / "photos", *names)), notes.append)
    assert found.classes == classes
    assert [splits in note and f"--from {tmp_path}/photos/train/ " in note for note in notes] == [True] * bool(splits)


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["train-00-of-02.csv", "train-01-of-02.csv", "a.CSV"], ["a.CSV", "train-*-of-*.csv"]),
        (["a[1].csv", "b2.csv", "c.csv.md"], ["*.csv"]),
        # No file is matched twice.
        (["cat1.tsv", "cat2.csv", "catx.tsv"], ["cat1.tsv", "cat2.csv", "catx.tsv"]),
    ],
)
def test_patterns_match_the_files_of_a_folder_and_nothing_else(tmp_path, names, patterns):
    for name in names:
        (tmp_path / name).write_text("a,b\n1,2\n")
    found = look(str(tmp_path))
    assert isinstance(found, CsvFound)
    assert found.patterns == tuple(f"{tmp_path}/{pattern}" for pattern in patterns)


@pytest.mark.parametrize(
    ("text", "delimiter", "header", "columns"),
    [
        ("a,b,c\n1,2.5,x\n3,4,y\n", ",", True, ["a int64", "b float32", "c string"]),
        ("1;2,5;x\n3;4,5;y\n", ";", False, ["column 0 int64", "column 1 string", "column 2 string"]),
        ('name\tn\n"a, b"\t1\n', "\t", True, ["name string", "n int64"]),
        ("a,b\n1,\n,2.5\n", ",", True, ["a int32 gaps", "b float32 gaps"]),
        ("a,b\n3000000000,\n,1e-3\n", ",", True, ["a float32 gaps", "b float32 gaps"]),
        ("\ufeffid|x\r\n1|nan\r\n2|-inf\r\n", "|", True, ["id int64", "x float32"]),
        ("1,2\n", ",", False, ["column 0 int64", "column 1 int64"]),
        ("a,b\n1_000,True\n", ",", True, ["a string", "b string"]),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_tables(tmp_path, text, delimiter, header, columns):
    (tmp_path / "t.csv").write_bytes(text.encode())
    found = look(str(tmp_path))
    assert (found.patterns, found.delimiter, found.header) == ((f"{tmp_path}/t.csv",), delimiter, header)
    assert [f"{c.name} {c.dtype}{' gaps' * c.gaps}" for c in found.columns] == columns


def test_arrays_that_can_be_sliced_together(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 2), np.uint8))
    (array,) = look(str(tmp_path / "x.npy")).arrays
    assert (array.key, array.shape, array.dtype, array.bytes) == (None, (5, 2), "uint8", 10)
    np.savez(tmp_path / "x.npz", a=np.zeros((5, 2)), b=np.zeros(5, np.int64), c=np.zeros(3), d=np.array(1), e=["text"])
    found = look(str(tmp_path / "x.npz"))
    assert ([array.key for array in found.arrays], found.left_out) == (["a", "b"], ("c", "d", "e"))


@pytest.mark.parametrize(
    "array",
    [np.array(3), np.zeros((0, 3)), np.array(["a"]), np.array([{}]), np.zeros(3, ">f4"), np.zeros(3, "datetime64[s]")],
)
def test_arrays_that_cannot_be_sliced(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UsageError, match=r"x\.npy: [^\n]*$"):
        look(str(tmp_path / "x.npy"))


NEGATIVE = "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"


@pytest.mark.parametrize("header", ["[]", "{}", "{'descr': '<f4', 'shape': 3}", "(" * 5000, "1 +", NEGATIVE])
def test_nonsense_in_a_header(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(UsageError, match=r"x\.npy: [^\n]*$"):
        look(str(tmp_path / "x.npy"))


def test_a_header_of_four_gigabytes_that_are_not_there_is_damage(tmp_path):
    head = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", head)
    with pytest.raises(UsageError, match="4294967295"):
        look(str(tmp_path / "x.npz"))


def test_what_is_there_and_what_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files(tmp_path, "notes/readme.md", "mixed/a.jpg", "mixed/b.csv", "empty.csv", "empty.tfrecord")
    Path("empty").mkdir()
    Path("ragged.csv").write_text("a,b\n1\n")
    Path("binary.csv").write_bytes(b"a,b\n\0\0\n")
    Path("long.csv").write_bytes(b'"' + b"a" * 500_000)
    Path("packed.csv").write_bytes(gzip.compress(b"a,b\n1,2\n" * 50))
    for name in ("bad.npy", "bad.npz"):
        Path(name).write_bytes(b"nothing")
    np.save("cut.npy", np.zeros(1000))
    Path("cut.npy").write_bytes(Path("cut.npy").read_bytes()[:500])
    Path("dangling.csv").symlink_to("nowhere")
    names = "missing *.parquet empty mixed notes empty.csv ragged.csv binary.csv long.csv packed.csv bad.npy bad.npz"
    for name in [*names.split(), "cut.npy", "empty.tfrecord", "dangling.csv"]:
        with pytest.raises(UsageError) as caught:
            look(name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_nothing_waits_for_a_pipe(tmp_path):
    (tmp_path / "table.csv").write_text("x,y\n1,2\n3,4\n")
    for name in ("pipe.csv", "pipe.npy", "pipe.tfrecord", "pipe"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UsageError, match=f"{name} is a device or a pipe"):
            look(str(tmp_path / name))
    # In a folder they are none of the data.
    found = look(str(tmp_path))
    assert isinstance(found, CsvFound)
    assert found.patterns == (f"{tmp_path}/table.csv",)
