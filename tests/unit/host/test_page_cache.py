"""What is reported of an eviction; that pages really go is shown in the integration tests."""

import os

import pytest

from pipeprof.profiles.host import page_cache as pagecache
from pipeprof.profiles.host.page_cache import Eviction, evict, in_memory, resident_bytes


@pytest.fixture
def advised(monkeypatch):
    """Sizes of the files that the kernel was advised to forget, and which were flushed before."""
    calls = []
    monkeypatch.setattr(
        os, "posix_fadvise", lambda fd, *_: calls.append(("forget", os.fstat(fd).st_size)), raising=False
    )
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(("flush", os.fstat(fd).st_size)))
    return calls


def write(folder, **sizes):
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
    return [folder / name for name in sizes]


def staying(monkeypatch, *held):
    """Of each file, in their order, these bytes stay in the page cache."""
    left = iter(held)
    monkeypatch.setattr(pagecache, "_resident_bytes", lambda *_: next(left))


def test_a_file_is_forgotten_once(tmp_path, advised, monkeypatch):
    staying(monkeypatch, 0, 0)
    assert evict(write(tmp_path, a=10, b=20) * 2) == Eviction(cold=True)
    assert advised == [("forget", 10), ("forget", 20)]
    monkeypatch.delattr(os, "posix_fadvise")
    assert not evict([]).cold
    assert "posix_fadvise" in (evict([]).lacking or "")


@pytest.mark.parametrize("held", [10, None])
def test_what_stays_is_flushed_and_forgotten_again(tmp_path, advised, monkeypatch, held):
    staying(monkeypatch, held, 0)
    assert evict(write(tmp_path, a=10)) == Eviction(cold=True)
    assert advised == [("forget", 10), ("flush", 10), ("forget", 10)]


@pytest.mark.usefixtures("advised")
def test_what_cannot_be_evicted_is_counted(tmp_path, monkeypatch):
    (good,) = write(tmp_path, a=10)
    os.mkfifo(tmp_path / "pipe")
    staying(monkeypatch, 0)
    assert evict([tmp_path / "gone", good, tmp_path, tmp_path / "pipe"]) == Eviction(True, "3 files failed")
    assert evict([tmp_path / "gone"]) == Eviction(False, "no file could be evicted")
    assert evict([]) == Eviction(False, "no source files are known")


@pytest.mark.usefixtures("advised")
@pytest.mark.parametrize(("held", "cold"), [(5, True), (None, True), (6, False)])
def test_what_stayed_in_memory_is_not_cold(tmp_path, monkeypatch, held, cold):
    staying(monkeypatch, held, held)
    found = evict(write(tmp_path, a=100))
    assert found.cold is cold
    assert found.lacking is None if cold else (found.lacking or "").startswith("6 of 100 bytes stayed in memory")


@pytest.mark.parametrize(
    ("held", "whole"), [({100: 100, 300: 300}, True), ({100: 100, 300: 0}, False), ({100: None}, False)]
)
def test_whether_all_files_are_in_memory(tmp_path, monkeypatch, held, whole):
    monkeypatch.setattr(pagecache, "_resident_bytes", lambda _descriptor, size: held[size])
    assert in_memory(write(tmp_path, a=100, b=300)) is whole


def test_of_many_files_some_are_looked_at(monkeypatch, tmp_path):
    assert (resident_bytes(tmp_path / "gone"), resident_bytes(tmp_path), in_memory([])) == (None, None, False)
    looked_at = []
    monkeypatch.setattr(pagecache, "resident_bytes", lambda path: looked_at.append(path) or 10)
    assert in_memory(write(tmp_path, a=10) * 1000)
    assert len(looked_at) == 200
