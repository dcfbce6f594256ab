"""Where Python looks for modules: nothing of the current folder, and for the user's files what Python itself does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.target import modules
from pipeprof.pipelines.target.modules import child_command, leave_out_current_folder, put_first


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(modules, "_left_out", [])
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    return tmp_path / "real"


@pytest.mark.parametrize("entry", ["", ".", "{here}/", "{here}/../link"])
def test_the_current_folder_is_left_out_however_it_is_spelled(entry, here, monkeypatch):
    spelled = entry.format(here=here)
    monkeypatch.setattr(sys, "path", ["", "/a", spelled, "/b"])
    leave_out_current_folder()
    assert sys.path == ["/a", "/b"]
    put_first(Path("/users"))
    put_first(Path("/users"))
    # Not the entry that Python made for the command itself, and where the other one was.
    assert sys.path == ["/users", "/a", *filter(None, [spelled]), "/b"]


def test_pythons_own_folders_stay_and_a_deleted_folder_is_no_error(here, monkeypatch):
    own = str(Path(os.__file__).parent)
    monkeypatch.setattr(sys, "path", ["", own])
    here.rmdir()
    leave_out_current_folder()
    assert sys.path == [own]
    monkeypatch.chdir(own)
    leave_out_current_folder()
    assert sys.path == [own]


ENVIRONMENTS: list[dict[str, str]] = [{}, {"PYTHONPATH": ""}, {"PYTHONPATH": ":/a"}, {"PYTHONPATH": "."}]


def _shown(command: list[str], environment: dict[str, str]) -> Any:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | environment
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout)


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, {"PYTHONSAFEPATH": "1"}])
def test_a_users_file_sees_the_path_that_python_gives_it(environment, here):
    (here / "project").mkdir()
    (here / "project" / "show.py").write_text("import json, sys\nprint(json.dumps(sys.path))\n")
    # The child's module lies outside the current folder: it is put where libraries are.
    where = here.parent / "where"
    where.mkdir()
    (where / "child.py").write_text(
        "def main():\n    from pathlib import Path\n    from pipeprof.pipelines.target.running import import_file\n"
        "    import_file(Path('project/show.py'), 'show')\n"
    )
    command = child_command("child")
    command[-1] = f"import sys; sys.path.append({str(where)!r}); {command[-1]}"
    ours, pythons = _shown(command, environment), _shown([sys.executable, "project/show.py"], environment)
    assert [one for one in ours if one != str(where)] == pythons


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_of_the_current_folder_is_imported_by_a_child(environment, here):
    for name in ("dill", "numpy", "yaml"):
        (here / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    *start, code = child_command("json.tool")
    shown = code.partition("from json.tool")[0] + "import json, numpy, yaml; print(json.dumps(sys.path))"
    assert not {"", ".", str(here)} & set(_shown([*start, shown], environment))
    Path("numbers").write_text("[1, 2]")
    assert _shown(child_command("json.tool", "--compact", "numbers"), environment) == [1, 2]
