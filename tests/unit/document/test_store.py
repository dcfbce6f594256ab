"""Saved profiles: whole or not at all, somewhere or a clear no, and read back with one sentence for what is wrong."""

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document import store
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import (
    ProfileFile,
    ProfileNotSavedError,
    ProfileWriter,
    encode,
    holds_something,
    is_own_file,
    load_profile,
    places,
    write_atomically,
)


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    return recorded("input-bound")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def fallback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, for itself."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def failing(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """Replacing a file below the folder fails as a disk does."""
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).is_relative_to(folder):
            raise OSError(number, os.strerror(number), str(target))
        real(source, target)

    monkeypatch.setattr(store.os, "replace", replace)


def test_a_profile_is_read_back_as_it_was_written_and_a_later_write_replaces_it(profile, tmp_path, fallback):
    writer = ProfileWriter(places("flowers/ü", "20260731T101112Z", cwd=tmp_path))
    path = writer.write(profile)
    assert path == tmp_path / "pipeprof-out" / "flowers-20260731T101112Z.json"
    assert (load_profile(path), path.read_bytes()) == (profile, encode(profile))
    profile.complete = False
    assert writer.write(profile, final=True) == path
    assert load_profile(path).complete is False
    # The folder is ignored by git.
    assert {entry.name for entry in path.parent.iterdir()} == {".gitignore", path.name}
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert not any(fallback.iterdir())


def test_a_second_run_in_the_same_second_gets_its_own_file_and_a_missing_folder_is_not_made(profile, tmp_path):
    for name in ("a-s.json", "a-s-2.json", "a-s-3.json"):
        writer = ProfileWriter(places("a", "s", tmp_path / "no" / "out.json", cwd=tmp_path))
        assert writer.write(profile) == tmp_path / "pipeprof-out" / name
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EFBIG])
def test_a_bad_place_falls_to_the_next_with_a_warning(number, profile, work, fallback, monkeypatch):
    failing(monkeypatch, work, number)
    writer = ProfileWriter(places("a", "s", work / "out.json", cwd=work))
    path = writer.write(profile)
    assert path.is_relative_to(fallback)
    assert len(writer.warnings) == 2
    assert os.strerror(number).lower() in writer.warnings[0]
    assert str(work / "out.json") in writer.warnings[0]
    assert writer.require_saved() == path
    assert [file for file in work.rglob("*") if file.suffix in (".json", ".tmp")] == []


def test_a_disk_that_fills_up_later(profile, work, fallback, monkeypatch):
    writer = ProfileWriter(places("a", "s", work / "out.json", cwd=work))
    writer.write(profile)
    failing(monkeypatch, work, errno.ENOSPC)
    path = writer.write(profile, final=True)
    assert path.is_relative_to(fallback)
    assert "an earlier state of the profile stays there" in writer.warnings[0]
    assert load_profile(work / "out.json") == profile


def test_nowhere_to_write(profile, tmp_path, fallback, monkeypatch):
    failing(monkeypatch, tmp_path, errno.EROFS)
    writer = ProfileWriter(places("a", "s", cwd=tmp_path))
    assert writer.write(profile) is None
    assert writer.write(profile, final=True) is None
    with pytest.raises(ProfileNotSavedError, match="read-only") as caught:
        writer.require_saved()
    assert caught.value.exit_code == 1
    assert not list(fallback.rglob("*.json"))


def test_a_full_disk_while_writing_leaves_the_old_file(profile, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, encode(profile), sync=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_somebody_elses_temporary_folder_is_refused(profile, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "planted").symlink_to(elsewhere)
    writer = ProfileWriter([ProfileFile(tmp_path / "planted" / "a.json", makes_folder=True, private=True)])
    assert writer.write(profile) is None
    assert not any(elsewhere.iterdir())


def test_permissions_and_links_of_a_file_are_kept(tmp_path):
    path, link = tmp_path / "a.json", tmp_path / "link.json"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_that_appears_during_the_run_is_replaced_and_one_that_was_there_is_kept(profile, tmp_path):
    (tmp_path / "precious").write_text("precious")
    writer = ProfileWriter([tmp_path / "a.json"])
    writer.write(profile)
    (tmp_path / "a.json").unlink()
    (tmp_path / "a.json").symlink_to(tmp_path / "precious")
    writer.write(profile)
    assert (tmp_path / "precious").read_text() == "precious"
    assert load_profile(tmp_path / "a.json").verdict == profile.verdict
    (tmp_path / "b.json").symlink_to(tmp_path / "real.json")
    writer = ProfileWriter([tmp_path / "b.json"])
    writer.write(profile)
    assert (tmp_path / "b.json").is_symlink()
    assert load_profile(tmp_path / "real.json").verdict == profile.verdict


def test_file_names_that_are_no_utf8_are_spelled_out(profile):
    profile.command = ["pipeprof", "run", "a\udcff.yaml"]
    assert json.loads(encode(profile))["command"][2] == "a\\udcff.yaml"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not JSON, or truncated"),
        (b"\xff\xfe", "not JSON, or truncated"),
        (b'{"schema_version": 1,', "not JSON, or truncated"),
        (b"[" * 100_000, "not JSON, or truncated"),
        (b"[]", "another program wrote"),
        (b'{"name": "npm"}', "another program wrote"),
        (b'{"schema_version": 2, "tool": {"name": "pipeprof", "version": "9"}}', "upgrade pipeprof"),
        (b'{"schema_version": 1, "tool": {"name": "pipeprof", "version": "0"}}', "target: field required"),
    ],
)
def test_what_is_no_profile(content, expected, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=expected) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_would_stand_in_a_command_is_a_name(recorded, tmp_path):
    profile = recorded("jpeg-folder")
    profile.findings[0].rule = "parallel-calls; touch pwned"
    path = tmp_path / "a.json"
    path.write_text(profile.model_dump_json())
    with pytest.raises(ProfileError, match="rule"):
        load_profile(path)


def test_missing_and_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "big.json"
    path.write_text("{}")
    for place, said in ((tmp_path / "no.json", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(ProfileError, match=said):
            load_profile(place)
    monkeypatch.setattr(store, "MAX_BYTES", 1)
    with pytest.raises(ProfileError, match="larger than"):
        load_profile(path)


def test_a_profile_whose_folder_is_gone_is_not_said_to_stay(profile, tmp_path):
    folder, other = tmp_path / "gone", tmp_path / "other.json"
    folder.mkdir()
    writer = ProfileWriter([folder / "a.json", other])
    assert writer.write(profile) == folder / "a.json"
    (folder / "a.json").unlink()
    folder.rmdir()
    assert writer.write(profile) == other
    assert writer.warnings == [f"cannot write {folder / 'a.json'} (no such file or directory), which is gone"]


OWN = b'{"schema_version": 1, "tool": {"name": "pipeprof"}'


@pytest.mark.parametrize(
    ("content", "own", "kept"),
    [
        (None, False, False),
        (b"", True, False),
        (OWN + b', "complete": false}', True, False),
        (OWN + b', "complete": true}', True, True),
        (OWN + b"}", True, True),
        (b'{"tool": {"name": "other"}, "complete": false}', False, True),
        (b'{"tool": {"name": "pipeprof"}, "private": true}', False, True),
        (b"[1]", False, True),
        (b"\xff", False, True),
    ],
)
def test_which_files_are_own_and_which_a_partial_document_may_not_replace(content, own, kept, tmp_path):
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    assert (is_own_file(path), holds_something(path)) == (own, kept)
