"""Where Python looks for modules: nothing of the current folder, and for the user's files what Python itself does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeprof.pipelines.target import import_path
from pipeprof.pipelines.target.import_path import child_command, leave_out_current_folder, put_first

SHOW = "import json, sys\nprint(json.dumps(sys.path))\n"


@pytest.fixture(autouse=True)
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_path, "_left_out", [])


@pytest.mark.parametrize("entry", ["", ".", "{here}", "{here}/", "{here}/../{name}"])
def test_the_current_folder_is_left_out_however_it_is_spelled(entry, tmp_path, monkeypatch):
    spelled = entry.format(here=tmp_path, name=tmp_path.name)
    monkeypatch.setattr(sys, "path", ["/a", spelled, "/b"])
    leave_out_current_folder()
    assert sys.path == ["/a", "/b"]


def test_a_link_to_the_current_folder_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "link"), "/b"])
    leave_out_current_folder()
    assert sys.path == ["/b"]


def test_pythons_own_folders_stay_also_where_the_command_runs_in_one(monkeypatch):
    own = str(Path(os.__file__).parent)
    monkeypatch.chdir(own)
    monkeypatch.setattr(sys, "path", ["", own])
    leave_out_current_folder()
    assert sys.path == [own]


def test_a_deleted_current_folder_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "path", ["", "/b"])
    leave_out_current_folder()
    assert sys.path == ["/b"]
    monkeypatch.chdir(tmp_path)


def test_what_the_user_put_on_the_path_comes_back_for_their_own_files(tmp_path, monkeypatch):
    here = str(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/a", here, "/b"])
    leave_out_current_folder()
    assert sys.path == ["/a", "/b"]
    put_first(Path("/users"))
    # Not the entry that Python made for the command itself, and where the other one was.
    assert sys.path == ["/users", "/a", here, "/b"]
    put_first(Path("/users"))
    assert sys.path == ["/users", "/a", here, "/b"]


def test_the_files_folder_is_first_also_where_it_is_on_the_path_already(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/a", "/users"])
    put_first(Path("/users"))
    assert sys.path == ["/users", "/a", "/users"]


@pytest.mark.parametrize("environment", [{}, {"PYTHONPATH": ":/a"}, {"PYTHONPATH": "."}, {"PYTHONSAFEPATH": "1"}])
def test_a_users_file_sees_the_path_that_python_gives_it(environment, tmp_path):
    """Python itself is the reference."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "show.py").write_text(SHOW)
    (tmp_path / "where").mkdir()
    (tmp_path / "where" / "child.py").write_text(
        "def main():\n    from pathlib import Path\n    from pipeprof.pipelines.target.running import import_file\n"
        "    import_file(Path('project/show.py'), 'show')\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | environment
    command = child_command("child")
    # The child's module lies outside the current folder: it is put where libraries are.
    command[-1] = f"import sys; sys.path.append({str(tmp_path / 'where')!r}); {command[-1]}"
    ours = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    pythons = subprocess.run(
        [sys.executable, "project/show.py"], capture_output=True, text=True, check=True, env=env
    ).stdout
    assert [one for one in _entries(ours) if one != str(tmp_path / "where")] == _entries(pythons)


def _entries(shown: str) -> list[str]:
    found: list[str] = json.loads(shown)
    return found


@pytest.mark.parametrize("environment", [{}, {"PYTHONPATH": ""}, {"PYTHONPATH": ":/a"}, {"PYTHONPATH": "."}])
def test_nothing_of_the_current_folder_is_imported_by_a_child(environment, tmp_path):
    for name in ("dill", "numpy", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    *start, code = child_command("json.tool")
    shown = code.partition("from json.tool")[0] + "import numpy, yaml; print(sys.path)"
    done = subprocess.run([*start, shown], capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stdout
    assert "''" not in done.stdout


def test_a_child_runs_the_main_of_its_module_with_its_arguments(tmp_path):
    (tmp_path / "numbers").write_text("[1, 2]")
    done = subprocess.run(child_command("json.tool", "--compact", "numbers"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[1,2]\n")
