"""Makers that need no TensorFlow: the same recipe gives the same bytes, and they are what the recipe says."""

import csv
import errno
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeprof.pipelines.data.errors import DataError
from pipeprof.pipelines.data.makers.make import make, total_items
from pipeprof.pipelines.data.makers.make_images import run_in_threads
from pipeprof.pipelines.data.makers.make_photos import PhotoMaker
from pipeprof.pipelines.data.makers.make_text import ZipfWords
from pipeprof.pipelines.data.makers.making import make_entry
from pipeprof.pipelines.data.makers.progress import DataProgress
from pipeprof.pipelines.data.recipes.models import DataEntry, estimated_bytes, file_names

RECIPES = [
    {"npy": {"shape": [7, 3], "dtype": "float16", "files": 2}},
    {"npy": {"shape": [5], "dtype": "bool"}},
    {"npy": {"shape": [300], "dtype": "int8"}},
    {"npy": {"shape": []}},
    {"npy": {"shape": [0, 4]}},
    {"csv": {"rows": 5000, "columns": 2, "ints": 1, "strings": 1, "files": 2}},
    {"csv": {"rows": 3, "header": False, "label": 0}},
    {"text": {"lines": 5000, "vocabulary": 50, "files": 3}},
    {"text": {"lines": 2, "words": [0, 0]}},
]


def made(recipe, folder):
    """Files by name, and the last progress reported."""
    folder.mkdir()
    entry = DataEntry.model_validate(recipe)
    reports = []
    progress = DataProgress(total_items(entry.recipe), lambda *report: reports.append(report), clock=lambda: 0.0)
    make(entry.recipe, folder, progress)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert sorted(files) == sorted(file_names(entry))
    total = total_items(entry.recipe)
    assert reports[-1:] == ([(total, total)] if total else [])
    return files


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_the_same_recipe_gives_the_same_bytes_and_another_seed_others(recipe, tmp_path):
    first = made(recipe, tmp_path / "1")
    assert made(recipe, tmp_path / "2") == first
    kind, arguments = next(iter(recipe.items()))
    other = made({kind: {**arguments, "seed": 9}}, tmp_path / "3")
    if sum(map(len, first.values())) > 400:
        assert other != first


def test_parts_of_an_entry_differ_from_each_other(tmp_path):
    for number, recipe in enumerate([RECIPES[0], RECIPES[5], RECIPES[7]]):
        files = made(recipe, tmp_path / str(number))
        assert len(set(files.values())) == len(files) > 1


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("fill", ["random", "zeros", "arange"])
def test_arrays_have_the_shape_type_and_values_asked_for(dtype, fill, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeprof.pipelines.data.makers.make_arrays._ITEMS_AT_A_TIME", 100)
    made({"npy": {"shape": [50, 7], "dtype": dtype, "fill": fill}}, tmp_path / "a")
    array = np.load(tmp_path / "a" / "data.npy")
    assert array.shape == (50, 7)
    assert array.dtype == dtype
    if fill == "zeros":
        assert not array.any()
    elif fill == "arange":
        expected = np.arange(350) % 2 if dtype == "bool" else np.arange(350).astype(dtype)
        assert (array.ravel() == expected).all()
    elif array.dtype.kind == "f":
        assert 0 <= array.min() < 0.1 < 0.9 < array.max() < 1
    else:
        assert 0 <= array.min() < array.max() <= 999


def test_a_csv_file_is_what_its_recipe_says(tmp_path):
    recipe = {"csv": {"rows": 200, "columns": 2, "ints": 1, "strings": 1, "label": 3}}
    text = made(recipe, tmp_path / "a")["data.csv"].decode()
    rows = list(csv.reader(text.splitlines()))
    assert rows[0] == ["x0", "x1", "i0", "s0", "label"]
    assert len(rows) == 201
    assert all(0 <= float(row[0]) < 1 and row[2].isdigit() and row[3].isalpha() for row in rows[1:])
    assert {row[4] for row in rows[1:]} == {"0", "1", "2"}
    assert len(text) == pytest.approx(estimated_bytes(DataEntry.model_validate(recipe)), rel=0.3)


def test_rows_are_dealt_out_to_files_without_losing_any(tmp_path):
    files = made({"csv": {"rows": 10, "files": 4, "header": False}}, tmp_path / "a")
    assert [files[name].count(b"\n") for name in sorted(files)] == [3, 3, 2, 2]


def test_lines_hold_as_many_words_as_asked_for(tmp_path):
    text = made({"text": {"lines": 500, "words": [2, 4], "vocabulary": 30}}, tmp_path / "a")["data.txt"].decode()
    lines = text.splitlines()
    assert {len(line.split(" ")) for line in lines} == {2, 3, 4}
    assert len({word for line in lines for word in line.split()}) <= 30


def test_some_words_are_far_more_frequent_than_others():
    words = ZipfWords(1000, seed=0).draw(np.random.default_rng(0), 20_000)
    counts = sorted((words.count(word) for word in set(words)), reverse=True)
    assert counts[0] > 10 * counts[100] > 0


@pytest.mark.parametrize("size", [1, 2, 71, 5000])
def test_a_vocabulary_has_as_many_different_words_as_asked_for(size):
    drawn = ZipfWords(size, seed=3)
    assert len(set(drawn._words)) == size


@pytest.fixture(scope="module")
def photos():
    return PhotoMaker(seed=1)


@pytest.fixture(scope="module")
def photos_again():
    return PhotoMaker(seed=1)


def test_photos_are_the_same_whichever_thread_makes_them_first(photos, photos_again):
    alone = [photos_again.image(index, (60, 40)) for index in range(3)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda index: photos.image(index, (60, 40)), reversed(range(3))))
    for one, again in zip(alone, reversed(together), strict=True):
        assert (one == again).all()


