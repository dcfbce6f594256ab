"""What git tracks, as its index says: that came with the checkout, and is no state of this user's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.git.calls import GitCalls, git_calls
from pipeprof.profiles.git.repository import repository_root


def tracked_files(calls: GitCalls, place: Path) -> list[Path]:
    """The files that git tracks at a place and below it; none outside of a work tree.

    Raises:
        ProfileError: There is a work tree, and git does not tell.
    """
    place = place.resolve()
    view = calls.find(place)
    if view is None:
        return []
    root = view.repository.root
    listed = calls.run(view, "ls-files", "-z", "--", f":(literal){place.relative_to(root)}")
    return [root / name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def came_with_checkout(paths: Iterable[Path]) -> dict[Path, str]:
    """The files that git tracks, or where it does not say so, with the reason in words."""
    found: dict[Path, str] = {}
    with git_calls() as calls:
        for path in paths:
            if repository_root(path.resolve().parent) is None:
                continue
            try:
                if tracked_files(calls, path):
                    found[path] = f"{path} came with the checkout: git tracks it"
            except ProfileError as error:
                found[path] = f"git does not say whether {path} came with the checkout ({error})"
    return found
