"""The cache on disk: where it is, what counts as complete, and what is never touched."""

import json
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pipeprof.pipelines.data import cache, folders
from pipeprof.pipelines.data.cache import ensure
from pipeprof.pipelines.data.errors import DataError, DiskSpaceError, size
from pipeprof.pipelines.data.folders import CacheFolder, entry_name, find, list_entries, locate, remove, write_marker
from pipeprof.pipelines.data.locks import file_lock
from pipeprof.pipelines.data.recipes.models import DataEntry, file_names

TEXT = DataEntry.model_validate({"text": {"lines": 2, "files": 2}})
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def nothing(*_report):
    return None


def place(root, entry=TEXT):
    """An entry as if it had been made."""
    path = root / entry_name(entry)
    for name in file_names(entry):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("a b\n")
    write_marker(path, entry, now=NOW)
    return path


@pytest.fixture
def no_child(monkeypatch):
    """Making anything fails the test."""

    def refuse(*_args):
        pytest.fail("a child was started")

    monkeypatch.setattr(cache, "make_entry", refuse)


def test_the_folder_is_the_one_that_was_asked_for(tmp_path):
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert locate({"PIPEPROF_CACHE_DIR": str(tmp_path / "a"), **home}) == CacheFolder(tmp_path / "a")
    assert locate(home) == CacheFolder(tmp_path / "xdg" / "pipeprof")
    assert locate({**home, "XDG_CACHE_HOME": "relative"}) == CacheFolder(tmp_path / ".cache" / "pipeprof")
    assert locate({**home, "PIPEPROF_CACHE_DIR": ""}) == CacheFolder(tmp_path / "xdg" / "pipeprof")


def test_a_relative_folder_is_taken_from_where_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate({"PIPEPROF_CACHE_DIR": "here"}).folder == tmp_path / "here"


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}, {"HOME": "/does/not/exist"}])
def test_without_a_home_it_is_a_folder_of_the_users_own_in_the_temp_folder(environ, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = locate(environ)
    assert found.folder == tmp_path / f"pipeprof-{os.getuid()}"
    assert found.warning == (
        f"HOME is not set, so generated data is kept in {found.folder}; set PIPEPROF_CACHE_DIR to keep it elsewhere"
    )
    assert not found.folder.exists()
    assert folders.open_for_writing(found).stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("no_child")
def test_what_cannot_be_written_to_is_still_read(tmp_path, monkeypatch):
    made = place(tmp_path / "read-only")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr(os, "access", lambda path, _mode: "read-only" not in str(path))
    found = locate({"PIPEPROF_CACHE_DIR": str(tmp_path / "read-only")})
    assert found.folder.parent == tmp_path / "temp"
    assert "is not writable" in found.warning
    assert ensure({"t": TEXT}, progress=nothing, cache=found) == {"t": made}
    assert [entry.path for entry in list_entries(found)] == [made]


def test_a_file_in_the_way_of_the_folder_is_like_a_read_only_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    assert locate({"PIPEPROF_CACHE_DIR": str(tmp_path / "file" / "below")}).warning is not None


def test_somebody_elses_folder_in_the_temp_folder_is_not_used(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(DataError, match=r"cannot use .* \(not a folder\)"):
        folders.open_for_writing(CacheFolder(tmp_path / "link", "warning"))


@pytest.mark.usefixtures("no_child")
def test_what_is_there_is_found_without_making_anything(tmp_path):
    made = place(tmp_path)
    assert ensure({"a": TEXT, "b": TEXT}, progress=nothing, cache=CacheFolder(tmp_path)) == {"a": made, "b": made}
    assert cache.missing({"a": TEXT}, CacheFolder(tmp_path)) == []


@pytest.mark.parametrize("damage", ["no marker", "other recipe", "broken marker", "file gone"])
def test_what_is_not_complete_is_not_found(damage, tmp_path):
    made = place(tmp_path)
    marker = made / folders.MARKER
    if damage == "no marker":
        marker.unlink()
    elif damage == "other recipe":
        marker.write_text(json.dumps({**json.loads(marker.read_text()), "fingerprint": "0" * 64}))
    elif damage == "broken marker":
        marker.write_text("{")
    else:
        (made / file_names(TEXT)[1]).unlink()
    assert find(TEXT, [tmp_path]) is None


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "link"])
@pytest.mark.usefixtures("no_child")
def test_what_stands_in_the_way_and_is_not_ours_is_refused_and_kept(kind, tmp_path):
    path = tmp_path / entry_name(TEXT)
    if kind == "file":
        path.write_text("mine")
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
        if kind == "folder":
            (path / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"was not created by pipeprof \(it has no pipeprof-data.json\)"):
        ensure({"t": TEXT}, progress=nothing, cache=CacheFolder(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_entry_that_lost_a_file_is_made_again(tmp_path, monkeypatch):
    lost = place(tmp_path) / file_names(TEXT)[0]
    lost.unlink()
    asked = []
    monkeypatch.setattr(cache, "make_entry", lambda name, _entry, final, _report: asked.append((name, final.exists())))
    ensure({"t": TEXT}, progress=nothing, cache=CacheFolder(tmp_path))
    assert asked == [("t", False)]


@pytest.mark.usefixtures("no_child")
def test_too_little_room_is_found_out_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 5_000_000})())
    big = DataEntry.model_validate({"npy": {"shape": [1_000_000_000]}})
    with pytest.raises(DiskSpaceError) as caught:
        ensure({"big": big, "same": big}, progress=nothing, cache=CacheFolder(tmp_path))
    assert caught.value.exit_code == 1
    assert caught.value.free == 5_000_000
    assert 4e9 < caught.value.needed < 5e9
    assert str(caught.value) == (
        f"generating big, same needs 4.4 GiB including a reserve, but {tmp_path} has only 4.8 MiB free; "
        "free some space, or set PIPEPROF_CACHE_DIR to a folder on a larger disk"
    )


