"""Whether a work tree has changes that are not committed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.git.calls import GitCalls, GitView
from pipeprof.profiles.git.filters import FilterJob, filters_of_paths, run_filters
from pipeprof.profiles.git.refs import commit_of
from pipeprof.profiles.git.repository import repository_at
from pipeprof.profiles.git.tree import FILTER, SUBMODULE, entries_of, is_content_of, parse_pointer

_MOST_DEPTH = 8
_MOST_SECONDS = 10.0
"""For a look at the work tree, which the report can do without."""
_CHANGED = " M "
_SHA1_DIGITS = 40


def is_dirty(calls: GitCalls, near: Path) -> bool | None:
    """Whether the work tree differs from its last commit; None outside of git, and where git does not tell in time."""
    try:
        with calls.at_most(_MOST_SECONDS):
            view = calls.find(near)
            return None if view is None else _differs(calls, view, depth=0)
    except ProfileError:
        return None


def _differs(calls: GitCalls, view: GitView, depth: int) -> bool:
    # git would look into submodules with the configuration that they have.
    printed = calls.run(
        view, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all"
    )
    lines = list(filter(None, printed.decode(errors="surrogateescape").split("\0")))
    entries = dict(entries_of(calls.run(view, "ls-files", "--stage", "-z")))
    changed = [line.removeprefix(_CHANGED) for line in lines if line.startswith(_CHANGED)]
    if len(changed) < len(lines) or not _are_same(calls, view, changed, entries):
        return True
    for path, (mode, commit) in entries.items():
        within = repository_at(view.repository.root / path) if mode == SUBMODULE and depth < _MOST_DEPTH else None
        if within is not None:
            inner = calls.view(within)
            if commit_of(calls, inner, "HEAD") != commit or _differs(calls, inner, depth + 1):
                return True
    return False


def _are_same(calls: GitCalls, view: GitView, paths: list[str], entries: Mapping[str, tuple[str, str]]) -> bool:
    """Whether files differ from the last commit only as their filters make them differ: git ran none."""
    own, named = calls.filters(view), filters_of_paths(calls, view, paths)
    jobs: list[FilterJob] = []
    for path in paths:
        file, name = view.repository.root / path, named.get(path)
        if path not in entries or file.is_symlink() or not file.is_file():
            return False
        clean = own[name].clean if name in own and name != FILTER and not own[name].refused else None
        if name == FILTER:
            pointer = parse_pointer(calls.run(view, "cat-file", "blob", entries[path][1]))
            if pointer is None or not is_content_of(file, pointer):
                return False
        elif clean is not None:
            jobs.append(FilterJob(clean, path, file, calls.folder / f"clean-{len(jobs)}"))
        else:
            return False
    done = run_filters(calls, jobs)
    return all(done) and all(_hash_of(job.made, entries[job.path][1]) == entries[job.path][1] for job in jobs)


def _hash_of(file: Path, like: str) -> str:
    """The hash of a file as git's, of the kind of another one."""
    data = file.read_bytes()
    digest = hashlib.sha1(usedforsecurity=False) if len(like) == _SHA1_DIGITS else hashlib.sha256()
    digest.update(b"blob %d\0" % len(data) + data)
    return digest.hexdigest()
