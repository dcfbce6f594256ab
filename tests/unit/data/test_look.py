"""What a user's files are, told without TensorFlow."""

import gzip
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.data.inspect.look import look
from pipeprof.pipelines.data.inspect.look_numpy import look_at_arrays
from pipeprof.pipelines.data.inspect.look_records import Feature
from pipeprof.pipelines.data.inspect.records import (
    FeatureValues,
    RecordError,
    compression_of,
    masked_crc32c,
    read_example,
    read_records,
)
from pipeprof.pipelines.errors import UsageError

JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def feature(values, packed=True):
    """A tf.train.Feature on the wire."""
    if values and isinstance(values[0], bytes):
        return field(1, b"".join(field(1, value) for value in values))
    if values and isinstance(values[0], float):
        items = [struct.pack("<f", value) for value in values]
        return field(2, field(1, b"".join(items)) if packed else b"".join(varint(1 << 3 | 5) + item for item in items))
    items = [varint(value) for value in values]
    return field(3, field(1, b"".join(items)) if packed else b"".join(varint(1 << 3) + item for item in items))


def example(features, **options):
    """A serialised tf.train.Example."""
    entries = [field(1, name.encode()) + field(2, feature(values, **options)) for name, values in features.items()]
    return field(1, b"".join(field(1, entry) for entry in entries))


def framed(record):
    length = struct.pack("<Q", len(record))
    return length + struct.pack("<I", masked_crc32c(length)) + record + struct.pack("<I", masked_crc32c(record))


def write(path, *records, compress=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(map(framed, records))
    path.write_bytes(compress(data) if compress else data)
    return path


def table(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return look(str(path))


def test_the_checksum_is_crc32c_rotated_and_shifted():
    published = 0xE3069283
    rotated = (published >> 15 | published << 17) & 0xFFFFFFFF
    assert masked_crc32c(b"123456789") == (rotated + 0xA282EAD8) & 0xFFFFFFFF


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5)
        | st.lists(st.floats(width=32), min_size=1, max_size=5)
        | st.lists(st.binary(max_size=5), min_size=1, max_size=5),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_examples_are_read_whether_packed_or_not(features, packed):
    kinds = {int: "int64", float: "float32", bytes: "string"}
    found = read_example(example(features, packed=packed))
    assert {name: (values.kind, values.count) for name, values in found.items()} == {
        name: (kinds[type(values[0])], len(values)) for name, values in features.items()
    }


@given(st.binary(max_size=60))
def test_anything_else_is_no_example_and_no_crash(record):
    found = read_example(record)
    assert found is None or all(isinstance(values, FeatureValues) for values in found.values())


def test_a_sequence_example_is_no_example():
    assert read_example(example({"a": [1]}) + field(2, b"")) is None


def test_an_empty_list_has_a_kind_and_no_list_at_all_has_none():
    entry = field(1, b"a") + field(2, field(3, b""))
    assert read_example(field(1, field(1, entry))) == {"a": FeatureValues("int64", 0)}
    entry = field(1, b"a") + field(2, b"")
    assert read_example(field(1, field(1, entry))) == {"a": FeatureValues(None, 0)}


@pytest.mark.parametrize("compress", [None, gzip.compress])
def test_records_come_back_as_they_were_written(tmp_path, compress):
    path = write(tmp_path / "a", b"one", b"", b"three" * 1000, compress=compress)
    found = compression_of(path)
    assert found == ("GZIP" if compress else "")
    assert list(read_records(path, found, 10)) == [b"one", b"", b"three" * 1000]
    assert list(read_records(path, found, 2)) == [b"one", b""]


@pytest.mark.parametrize(
    "data", [b"", b"text\n" * 10, zlib.compress(b"x" * 100), gzip.compress(b"hello", mtime=0), b"\x1f\x8b"]
)
def test_other_files_are_no_record_files(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert compression_of(tmp_path / "a") is None


@pytest.mark.parametrize(
    ("place", "words"),
    [(8, "record 0 has a wrong checksum of its length"), (12, "record 0 has a wrong checksum"), (-1, "wrong checksum")],
)
def test_a_flipped_byte_is_noticed(tmp_path, place, words):
    path = write(tmp_path / "a.tfrecord", b"some record")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordError, match=words):
        list(read_records(path, "", 10))
    with pytest.raises(UsageError, match="not a valid TFRecord file: record 0"):
        look(str(path))


@pytest.mark.parametrize("compress", [None, gzip.compress])
def test_a_file_that_was_cut_off_is_noticed(tmp_path, compress):
    path = write(tmp_path / "a.tfrecord", b"first", np.random.default_rng(0).bytes(5000), compress=compress)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"a\.tfrecord: not a valid TFRecord file: .*record 1"):
        look(str(path))


