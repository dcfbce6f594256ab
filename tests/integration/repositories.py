"""Repositories of git that tests make."""

from __future__ import annotations

import subprocess
from pathlib import Path

USER = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]


def git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    """Run git as a user of its own, and return what it says."""
    command = ["git", *USER, "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, input=given).stdout.decode().strip()


def commit_all(folder: Path, message: str = "more") -> None:
    git(folder, "add", "-A", "-f", ".")
    git(folder, "commit", "-qm", message, "--allow-empty")


def begin(folder: Path, **files: str) -> Path:
    """A folder that is a repository with these texts committed; ``a_txt`` is a.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / ".".join(name.rsplit("_", 1))).write_text(text)
    git(folder, "init", "-q")
    commit_all(folder)
    return folder


def embedded_repository(command: str) -> dict[str, str]:
    """Files of a folder ``specs`` that git takes for a repository without one named .git; it runs a command."""
    config = f'[core]\n repositoryformatversion = 0\n bare = false\n worktree = .\n fsmonitor = "{command}"\n'
    return {"specs/objects/k": "", "specs/refs/k": "", "specs/HEAD": "ref: refs/heads/main\n", "specs/config": config}
