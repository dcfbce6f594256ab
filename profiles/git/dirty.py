"""Whether a work tree has changes that are not committed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.git.refs import commit_of
from pipeprof.profiles.git.repository import repository_at

if TYPE_CHECKING:
    from pipeprof.profiles.git.calls import GitCalls, GitView

_SUBMODULE = "160000 "
_MOST_DEPTH = 8


def is_dirty(calls: GitCalls, near: Path) -> bool | None:
    """Whether the work tree differs from its last commit; None outside of git, and where git does not tell in time.

    Args:
        calls: Call git.
        near: A file or folder in the work tree.
    """
    try:
        view = calls.find(near)
        return None if view is None else _differs(calls, view, depth=0)
    except ProfileError:
        return None


def _differs(calls: GitCalls, view: GitView, depth: int) -> bool:
    # git would look into submodules with the configuration that they have.
    if calls.run(view, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"):
        return True
    listed = calls.run(view, "ls-files", "--stage", "-z").decode(errors="surrogateescape")
    for line in listed.split("\0"):
        if not line.startswith(_SUBMODULE) or depth >= _MOST_DEPTH:
            continue
        head, _, path = line.partition("\t")
        within = repository_at(view.repository.root / path)
        if within is not None:
            inner = calls.view(within)
            if commit_of(calls, inner, "HEAD") != head.split(" ")[1] or _differs(calls, inner, depth + 1):
                return True
    return False