def test_features_are_fixed_only_where_every_record_has_as_many_values(tmp_path):
    write(
        tmp_path / "s" / "a-0",
        example({"n": [1], "v": [1, 2], "x": [0.5, 1.0], "image": [JPEG], "t": [b"word"]}),
        example({"n": [2], "v": [1], "x": [0.5, 1.0], "image": [PNG], "t": [b"word"], "rare": [3]}),
    )
    write(tmp_path / "s" / "a-1", example({"n": [3], "v": [1, 2], "x": [0.5, 1.0], "image": [JPEG], "t": [b""]}))
    found = look(str(tmp_path / "s"))
    assert found.features == (
        Feature("image", "string", 1, "tf.io.decode_jpeg"),
        Feature("n", "int64", 1),
        Feature("rare", "int64", None),
        Feature("t", "string", 1),
        Feature("v", "int64", None),
        Feature("x", "float32", 2),
    )
    assert (found.files, found.looked_at, found.compression) == (2, 3, "")
    assert found.patterns == (f"{tmp_path}/s/*",)


def test_a_feature_of_two_kinds_is_refused(tmp_path):
    path = write(tmp_path / "a.tfrecord", example({"n": [1]}), example({"n": [b"1"]}))
    with pytest.raises(UsageError, match="feature 'n' has different types in different records: int64 and string"):
        look(str(path))


def test_records_of_another_kind_have_no_features(tmp_path):
    found = look(str(write(tmp_path / "a.tfrecord", example({"n": [1]}), b"plain text")))
    assert found.features == ()


def test_shards_that_are_compressed_differently_are_refused(tmp_path):
    write(tmp_path / "a.tfrecord", example({"n": [1]}))
    write(tmp_path / "b.tfrecord", example({"n": [1]}), compress=gzip.compress)
    with pytest.raises(UsageError, match="compressed differently"):
        look(str(tmp_path))


def images(folder, *names, data=JPEG):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["a.jpg", "b.jpg"], ["*.jpg"]),
        (["x/a.jpg", "y/b.JPG", "y/c.jpeg"], ["*/*.JPG", "*/*.jpeg", "*/*.jpg"]),
        (["train/x/a.jpg", "top.jpg"], ["*.jpg", "*/*/*.jpg"]),
    ],
)
def test_images_are_found_in_the_folder_and_below(tmp_path, names, patterns):
    images(tmp_path / "we[i]rd", *names)
    (tmp_path / "we[i]rd" / "labels.txt").write_text("ignored")
    images(tmp_path / "we[i]rd", ".hidden.jpg", ".cache/a.jpg")
    found = look(str(tmp_path / "we[i]rd"))
    assert found.patterns == tuple(f"{tmp_path}/we[[]i]rd/{pattern}" for pattern in patterns)
    assert (found.count, found.decoder) == (len(names), "tf.io.decode_jpeg")


@pytest.mark.parametrize(
    ("names", "classes", "splits"),
    [
        (["cat/a.jpg", "dog/a.jpg"], ("cat", "dog"), ""),
        (["train/cat/a.jpg", "train/dog/a.jpg"], ("cat", "dog"), ""),
        (["val/cat/a.jpg", "val/dog/a.jpg", "train/cat/a.jpg", "train/dog/a.jpg"], ("cat", "dog"), "train, val"),
        (["train/cat/a.jpg", "train/dog/a.jpg", "val/cat/a.jpg"], (), "train, val"),
        (["ann/cat/a.jpg", "ann/dog/a.jpg", "ben/cat/a.jpg", "ben/dog/a.jpg"], (), ""),
        (["cat/a.jpg"], (), ""),
        (["cat/a.jpg", "dog/a.jpg", "a.jpg"], (), ""),
        (["cat/a.jpg", "dog/a/b.jpg"], (), ""),
    ],
)
def test_folders_of_images_are_classes_one_level_below_or_in_each_split(tmp_path, names, classes, splits):
    images(tmp_path / "photos", *names)
    notes = []
    assert look(str(tmp_path / "photos"), notes.append).classes == classes
    assert [f"the spec reads all of {splits}: " in note for note in notes] == [True] * bool(splits)
    if splits:
        assert f"--from {tmp_path}/photos/train/ reads one of them" in notes[0]


