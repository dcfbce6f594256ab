"""What git says of a work tree: which files it tracks, which came with the checkout, and whether there are changes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.git.calls import GitCalls, git_calls
from pipeprof.profiles.git.refs import commits_of
from pipeprof.profiles.git.repository import Repository, repository_at, repository_root
from pipeprof.profiles.git.tree import LFS, MOST_DEPTH, SUBMODULE, entries_of, filters_of, is_content_of, parse_pointer

_MOST_SECONDS = 10.0
"""For a look at the work tree, which the report can do without."""
_CHANGED = " M "


def tracked_files(calls: GitCalls, place: Path) -> list[Path]:
    """Files that git tracks at a place and below it; none outside of a work tree. ProfileError if git cannot tell."""
    place = place.resolve()
    repository = calls.find(place)
    if repository is None:
        return []
    root = repository.root
    listed = calls.run(repository, "ls-files", "-z", "--", f":(literal){place.relative_to(root)}")
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


def is_dirty(calls: GitCalls, near: Path) -> bool | None:
    """Whether the work tree differs from its last commit; None outside of git, and where git does not tell in time."""
    try:
        repository = calls.find(near)
        return None if repository is None else _differs(calls, repository, depth=0)
    except ProfileError:
        return None


def _differs(calls: GitCalls, repository: Repository, depth: int) -> bool:
    # git would look into submodules with the configuration that they have.
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all")
    printed = calls.run(repository, "status", *options, most=_MOST_SECONDS).decode(errors="surrogateescape")
    lines = list(filter(None, printed.split("\0")))
    paths = [line.removeprefix(_CHANGED) for line in lines if line.startswith(_CHANGED)]
    if len(paths) < len(lines) or not _are_made_by_filters(calls, repository, paths):
        return True
    for mode, commit, path in entries_of(calls, repository, "HEAD"):
        within = repository_at(repository.root / path) if mode == SUBMODULE and depth < MOST_DEPTH else None
        if within is not None:
            inner = calls.enter(within)
            if commits_of(calls, inner, ["HEAD"]) != [commit] or _differs(calls, inner, depth + 1):
                return True
    return False


def _are_made_by_filters(calls: GitCalls, repository: Repository, paths: list[str]) -> bool:
    """Whether files differ from the last commit as their filters make them differ, which are not run."""
    named = filters_of(calls, repository, repository.root, paths)
    for path in paths:
        if path not in named:
            return False
        if named[path] == LFS:
            pointer = parse_pointer(calls.run(repository, "cat-file", "blob", f":{path}"))
            if pointer is None or not is_content_of(repository.root / path, pointer):
                return False
    return True
