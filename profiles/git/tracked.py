"""What git tracks: what comes with a checkout, as its index says."""

from __future__ import annotations

from pathlib import Path

from pipeprof.profiles.git.calls import GitCalls


def tracked_files(calls: GitCalls, folder: Path) -> list[str]:
    """What git tracks in a folder and below it, as paths from the root of its work tree; nothing outside of one.

    Raises:
        ProfileError: There is a work tree, and git does not tell.
    """
    view = calls.find(folder)
    if view is None:
        return []
    inside = folder.resolve().relative_to(view.repository.root)
    listed = calls.run(view, "ls-files", "-z", "--", f":(literal){inside}")
    return [name for name in listed.decode(errors="surrogateescape").split("\0") if name]
