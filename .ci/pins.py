"""Writes constraints.txt: the newest set of versions that each supported Python resolves to.

Usage: ``python .ci/pins.py [--python python3.10 …]``. Needs every interpreter on PATH (or as a
path) and a package index; installs nothing but pip in temporary environments.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13")
# What the Makefile calls before the project's own metadata can be read.
TOOLS = ("build", "setuptools", "wheel")

HEADER = """\
# Every direct and transitive dependency (run time and development), as tried by `make test`.
# Written by .ci/pins.py; a version with a marker is the newest one for those Pythons.
"""


def requirements(pyproject: str) -> list[str]:
    """Names and ranges from ``[project]`` of a pyproject.toml, the extras ``dev`` and ``docs`` included.

    Read with a pattern because Python 3.10 has no TOML reader of its own.
    """
    found: list[str] = []
    for name in ("dependencies", "dev", "docs"):
        block = re.search(rf"^{name} = \[\n(.*?)^\]", pyproject, re.MULTILINE | re.DOTALL)
        if block is None:
            sys.exit(f"pyproject.toml has no list '{name}'")
        found += re.findall(r'"([^"]+)"', block[1])
    return found


def resolve(python: str, wanted: list[str]) -> tuple[tuple[int, int], dict[str, str]]:
    """What pip would install for one interpreter: its version, and name to version."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        own = str(Path(folder, "bin", "python"))
        report = Path(folder, "report.json")
        subprocess.run([own, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        subprocess.run(
            [own, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", report, *wanted],
            check=True,
        )
        document: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    major, minor = document["environment"]["python_version"].split(".")
    return (int(major), int(minor)), {
        re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"]
        for item in document["install"]
    }


def constraints(resolved: dict[tuple[int, int], dict[str, str]]) -> list[str]:
    """One line per package, or one per version with an environment marker where the Pythons differ."""
    pythons = sorted(resolved)
    lines: list[str] = []
    for name in sorted({name for pins in resolved.values() for name in pins}):
        by_version: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for python in pythons:
            if name in resolved[python]:
                by_version[resolved[python][name]].append(python)
        for version, which in by_version.items():
            low, high = which[0], which[-1]
            if len(by_version) == 1 and which == pythons:
                lines.append(f"{name}=={version}")
                continue
            parts = []
            if low != pythons[0]:
                parts.append(f">= '{low[0]}.{low[1]}'")
            if high != pythons[-1]:
                parts.append(f"<= '{high[0]}.{high[1]}'")
            if low == high and len(parts) == 2:
                parts = [f"== '{low[0]}.{low[1]}'"]
            lines.append(f"{name}=={version} ; {' and '.join(f'python_version {part}' for part in parts)}")
    return lines


def main() -> None:
    """Resolve for every interpreter and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", default=PYTHONS, help="interpreters, default %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "constraints.txt", help="default: the project's own file")
    options = parser.parse_args()
    wanted = [*requirements((ROOT / "pyproject.toml").read_text(encoding="utf-8")), *TOOLS]
    resolved = dict(resolve(python, wanted) for python in options.python)
    options.out.write_text(HEADER + "\n".join(constraints(resolved)) + "\n", encoding="utf-8")
    print(f"{options.out}: {len(resolved)} Pythons")


if __name__ == "__main__":
    main()
