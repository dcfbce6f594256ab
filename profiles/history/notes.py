"""A history in git notes: a ref of its own, on each commit the gates that it was B of.

Notes are written as objects and a commit, and the ref moves only from the commit that was read: of two gates at the
same time, the second reads again. Nothing is fetched or pushed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.git.calls import GitCalls, GitError, GitView
from pipeprof.profiles.git.config import remotes_of
from pipeprof.profiles.git.refs import commit_of
from pipeprof.profiles.history.lines import ReadLines, read_lines

REF: Final = "refs/notes/pipeprof"
WORD: Final = "git"
_TRIES = 20
_PAUSE = 0.05
"""Seconds, longer with each try."""
_BLOB = "100644"
_AUTHOR: Final = {"name": "pipeprof", "email": "pipeprof@localhost"}


def read_notes(calls: GitCalls, view: GitView, repository: str | None) -> ReadLines:
    """Read all notes; without the ref, the advice says how a clone gets it."""
    tip = _tip(calls, view)
    if tip is None:
        return ReadLines(REF, advice=_fetch(view))
    return read_lines(REF, _lines(calls, view, tip), repository)


def append_note(calls: GitCalls, view: GitView, line: bytes) -> None:
    """Add a line to the note of the work tree's commit.

    Raises:
        PipeprofError: Other processes were faster each time, or git refused.
    """
    commit = commit_of(calls, view, "HEAD")
    for number in range(_TRIES):
        try:
            if _append(calls, view, commit, line):
                return
        except GitError as error:
            raise PipeprofError(f"--history git: this gate could not be added ({error.said})") from None
        time.sleep(_PAUSE * (number + 1))
    raise PipeprofError(f"--history git: {REF} was changed by others {_TRIES} times in a row: this gate was not added")


def share_command(view: GitView) -> str | None:
    """The command that gives the notes to others; None without a remote."""
    remotes = remotes_of(view.entries)
    return f"git push {remotes[0]} {REF}" if remotes else None


def _append(calls: GitCalls, view: GitView, commit: str, line: bytes) -> bool:
    """Whether the ref was still what was read."""
    tip = _tip(calls, view)
    blobs = _blobs(calls, view, tip) if tip is not None else {}
    before = calls.run(view, "cat-file", "blob", blobs[commit]) if commit in blobs else b""
    before += b"" if not before or before.endswith(b"\n") else b"\n"
    blobs[commit] = _said(calls.run(view, "hash-object", "-w", "--stdin", given=before + line))
    tree = "".join(f"{_BLOB} blob {name}\t{path}\n" for path, name in sorted(blobs.items()))
    made = _said(calls.run(view, "mktree", given=tree.encode()))
    parents = ("-p", tip) if tip is not None else ()
    message = b"pipeprof gate\n"
    new = _said(calls.run(view, "commit-tree", made, *parents, given=message, author=_AUTHOR))
    try:
        # No ref yet is written as zeros.
        calls.run(view, "update-ref", REF, new, tip or "0" * len(new))
    except GitError as error:
        if _tip(calls, view) == tip and "lock" not in error.said:
            raise
        return False
    return True


def _lines(calls: GitCalls, view: GitView, tip: str) -> Iterator[tuple[str, bytes]]:
    blobs = _blobs(calls, view, tip)
    if not blobs:
        return
    given = "".join(f"{name}\n" for name in blobs.values()).encode()
    printed = calls.run(view, "cat-file", "--batch", given=given)
    at = 0
    for commit in blobs:
        head, _, _ = printed[at:].partition(b"\n")
        size = int(head.split()[-1]) if head.split()[-1].isdigit() else 0
        begin = at + len(head) + 1
        text = printed[begin : begin + size]
        at = begin + size + 1
        for number, line in enumerate(text.split(b"\n"), 1):
            yield f"note {number} of commit {commit[:12]} in {REF}", line


def _blobs(calls: GitCalls, view: GitView, tip: str) -> dict[str, str]:
    """The blob of each note by the commit that it is on; git may spread them over folders."""
    printed = calls.run(view, "ls-tree", "-r", "-z", tip).decode(errors="surrogateescape")
    found: dict[str, str] = {}
    for entry in filter(None, printed.split("\0")):
        head, _, path = entry.partition("\t")
        _, kind, name = head.split(" ")
        if kind == "blob":
            found[path.replace("/", "")] = name
    return found


def _tip(calls: GitCalls, view: GitView) -> str | None:
    try:
        return _said(calls.run(view, "rev-parse", "--verify", "--quiet", f"{REF}^{{commit}}"))
    except GitError:
        return None


def _said(printed: bytes) -> str:
    return printed.decode().strip()


def _fetch(view: GitView) -> str | None:
    remotes = remotes_of(view.entries)
    if not remotes:
        return None
    return f"{REF} is not in this clone; if {remotes[0]} has it, this fetches it: git fetch {remotes[0]} {REF}:{REF}"