def test_leftovers_go_but_only_ours_and_only_those_nobody_works_on(tmp_path):
    name = entry_name(TEXT)
    stale = folders.making_folder(tmp_path, name)
    (stale / "half").write_text("x")
    busy = folders.making_folder(tmp_path, "npy-0123456789abcdef")
    theirs = tmp_path / ".pipeprof-making-notes"
    theirs.mkdir()
    link = tmp_path / f".pipeprof-making-{name}-link"
    link.symlink_to(theirs)
    (tmp_path / f".pipeprof-lock-{name}").touch()
    with folders.entry_lock(tmp_path, "npy-0123456789abcdef"):
        folders.remove_leftovers(tmp_path)
        assert not stale.exists()
        assert busy.is_dir()
    assert theirs.is_dir()
    assert link.is_symlink()
    folders.remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([theirs.name, link.name])


def test_entries_are_listed_with_what_is_known_about_them(tmp_path):
    place(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "text-0123456789abcdef").mkdir()
    (entry,) = list_entries(CacheFolder(tmp_path))
    assert (entry.name, entry.kind, entry.bytes, entry.files) == (entry_name(TEXT), "text", 8, 2)
    assert entry.created == NOW
    assert entry.recipe["lines"] == 2
    assert list_entries(CacheFolder(tmp_path / "missing")) == []


