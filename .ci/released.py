"""Refuse a release whose parts disagree: ``python .ci/released.py vX.Y.Z``. Needs Python 3.11 and nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]


def faults(root: Path, tag: str) -> list[str]:
    """Return what is wrong with a release.

    Args:
        root: The checkout.
        tag: Name of the tag.
    """
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag {tag} is not v and the version in pyproject.toml, {version}")
    citation = re.search(r"^version: (.*)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    if citation is None or citation[1].strip("\"'") != version:
        found.append(f"CITATION.cff has another version than {version}")
    if not re.search(rf"^## {re.escape(version)}\b", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE):
        found.append(f"CHANGELOG.md has no section {version}")
    return found


def main() -> int:
    """Print what is wrong."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python .ci/released.py vX.Y.Z\n")
        return 2
    found = faults(ROOT, sys.argv[1])
    sys.stderr.write("".join(f"{fault}\n" for fault in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