def test_png_images_get_their_own_decoder(tmp_path):
    images(tmp_path, "a.png", "b.png", data=PNG)
    assert look(str(tmp_path)).decoder == "tf.io.decode_png"
    assert look(f"{tmp_path}/*.png").patterns == (f"{tmp_path}/*.png",)


@pytest.mark.parametrize(
    ("text", "delimiter", "header", "columns"),
    [
        ("a,b,c\n1,2.5,x\n3,4,y\n", ",", True, ["a int64", "b float32", "c string"]),
        ("1;2,5;x\n3;4,5;y\n", ";", False, ["column 0 int64", "column 1 string", "column 2 string"]),
        ('name\tn\n"a, b"\t1\n', "\t", True, ["name string", "n int64"]),
        ("a,b\n1,\n,2.5\n", ",", True, ["a int32 gaps", "b float32 gaps"]),
        ("a,b\n3000000000,\n,1e-3\n", ",", True, ["a float32 gaps", "b float32 gaps"]),
        ("\ufeffid|x\r\n1|nan\r\n2|-inf\r\n", "|", True, ["id int64", "x float32"]),
        ("word,other\nsome,text\nmore,text\n", ",", True, ["word string", "other string"]),
        ("same,text\nsame,text\n", ",", False, ["column 0 string", "column 1 string"]),
        ("7\n8\n", ",", False, ["column 0 int64"]),
        ("1,2\n", ",", False, ["column 0 int64", "column 1 int64"]),
        ('a,b\n"line\nbreak",1\n', ",", True, ["a string", "b int64"]),
        ("a,b\n99999999999999999999,1\n", ",", True, ["a float32", "b int64"]),
        ("a,b\n1_000,True\n", ",", True, ["a string", "b string"]),
    ],
)
def test_tables(tmp_path, text, delimiter, header, columns):
    found = table(tmp_path / "t.csv", text)
    assert (found.delimiter, found.header, found.gzip) == (delimiter, header, False)
    assert [f"{c.name} {c.dtype}{' gaps' * c.gaps}" for c in found.columns] == columns


def test_a_compressed_table(tmp_path):
    (tmp_path / "t.csv").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert look(str(tmp_path / "t.csv")).gzip


def test_a_table_longer_than_what_is_looked_at_ends_at_a_whole_line(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeprof.pipelines.data.inspect.look_csv._BYTES_LOOKED_AT", 20)
    found = table(tmp_path / "t.csv", "a,b\n" + "1,22222\n" * 100)
    assert [column.dtype for column in found.columns] == ["int64", "int64"]


def test_what_is_no_table_is_refused(tmp_path):
    for data in (b'"' + b"a" * 500_000, gzip.compress(b"a,b\n1,2\n" * 50)[:12] + b"\xff" * 20):
        (tmp_path / "t.csv").write_bytes(data)
        with pytest.raises(UsageError, match=r"t\.csv: "):
            look(str(tmp_path / "t.csv"))


def test_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 2), np.uint8))
    (array,) = look(str(tmp_path / "x.npy")).arrays
    assert (array.key, array.shape, array.dtype, array.bytes) == (None, (5, 2), "uint8", 10)
    np.savez(tmp_path / "x.npz", a=np.zeros((5, 2)), b=np.zeros(5, np.int64), c=np.zeros(3), d=np.array(1), e=["text"])
    found = look(str(tmp_path / "x.npz"))
    assert [array.key for array in found.arrays] == ["a", "b"]
    assert found.left_out == ("c", "d", "e")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array(3), "holds a single value without dimensions"),
        (np.zeros((0, 3)), "is empty"),
        (np.array(["a"]), "holds values of type <U1"),
        (np.array([{}]), "holds Python objects"),
        (np.zeros(3, ">f4"), "foreign byte order"),
        (np.zeros(3, "datetime64[s]"), "holds values of type datetime64"),
    ],
)
def test_arrays_that_cannot_be_sliced(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UsageError, match=words):
        look(str(tmp_path / "x.npy"))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_header_of_four_gigabytes_is_damage_and_is_not_read(tmp_path, suffix, version):
    path = tmp_path / f"x{suffix}"
    head = b"\x93NUMPY" + bytes([version, 0]) + b"\xff\xff\xff\xff" + b"{"
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", head)
        described = {"npz": path.name, "key": "x"}
    else:
        with path.open("wb") as file:
            file.write(head)
            file.truncate(2**32 + 100)
        described = {"npy": path.name}
    with pytest.raises(UsageError, match="header claims to be 4,294,967,295 bytes long"):
        look_at_arrays(path)
    with pytest.raises(ValueError, match="header claims to be 4,294,967,295 bytes long"):
        BuildContext(tmp_path).array(described)


