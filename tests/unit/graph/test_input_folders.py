"""Texts of a graph as names of files: their folders, and nothing for texts that only look like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.graph.edit.replay.part import folder_of


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.jpg").write_text("")
    (tmp_path / "x.npy").write_text("")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "folder"),
    [("photos/a/1.jpg", "photos/a"), ("photos/*/*.jpg", "photos"), ("photos/", "photos"), ("x.npy", ".")],
)
def test_folders_of_files_and_patterns(text: str, folder: str) -> None:
    assert folder_of(text.encode()) == Path(folder).resolve()
    absolute = Path(text).absolute()
    assert folder_of(f"{absolute}{'/' if text.endswith('/') else ''}".encode()) == Path(folder).resolve()


@pytest.mark.parametrize("text", ["", ".", "/", "..", "photos", "label", "a/b", "*", "[a-z]+", "x\0y", "p" * 5000])
def test_other_texts_are_no_files(text: str) -> None:
    assert folder_of(text.encode()) is None
    assert folder_of(b"\xff\xfe/") is None