def test_removing_takes_the_whole_entry_and_nothing_else(tmp_path):
    place(tmp_path)
    (tmp_path / "notes").write_text("mine")
    remove(list_entries(CacheFolder(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_removing_checks_again_that_it_is_ours(tmp_path):
    made = place(tmp_path)
    entries = list_entries(CacheFolder(tmp_path))
    (made / folders.MARKER).unlink()
    with pytest.raises(DataError, match="was not created by pipeprof"):
        remove(entries)
    assert (made / file_names(TEXT)[0]).exists()


DAMAGED = [
    "",
    "{",
    "[1]",
    "\x00\xff",
    "[" * 100_000,
    " " * 2_000_000,
    *(
        {name: value}
        for name in ("kind", "recipe", "fingerprint", "bytes", "files", "created")
        for value in (None, [], {"a": 1} if name != "recipe" else 3)
    ),
    {"created": "yesterday"},
    {"created": "2026-01-02T03:04:05"},
]


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.usefixtures("no_child")
def test_a_damaged_marker_is_no_entry_and_is_named(damage, tmp_path):
    path = place(tmp_path)
    marker = path / "pipeprof-data.json"
    if isinstance(damage, dict):
        damage = json.dumps({**json.loads(marker.read_text()), **damage})
    marker.write_text(damage, encoding="latin-1")
    assert list_entries(CacheFolder(tmp_path)) == []
    with pytest.raises(DataError, match=r"pipeprof-data\.json is damaged; remove the folder"):
        ensure({"t": TEXT}, progress=nothing, cache=CacheFolder(tmp_path))
    assert path.exists()


@pytest.mark.usefixtures("no_child")
def test_a_pipe_in_the_place_of_a_marker_is_not_waited_for(tmp_path):
    path = place(tmp_path)
    (path / folders.MARKER).unlink()
    os.mkfifo(path / folders.MARKER)
    assert list_entries(CacheFolder(tmp_path)) == []
    with pytest.raises(DataError, match="was not created by pipeprof"):
        ensure({"t": TEXT}, progress=nothing, cache=CacheFolder(tmp_path))


def test_without_any_folder_to_write_to_what_is_there_is_still_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["/proc/nowhere"])
    there = tmp_path / "cache"
    path = place(there)
    monkeypatch.setattr(folders, "_writable", lambda _folder: False)
    cache_folder = locate({"PIPEPROF_CACHE_DIR": str(there)})
    assert cache_folder == CacheFolder(there)
    assert ensure({"t": TEXT}, progress=nothing, cache=cache_folder) == {"t": path}
    with pytest.raises(DataError, match="no folder for generated data: HOME is not set"):
        locate({})


def test_what_is_being_made_is_not_removed(tmp_path):
    made = place(tmp_path)
    entries = list_entries(CacheFolder(tmp_path))
    with folders.entry_lock(tmp_path, made.name), pytest.raises(DataError, match="being generated by another process"):
        remove(entries)
    assert made.exists()
    remove(entries)
    # Somebody else was faster: nothing is left to do.
    remove(entries)


def test_a_lock_is_held_by_one_at_a_time_and_leaves_no_file(tmp_path):
    path = tmp_path / "lock"
    with file_lock(path) as first, file_lock(path, wait=False) as second:
        assert (first, second) == (True, False)
        assert path.exists()
    assert not path.exists()
    with file_lock(path, wait=False) as again:
        assert again


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024**2 - 1, "1.0 MiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_sizes_for_people(count, text):
    assert size(count) == text


def test_the_parent_never_imports_tensorflow():
    source = "".join(Path(module.__file__).read_text() for module in (cache, folders))
    assert "tensorflow" not in source.lower().replace("imports no tensorflow", "")


def remade(path):
    """Whether the entry at `path` is no longer used."""
    return find(TEXT, [path.parent]) is None


@pytest.mark.parametrize("damage", ["emptied", "longer", "replaced", "linked", "a folder"])
def test_an_entry_with_another_file_in_place_of_its_own_is_not_used(damage, tmp_path):
    made = place(tmp_path)
    assert not remade(made)
    for name in file_names(TEXT):
        file = made / name
        content, status = file.read_bytes(), file.stat()
        if damage == "emptied":
            file.write_bytes(b"")
        elif damage == "longer":
            file.write_bytes(content + b"x")
        elif damage == "replaced":
            file.write_bytes(content[::-1])
            os.utime(file, (status.st_mtime + 60, status.st_mtime + 60))
        else:
            file.rename(tmp_path / "moved")
            file.symlink_to(tmp_path / "moved") if damage == "linked" else file.mkdir()
        assert remade(made), name
        (file.rmdir if damage == "a folder" else file.unlink)()
        file.write_bytes(content)
        os.utime(file, (status.st_mtime, status.st_mtime))
        assert not remade(made)
        (tmp_path / "moved").unlink(missing_ok=True)


def test_an_entry_that_does_not_say_how_its_files_were_is_made_again(tmp_path):
    made = place(tmp_path)
    marker = json.loads((made / folders.MARKER).read_text())
    del marker["state"]
    (made / folders.MARKER).write_text(json.dumps({**marker, "version": 1}))
    assert remade(made)


@pytest.mark.usefixtures("no_child")
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_entries_in_a_temp_folder_that_others_may_write_to_are_not_used(mode, tmp_path):
    planted = tmp_path / "pipeprof-0"
    place(planted)
    private = CacheFolder(planted, "HOME is not set")
    planted.chmod(0o700)
    assert cache.missing({"t": TEXT}, private) == []
    planted.chmod(mode)
    assert cache.missing({"t": TEXT}, private) == ["t"]
    assert list_entries(private) == []
    with pytest.raises(DataError, match="other users may write to the folder"):
        ensure({"t": TEXT}, progress=nothing, cache=private)


@pytest.mark.usefixtures("no_child")
def test_entries_of_another_user_in_the_temp_folder_are_not_used(tmp_path, monkeypatch):
    planted = tmp_path / "pipeprof-0"
    place(planted)
    planted.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: planted.stat().st_uid + 1)
    private = CacheFolder(planted, "HOME is not set")
    assert cache.missing({"t": TEXT}, private) == ["t"]
    with pytest.raises(DataError, match="belongs to another user"):
        ensure({"t": TEXT}, progress=nothing, cache=private)


def test_an_entry_of_another_user_is_used_only_where_not_everybody_may_put_one(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    made = place(shared)
    real = Path.lstat

    def lstat(path):
        found = list(real(path))
        found[4] = 4711
        return os.stat_result(found)

    monkeypatch.setattr(folders.Path, "lstat", lstat)
    shared.chmod(0o755)
    assert find(TEXT, [shared]) == made
    shared.chmod(0o1777)
    assert find(TEXT, [shared]) is None
    with pytest.raises(DataError, match="belongs to another user"):
        ensure({"t": TEXT}, progress=nothing, cache=CacheFolder(shared))


def test_new_folders_of_the_cache_are_for_this_user_alone(tmp_path):
    wanted = tmp_path / "home" / ".cache" / "pipeprof"
    (tmp_path / "home").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        folders.open_for_writing(CacheFolder(wanted))
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (wanted, wanted.parent, tmp_path / "home")] == [0o700, 0o700, 0o755]
