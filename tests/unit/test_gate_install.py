"""What the action for CI installs, given what the job has."""

import subprocess
import sys
from pathlib import Path

import pytest
from source_trees import script

FILE = Path(__file__).resolve().parents[2] / ".github" / "actions" / "pipeprof-gate" / "install.py"


gate_install = script(".github/actions/pipeprof-gate/install.py")
REQUIRES = ["numpy>=1.26", "tensorflow>=2.18", "typer<1,>=0.26", 'tensorflow-docs; extra == "dev"', "PyYAML>=6.0.1"]


def test_a_tensorflow_that_is_there_is_not_required():
    assert gate_install.needed(REQUIRES, has_tensorflow=True) == ["numpy>=1.26", "typer<1,>=0.26", "PyYAML>=6.0.1"]
    assert "tensorflow>=2.18" in gate_install.needed(REQUIRES, has_tensorflow=False)
    assert not any("extra" in one for one in gate_install.needed(REQUIRES, has_tensorflow=False))


def test_what_is_installed_is_not_pinned():
    text = "# Pins.\n\nml-dtypes==0.6.0\nnumpy==2.2.6 ; python_version <= '3.10'\npyyaml==6.0.3\nrich==15.0.0\n"
    pins = gate_install.pins(text, ["ML_DTypes", "PyYAML", None])
    assert pins == ["numpy==2.2.6 ; python_version <= '3.10'", "rich==15.0.0"]
    assert gate_install.distribution("Foo.Bar[x]>=1") == "foo-bar"


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c"]])
def test_it_refuses_to_run_in_another_way(arguments, tmp_path):
    isolated = subprocess.run([sys.executable, "-I", FILE, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert (isolated.returncode, isolated.stderr) == (2, "usage: python3 -I install.py FOLDER [REQUIREMENT]\n")
    plain = subprocess.run([sys.executable, FILE, "folder"], cwd=tmp_path, capture_output=True, text=True)
    assert plain.returncode == 2
    assert list(tmp_path.iterdir()) == []
