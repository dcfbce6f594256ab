"""``pipeprof data rm --profiles``: what is removed, and when the folder is worth a word."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from pipeprof.profiles.document import kept
from tests.unit.cli.test_main import Pipeprof

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles" / "step-none.json"
DAY = 86_400


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pipeprof-out").mkdir()
    for name, days in (("old", 40), ("older", 50), ("new", 1), ("foreign", 90)):
        path = Path("pipeprof-out", f"{name}.json")
        shutil.copy(RECORDED, path)
        if name == "foreign":
            path.write_text('{"mine": true}')
        os.utime(path, (time.time() - days * DAY,) * 2)
    Path("pipeprof-out/link.json").symlink_to("old.json")


def left() -> set[str]:
    return {path.stem for path in Path("pipeprof-out").iterdir()}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--older", "30d"], {"new", "foreign", "link"}),
        (["--older", "1080h"], {"old", "new", "foreign", "link"}),
        (["--older", "365d"], {"old", "older", "new", "foreign", "link"}),
        (["--all", "--yes"], {"foreign", "link"}),
    ],
)
def test_only_own_files_of_that_age_are_removed(options: list[str], names: set[str], pipeprof: Pipeprof) -> None:
    found = pipeprof("data", "rm", "--profiles", *options)
    assert found.code == 0, found.err
    assert left() == names
    assert f"Removed {5 - len(names)} file" in found.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profiles"], "give --older AGE such as 30d, or --all"),
        (["--profiles", "--older", "3d", "--all"], "give --older AGE such as 30d, or --all"),
        (["--profiles", "old"], "--profiles removes by age"),
        (["--profiles", "--older", "soon"], "--older: got 'soon', expected an age such as 30d, 12h or 90m"),
        (["--profiles", "--older", "30"], "--older: 30 has no unit — did you mean 30d"),
        (["--older", "30d", "--all"], "--older is about saved profiles: add --profiles"),
    ],
)
def test_nothing_is_removed_where_it_is_not_clear_what(options: list[str], message: str, pipeprof: Pipeprof) -> None:
    found = pipeprof("data", "rm", *options)
    assert found.code == 2
    assert message in found.err
    assert len(left()) == 5


def test_a_large_folder_is_worth_a_word_and_a_folder_of_the_users_is_not(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept.describe_large(Path("pipeprof-out")) is None
    monkeypatch.setattr(kept, "LARGE_BYTES", 20_000)
    note = kept.describe_large(Path("pipeprof-out"))
    assert note is not None
    assert note.endswith("in 5 files; remove old ones: pipeprof data rm --profiles --older 30d")
    assert kept.describe_large(Path()) is None
    both = str(RECORDED), str(RECORDED.with_name("jpeg-folder.json"))
    assert f"pipeprof: note: {note[:16]}" in pipeprof("compare", *both).err