HEADERS = ["[]", "{}", "{'descr': '<f4', 'shape': 3}", "{'descr': '<f4', 'shape': ('a',)}", "(" * 5000, "1 +"]


@pytest.mark.parametrize("header", HEADERS)
def test_nonsense_in_a_header_is_nothing_known(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(UsageError, match=r"not a valid \.npy file"):
        look_at_arrays(tmp_path / "x.npy")


@pytest.mark.parametrize("shape", ["(99999999999999999999, 3)", "(-1,)"])
def test_a_shape_that_no_array_has(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(UsageError, match=r"truncated|is empty"):
        look(str(tmp_path / "x.npy"))


@pytest.mark.parametrize(("offset", "value"), [(6, 1), (8, 99)])
def test_an_archive_that_is_locked_or_of_another_kind(tmp_path, offset, value):
    np.savez_compressed(tmp_path / "x.npz", x=np.arange(100))
    data = bytearray((tmp_path / "x.npz").read_bytes())
    for at in (0, data.find(b"PK\x01\x02") + 2):
        data[at + offset] = value
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(UsageError, match=r"not a valid \.npz file"):
        look(str(tmp_path / "x.npz"))


def test_what_is_there_and_what_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    images(tmp_path / "mixed", "a.jpg")
    (tmp_path / "mixed" / "b.csv").write_text("a\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.md").write_text("text")
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "a.jpg").write_bytes(b"GIF89a")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "ragged.csv").write_text("a,b\n1\n")
    (tmp_path / "binary.csv").write_bytes(b"a,b\n\0\0\n")
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    np.save(tmp_path / "cut.npy", np.zeros(1000))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:500])
    (tmp_path / "empty.tfrecord").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    np.save(tmp_path / "one.npy", np.zeros(2))
    np.save(tmp_path / "two.npy", np.zeros(2))
    for text, words in {
        "missing": "missing: no such file or folder",
        "*.parquet": "no such file or folder",
        "empty": "empty: empty folder",
        "mixed": "files of several kinds (csv, image)",
        "notes": "no file of a kind that init knows",
        "notes/readme.md": "notes/readme.md: not a kind of data that init knows",
        "a.jpg": "is a single image: use its folder",
        "wrong": "wrong/a.jpg: neither JPEG nor PNG",
        "empty.csv": "is empty",
        "ragged.csv": "rows have 1 to 2 fields",
        "binary.csv": "is not text",
        "bad.npy": "not a valid .npy file",
        "bad.npz": "not a valid .npz file",
        "cut.npy": "truncated",
        "empty.tfrecord": "holds no records",
        "dangling": "cannot be read",
        "???.npy": "4 saved arrays match",
    }.items():
        with pytest.raises(UsageError) as caught:
            look(text)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_files_of_a_folder_are_matched_and_nothing_else(tmp_path):
    for name in ("train-0", "train-1"):
        write(tmp_path / name, example({"n": [1]}))
    (tmp_path / "notes.md").write_text("text")
    assert look(str(tmp_path)).patterns == (f"{tmp_path}/train-*",)
    write(tmp_path / "val-0", example({"n": [1]}))
    assert look(str(tmp_path)).patterns == tuple(f"{tmp_path}/{name}" for name in ("train-0", "train-1", "val-0"))


def test_nothing_waits_for_a_pipe(tmp_path):
    (tmp_path / "table.csv").write_text("x,y\n1,2\n3,4\n")
    for name in ("pipe.csv", "pipe.npy", "pipe.tfrecord", "pipe", "pipe.jpg"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UsageError, match=f"{name} is a device or a pipe: init reads a folder of JPEG"):
            look(str(tmp_path / name))
    # In a folder they are none of the data.
    assert vars(look(str(tmp_path)))["patterns"] == (f"{tmp_path}/table.csv",)