def test_a_mask_has_regions_of_every_class(photos, photos_again):
    masks = [photos.mask(index, (80, 60), 4) for index in range(6)]
    assert masks[0].shape == (60, 80)
    assert {number for mask in masks for number in np.unique(mask)} == {0, 1, 2, 3}
    # Neighbours nearly always belong to the same region.
    assert np.mean([(mask[:, 1:] == mask[:, :-1]).mean() for mask in masks]) > 0.9
    assert (photos.mask(3, (80, 60), 4) == photos_again.mask(3, (80, 60), 4)).all()
    assert (photos.mask(0, (9, 5), 1) == 0).all()


def test_photos_differ_from_each_other_and_are_in_colour(photos):
    images = [photos.image(index, (96, 64)).astype(int) for index in range(4)]
    assert images[0].shape == (64, 96, 3)
    for index, image in enumerate(images):
        assert np.abs(image[..., 0] - image[..., 2]).mean() > 1
        assert all(np.abs(image - other).mean() > 5 for other in images[:index])


def test_a_photo_has_the_spectrum_of_a_photo(photos):
    """Power falls with frequency: neither flat like noise nor empty like a gradient."""
    grey = photos.image(3, (256, 256)).astype(float).mean(axis=2)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    bands = [power[(frequency >= low) & (frequency < 2 * low)].mean() for low in (1 / 128, 1 / 32, 1 / 8)]
    assert bands[0] > 10 * bands[1] > 100 * bands[2] > 0


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2000, 3)])
def test_photos_may_have_any_size(photos, size):
    assert photos.image(0, size).shape == (size[1], size[0], 3)


def test_a_large_photo_is_made_of_the_same_rows_whatever_the_block(photos, monkeypatch):
    monkeypatch.setattr("pipeprof.pipelines.data.makers.make_photos._GRAIN", 0.0)
    whole = photos.image(2, (20, 300))
    monkeypatch.setattr("pipeprof.pipelines.data.makers.make_photos._ROWS_AT_A_TIME", 7)
    assert (photos.image(2, (20, 300)) == whole).all()


def test_the_first_failure_in_a_thread_is_raised_and_ends_the_work():
    started = []

    def work(item):
        started.append(item)
        if item == 3:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        run_in_threads(work, range(100_000))
    assert len(started) < 50_000


def test_progress_is_not_reported_more_often_than_it_can_be_read():
    now = [0.0]
    reports = []
    progress = DataProgress(1000, lambda *report: reports.append(report), clock=lambda: now[0])
    for _ in range(1000):
        now[0] += 0.001
        progress.advance()
    assert reports[0] == (1, 1000)
    assert reports[-1] == (1000, 1000)
    assert 9 <= len(reports) <= 13


def test_a_process_that_cannot_be_started_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/opt/python")

    monkeypatch.setattr("pipeprof.pipelines.data.makers.making.subprocess.Popen", refuse)
    entry = DataEntry.model_validate({"csv": {"rows": 3}})
    with pytest.raises(DataError, match=r"generates table could not be started: /opt/python: Permission denied$"):
        make_entry("table", entry, tmp_path / "made", lambda *_: None)
    assert list(tmp_path.iterdir()) == []
