"""Glibc's heap, by its own count."""

from __future__ import annotations

import ctypes

import pytest

from pipeprof.profiles.worker.memory import glibc_heap


def test_the_way_to_read_the_heap_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known = glibc_heap.heap() is not None
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert (glibc_heap.heap() is not None) == known
