"""Globs with ``**``: any folders where Python looks for files, one level where TensorFlow does."""

import pytest

from pipeprof.pipelines.data import globbing
from pipeprof.pipelines.data.globbing import count_matches, has_match, matching_files
from pipeprof.pipelines.spec.load import load_spec


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in (
        "x.jpg",
        "a/x.jpg",
        "a/b/c/x.jpg",
        "a/b/c/y.png",
        "a/.hidden/x.jpg",
        "a/.h.jpg",
        "d/e/x.jpg",
        "[z]/x.jpg",
    ):
        path = tmp_path / "t" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "t"


@pytest.mark.usefixtures("tree")
def test_files_each_once_and_no_folders():
    assert matching_files("t/**/**/x.jpg") == ["t/[z]/x.jpg", "t/a/b/c/x.jpg", "t/a/x.jpg", "t/d/e/x.jpg", "t/x.jpg"]
    assert matching_files("t/a*") == []


@pytest.mark.usefixtures("tree")
def test_two_stars_of_tensorflow_are_one_level():
    assert matching_files("t/**/x.jpg", recursive=False) == ["t/[z]/x.jpg", "t/a/x.jpg"]


SPEC = "version: 1\nsource: {{{source}}}\nstages: [{{batch: {{batch_size: 2}}}}]\n"
LISTED, READ = 'list_files: {file_pattern: "t/**/y.png"}', 'TextLineDataset: {filenames: "t/**/y.png"}'


def test_list_files_with_two_stars_is_checked_as_tensorflow_matches(tree, pipeprof):
    path = tree.parent / "spec.yaml"
    path.write_text(SPEC.format(source=LISTED))
    result = pipeprof("check", path)
    assert result.code == 2
    assert "t/**/y.png: no file matches" in result.out
    assert "in list_files, ** is one level of folders, as * is (TensorFlow)" in result.out
    path.write_text(SPEC.format(source=READ))
    assert pipeprof("check", path).code == 0
    (tree / "a" / "y.png").touch()
    path.write_text(SPEC.format(source=LISTED))
    assert pipeprof("check", path).code == 0


def test_list_files_below_generated_data(tree, pipeprof):
    path = tree.parent / "spec.yaml"
    data = "data: {photos: {image_folder: {count: 4, classes: 2}}, words: {text: {lines: 3}}}\n"
    for pattern, code in (("photos/**/*.jpg", 0), ("words/**/*.txt", 2), ("words/*.txt", 0)):
        source = f'list_files: {{file_pattern: "data:{pattern}"}}'
        path.write_text(SPEC.format(source=source) + data)
        result = pipeprof("check", path)
        assert result.code == code, result.out
    assert (
        "no match among" in pipeprof("check", path, "--set", 'source.list_files.file_pattern="data:words/**/*.txt"').out
    )


@pytest.mark.parametrize("source", [LISTED.replace("y.png", "*.none"), READ.replace("y.png", "*.none")])
def test_check_looks_into_so_many_folders_and_says_so(source, tree, pipeprof, monkeypatch):
    path = tree.parent / "spec.yaml"
    path.write_text(SPEC.format(source=source))
    assert pipeprof("check", path).code == 2
    monkeypatch.setattr(globbing, "MOST_FOLDERS", 2)
    result = pipeprof("check", path)
    assert result.code == 0
    assert "spec.yaml:2:" in result.err
    assert result.err.count("\n") == 1
    [note] = load_spec(path).notes
    assert (note.code, note.location.line) == ("many-folders", 2)


def test_one_match_is_enough_for_a_check(tree, monkeypatch):
    monkeypatch.setattr(globbing, "MOST_FOLDERS", 2)
    assert has_match(f"{tree}/**/*.jpg") is True
    assert has_match(f"{tree}/**/*.jpg", recursive=False) is True
    assert has_match(f"{tree}/*.gif") is False
    assert count_matches(f"{tree}/*", 10) == 4
    assert count_matches(f"{tree}/*", 3) is None
    assert count_matches(f"{tree}/*/*", 10) is None
