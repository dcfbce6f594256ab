"""The documented line for environments with another TensorFlow, in such an environment, with wheels that are empty."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / "docs" / "install.md"
LATEST = "99.0"
"""Of what an index has: newer than any bound."""


def write_wheel(folder: Path, name: str, version: str, requires: list[str] = []) -> None:  # noqa: B006
    """A wheel with nothing but its metadata."""
    package = name.replace("-", "_")
    info = f"{package}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {one}" for one in requires]
    with zipfile.ZipFile(folder / f"{package}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "\n".join([*lines, ""]))
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of pipeprof, of all that it needs, and of other TensorFlows."""
    folder = tmp_path_factory.mktemp("index")
    required = metadata.requires("pipeprof") or []
    write_wheel(folder, "pipeprof", "1.0", required)
    for line in required:
        name = re.split(r"[<>=!~ \[;]", line)[0]
        if "extra ==" not in line:
            write_wheel(folder, name, "0.99" if name == "typer" else LATEST)
    for name, version in (("tensorflow-cpu", "2.21.0"), ("tf-nightly", "2.22.0")):
        write_wheel(folder, name, version)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    return tmp_path / "env"


def packages(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


def put(name: str, version: str, index: Path, environment: Path) -> None:
    """Have a package of the index there before pip comes."""
    with zipfile.ZipFile(index / f"{name.replace('-', '_')}-{version}-py3-none-any.whl") as wheel:
        wheel.extractall(packages(environment))


def documented() -> str:
    """The line of the page, for the package of an index in place of a checkout."""
    text = INSTALL.read_text(encoding="utf-8")
    (line,) = re.findall(r"^pip install --no-deps \. && pip install .*$", text, re.MULTILINE)
    return line.replace("--no-deps .", "--no-deps pipeprof")


def installed(environment: Path) -> dict[str, str]:
    found = metadata.distributions(path=[str(packages(environment))])
    return {one.metadata["Name"]: one.version for one in found}


def test_the_line_neither_replaces_nor_doubles_a_tensorflow(index: Path, environment: Path) -> None:
    own = {"tensorflow-cpu": "2.21.0", "tf-nightly": "2.22.0"}
    for name, version in own.items():
        put(name, version, index, environment)
    pip = f"{sys.executable} -m pip --python {environment}/bin/python --disable-pip-version-check -q"
    options = f"--no-index --find-links {index}"
    line = documented().replace("pip install", f"{pip} install {options}")
    subprocess.run(["/bin/sh", "-c", line], check=True)
    found = installed(environment)
    assert {key: value for key, value in found.items() if key.startswith(("tensorflow", "tf-"))} == own
    assert found["pipeprof"] == "1.0"
    needed = [
        one for one in metadata.requires("pipeprof") or [] if "extra ==" not in one and "python_version" not in one
    ]
    assert {re.split(r"[<>=!~ \[;]", one)[0] for one in needed} - {"tensorflow"} <= set(found)
