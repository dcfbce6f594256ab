"""Facts of the machine and the installation, from made-up folders and packages."""

from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pipeprof.profiles.doctor.facts import Package, find_tensorflow, folders, gather, git_version


def installed(folder: Path, name: str, version: str, *, files: dict[str, str]) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for file, text in files.items():
        (info / file).write_text(text)


def found(*folders: Path):
    return find_tensorflow(
        lambda: metadata.distributions(path=[*map(str, folders)]), lambda name: ModuleSpec(name, None, origin="x.py")
    )


RECORD = "tensorflow-1.dist-info/METADATA,,\ntensorflow/__init__.py,sha256=x,1\n"


def test_owners_are_found_in_either_file_and_broken_metadata_hides_none(tmp_path):
    installed(tmp_path, "tensorflow-cpu", "2.20.0", files={"RECORD": RECORD})
    installed(tmp_path, "tensorflow", "2.21.0", files={"top_level.txt": "tensorflow\n"})
    installed(tmp_path, "keras", "3.1", files={"RECORD": "keras/__init__.py,,\n"})
    installed(tmp_path, "broken", "1", files={"top_level.txt": "tensorflow"})
    (tmp_path / "broken-1.dist-info" / "METADATA").write_bytes(b"")
    installed(tmp_path, "bytes", "1", files={})
    (tmp_path / "bytes-1.dist-info" / "RECORD").write_bytes(b"\xff\xfe\x00tensorflow")
    installed(tmp_path, "other", "1", files={"RECORD": "other/tensorflow/__init__.py,,\n", "top_level.txt": "other"})
    result = found(tmp_path)
    assert result.owners == (Package("tensorflow", "2.21.0"), Package("tensorflow-cpu", "2.20.0"))
    assert result.importable


def test_the_first_of_two_installations_of_a_package_counts(tmp_path):
    installed(tmp_path / "a", "tensorflow", "2.21.0", files={"RECORD": RECORD})
    installed(tmp_path / "b", "TensorFlow", "2.18.0", files={"RECORD": RECORD})
    assert found(tmp_path / "a", tmp_path / "b").owners == (Package("tensorflow", "2.21.0"),)


def test_what_cannot_be_imported_or_belongs_to_no_package(tmp_path):
    def fail(_name: str) -> None:
        raise ValueError

    for find_spec in (lambda _name: None, fail, lambda name: ModuleSpec(name, None, origin=None)):
        result = find_tensorflow(lambda: metadata.distributions(path=[str(tmp_path)]), find_spec)
        assert (result.owners, result.importable) == ((), False)


@pytest.mark.parametrize(
    ("printed", "version"),
    [("git version 2.39.5 (Apple Git-154)\n", "2.39.5"), ("git version 3.0\n", "3.0"), ("?", None), (None, None)],
)
def test_git(printed, version, tmp_path):
    program = tmp_path / "git"
    program.touch(mode=0o755)
    asked = []

    def run(command):
        asked.append(list(command))
        return printed

    assert git_version({"PATH": f".:{tmp_path}"}, run) == version
    assert asked == [[str(program), "--version"]]


def test_no_git_and_none_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "git").touch(mode=0o755)
    assert git_version({"PATH": f".:{tmp_path / 'none'}"}, lambda _command: "git version 2.40.0") is None


def test_folders_that_do_not_exist_are_measured_at_their_parents(tmp_path):
    by_use = {folder.use: folder for folder in folders({"PIPEPROF_CACHE_DIR": str(tmp_path / "a" / "b")})}
    assert list(by_use) == ["temporary", "cache", "current"]
    assert by_use["cache"].path == str(tmp_path / "a" / "b")
    assert by_use["cache"].writable
    assert by_use["cache"].free_bytes is not None


def test_a_machine_without_proc(tmp_path):
    facts = gather({"PATH": ""}, proc=tmp_path / "proc", root=tmp_path / "cgroup")
    assert (facts.host.memory_bytes, facts.host.memory_limit_bytes, facts.has_cgroup) == (None, None, False)
    assert (facts.host.cores > 0, facts.host.name) == (True, None)
    assert facts.git is None
