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


def test_files_and_bytes(tmp_path, advised, monkeypatch):
    monkeypatch.setattr(pagecache, "_resident_pages", lambda *_: 0)
    found = evict(write(tmp_path, a=10, b=20))
    assert (found.files, found.bytes, found.resident_bytes, found.failed, found.reason) == (2, 30, 0, (), None)
    assert advised == [("forget", 10), ("forget", 20)]


def test_a_file_named_twice_counts_once(tmp_path, advised, monkeypatch):
    monkeypatch.setattr(pagecache, "_resident_pages", lambda *_: 0)
    assert evict(write(tmp_path, a=10) * 3).bytes == 10
    assert len(advised) == 1


@pytest.mark.parametrize(("pages", "stayed"), [(1, 10), (None, None)])
def test_what_stays_is_flushed_and_forgotten_again(tmp_path, advised, monkeypatch, pages, stayed):
    monkeypatch.setattr(pagecache, "_resident_pages", lambda *_: pages)
    assert evict(write(tmp_path, a=10)).resident_bytes == stayed
    assert advised == [("forget", 10), ("flush", 10), ("forget", 10)]


@pytest.mark.usefixtures("advised")
def test_what_cannot_be_evicted_is_named(tmp_path):
    (good,) = write(tmp_path, a=10)
    os.mkfifo(tmp_path / "pipe")
    found = evict([tmp_path / "gone", good, tmp_path, tmp_path / "pipe"])
    assert (found.files, found.reason) == (1, None)
    assert dict(found.failed) == {
        tmp_path / "gone": "No such file or directory",
        tmp_path: "not a regular file",
        tmp_path / "pipe": "not a regular file",
    }
    assert evict([tmp_path / "gone"]).reason == "no file could be evicted"


@pytest.mark.usefixtures("advised")
def test_nothing_to_evict():
    found = evict([])
    assert (found.files, found.bytes, found.resident_bytes, found.reason) == (0, 0, None, None)


def test_a_system_that_takes_no_advice(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    found = evict(write(tmp_path, a=10))
    assert (found.files, found.bytes) == (0, 0)
    assert "posix_fadvise" in found.reason


def test_resident_bytes_of_what_is_not_there(tmp_path):
    assert resident_bytes(tmp_path / "gone") is None
    assert resident_bytes(tmp_path) is None


@pytest.mark.parametrize(
    ("eviction", "cold", "words"),
    [
        (Eviction(2, 100, 5), True, None),
        (Eviction(2, 100, None), True, None),
        (Eviction(2, 100, 6), False, "6 of 100 bytes stayed in memory"),
        (Eviction(2, 100, 0, failed=((None, "gone"),)), True, "1 files failed"),
        (Eviction(0, 0, None), False, "no source files are known"),
        (Eviction(0, 0, None, reason="not here"), False, "not here"),
    ],
)
def test_what_stayed_in_memory_is_not_cold(eviction, cold, words):
    assert eviction.cold is cold
    assert (eviction.lacking or "").startswith(words or "")
    assert (eviction.lacking is None) == (words is None)


@pytest.mark.parametrize(
    ("pages", "whole"), [({100: 1, 300: 1}, True), ({100: 1, 300: 0}, False), ({100: None}, False)]
)
def test_whether_all_files_are_in_memory(tmp_path, monkeypatch, pages, whole):
    monkeypatch.setattr(pagecache, "_resident_pages", lambda _descriptor, size: pages[size])
    assert in_memory(write(tmp_path, a=100, b=300)) is whole


def test_of_many_files_some_are_looked_at(monkeypatch, tmp_path):
    looked_at = []
    monkeypatch.setattr(pagecache, "resident_bytes", lambda path: looked_at.append(path) or 10)
    (file,) = write(tmp_path, a=10)
    assert in_memory([file] * 1000)
    assert len(looked_at) == 200
    assert not in_memory([])
