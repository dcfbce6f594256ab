"""Arrays and files of a spec."""

import numpy as np
import pytest

from pipeprof.pipelines.build.arrays import BuildContext, fill
from pipeprof.pipelines.errors import PlainError


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8", "int64", "bool", "complex64"])
def test_random_arrays_depend_on_the_seed_alone(dtype):
    made = fill([50, 7], dtype, seed=3)
    assert made.shape == (50, 7)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, fill([50, 7], dtype, seed=3))
    assert not np.array_equal(made, fill([50, 7], dtype, seed=4))
    assert len(np.unique(made)) > 1
    if not dtype.startswith("complex"):
        assert made.min() >= 0


def test_arrays_are_read_once_and_without_pickle(tmp_path):
    context = BuildContext(tmp_path, {"made": tmp_path})
    np.save(tmp_path / "x.npy", np.arange(3))
    np.savez(tmp_path / "s.npz", a=np.ones(2))
    mapped = context.array({"npy": "data:made/x.npy", "mmap_mode": "r"})
    assert isinstance(mapped, np.memmap)
    assert context.array({"mmap_mode": "r", "npy": "data:made/x.npy"}) is mapped
    assert context.array({"npz": "s.npz", "key": "a"}).tolist() == [1, 1]
    with pytest.raises(KeyError, match="expected one of a"):
        context.array({"npz": "s.npz", "key": "b"})
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        context.array({"npy": "o.npy"})
    assert sorted(nbytes for _, nbytes in context.held()) == [16, 24]


def test_columns(tmp_path):
    (tmp_path / "table.csv").write_text("n;x;t\n1;;a\n2;1.5;b\n")
    (tmp_path / "uneven.csv").write_text("n,x\n1\n")
    context = BuildContext(tmp_path)
    columns = context.array({"csv": "table.csv", "field_delim": ";"})
    assert {name: column.dtype.kind for name, column in columns.items()} == {"n": "i", "x": "f", "t": "U"}
    assert np.isnan(columns["x"][0])
    with pytest.raises(ValueError, match=r"uneven\.csv:2: 1 fields, expected 2"):
        context.array({"csv": "uneven.csv"})


def test_an_array_of_no_size_that_there_is_is_refused_before_numpy(tmp_path):
    with pytest.raises(PlainError):
        BuildContext(tmp_path).array({"array": {"shape": [10**11, 10**11]}})
