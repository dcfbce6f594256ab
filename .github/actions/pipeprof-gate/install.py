"""Install pipeprof into an environment of its own, for a gate in CI.

    python3 -I install.py FOLDER [REQUIREMENT]

FOLDER/env sees the packages of the Python that runs this file and changes none of them: what pipeprof needs and they
lack is installed in FOLDER/env, in the versions of constraints.txt. A TensorFlow that is there stays, under whatever
distribution name. REQUIREMENT is what pip installs; without one, it is the copy of pipeprof that this file belongs to.

Nothing is read from the current folder, nor from where variables such as PYTHONPATH lead: a checkout of a pull request
has no say in what is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import site
import subprocess
import sys
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_LOOK = """
import importlib.metadata, importlib.util, json
print(json.dumps({
    "requires": importlib.metadata.requires("pipeprof"),
    "installed": [found.metadata["Name"] for found in importlib.metadata.distributions()],
    "tensorflow": importlib.util.find_spec("tensorflow") is not None,
}))
"""


def distribution(requirement: str) -> str:
    """Normalise the name that a requirement or a constraint begins with."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def needed(requires: Iterable[str], *, has_tensorflow: bool) -> list[str]:
    """Select pipeprof's own requirements, without TensorFlow if some build of it is there.

    Args:
        requires: As in the metadata of the distribution, those of extras included.
        has_tensorflow: Whether `tensorflow` can be imported.
    """
    own = [requirement for requirement in requires if "extra ==" not in requirement]
    return [requirement for requirement in own if not (has_tensorflow and distribution(requirement) == "tensorflow")]


def pins(constraints: str, installed: Iterable[str | None]) -> list[str]:
    """Select the constraints that concern nothing that is installed: pip then keeps what is there.

    Args:
        constraints: Text of a file of constraints.
        installed: Names of distributions; None for one whose metadata is damaged.
    """
    there = {distribution(name) for name in installed if name}
    lines = [line for line in constraints.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if distribution(line) not in there]


def package_folders() -> list[str]:
    """Folders that packages are installed in, for this Python and for this user."""
    return [folder for folder in [*site.getsitepackages(), site.getusersitepackages()] if Path(folder).is_dir()]


def install(folder: Path, requirement: str) -> None:
    """Make the environment.

    Raises:
        subprocess.CalledProcessError: pip failed; it has printed why.
        OSError: The environment cannot be written.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    python = str(folder / "env" / "bin" / "python")

    def run(program: str, *arguments: str) -> str:
        command = [program, "-I", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        ).stdout

    def pip(program: str, command: str, *arguments: str) -> None:
        run(program, "-m", "pip", "--disable-pip-version-check", "--no-input", command, "--quiet", *arguments)

    # The pip of this Python will do; Debian's has no `ensurepip` to make another one.
    has_pip = importlib.util.find_spec("pip") is not None
    venv.EnvBuilder(with_pip=not has_pip).create(folder / "env")
    # Built before the packages of the job are visible: an old setuptools there would take the place of pip's.
    pip(sys.executable if has_pip else python, "wheel", "--no-deps", "--wheel-dir", "wheel", "--", requirement)
    (wheel,) = (folder / "wheel").glob("*.whl")
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # `addsitedir` rather than `system_site_packages`: this Python may itself be that of a virtual environment.
    lines = [f"import site; site.addsitedir({package_folder!r})\n" for package_folder in package_folders()]
    Path(packages, "packages-of-the-job.pth").write_text("".join(lines), encoding="utf-8")
    pip(python, "install", "--no-deps", "--ignore-installed", str(wheel))

    seen = json.loads(run(python, "-c", _LOOK))
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    files = {
        "constraints.txt": pins(constraints, seen["installed"]),
        "requirements.txt": needed(seen["requires"], has_tensorflow=seen["tensorflow"]),
    }
    for name, content in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    pip(python, "install", "-c", "constraints.txt", "-r", "requirements.txt")


def main(arguments: Sequence[str]) -> int:
    """Install, and say what failed."""
    if not sys.flags.isolated or len(arguments) not in {1, 2}:
        sys.stderr.write("usage: python3 -I install.py FOLDER [REQUIREMENT]\n")
        return 2
    folder = Path(arguments[0]).resolve()
    requirement = "".join(arguments[1:]) or str(ROOT)
    try:
        install(folder, requirement)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"pipeprof could not be installed from {requirement}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
