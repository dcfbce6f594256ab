"""Targets at a git ref, and the commit that a ref means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.git.calls import GitCalls, GitError, GitView, printable
from pipeprof.profiles.git.config import remotes_of

PREFIX = "git:"
FORK = "..."
"""Behind a ref: where the present branch left it, as in ``git diff main...``."""
_MOST_SHOWN = 100
"""Letters of a ref in a message."""
_HISTORY = "`fetch-depth: 0` for actions/checkout, or git fetch --unshallow"
_BRANCH = re.compile(r"[A-Za-z0-9][\w./-]*")
_MORE = re.compile(r"[~^]|@\{")
"""What may follow the name of a ref."""
_HEADS = re.compile(r"|@|[A-Z_]*HEAD")
"""Names that stand for one commit, whatever refs there are."""
_ABBREVIATED = re.compile(r"[0-9a-f]{4,39}")


@dataclass(frozen=True)
class RefTarget:
    """A target at a ref; without a path, it is that of the other side."""

    ref: str
    path: str | None


def parse_ref(text: str) -> RefTarget | None:
    """Read ``git:REF`` or ``git:REF:path``; None for another target.

    Example:
        >>> parse_ref("git:main:specs/a.yaml")
        RefTarget(ref='main', path='specs/a.yaml')
    """
    if not text.startswith(PREFIX):
        return None
    ref, _, path = text.removeprefix(PREFIX).partition(":")
    return RefTarget(ref, path or None)


def commit_of(calls: GitCalls, view: GitView, ref: str) -> str:
    """The full hash of the commit that a ref means.

    Raises:
        ProfileError: There is no such ref; the message says how to get it. Or its name is that of several commits.
    """
    name = ref.removesuffix(FORK)
    found = _resolved(calls, view, name)
    if found is not None:
        _require_one(calls, view, name)
        return found if name == ref else _left_at(calls, view, name, found)
    ref = name
    shown = printable(ref)
    shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
    raise ProfileError(f"git:{shown}: no such branch, tag or commit in {view.repository.root}{_mend(calls, view, ref)}")


def _require_one(calls: GitCalls, view: GitView, ref: str) -> None:
    """Refuse a name that several refs have: for git a tag, which many may push, comes before a branch.

    Raises:
        ProfileError: They are at other commits; the message has their full names.
    """
    name = _MORE.split(ref, maxsplit=1)[0]
    if _HEADS.fullmatch(name):
        return
    parts = (name, f"tags/{name}", f"heads/{name}", f"remotes/{name}", f"remotes/{name}/HEAD")
    for_git = [f"refs/{part}" for part in parts]
    listed = calls.run(view, "for-each-ref", "--format=%(refname)", *for_git, f"refs/remotes/*/{name}")
    refs = listed.decode(errors="surrogateescape").split("\n")
    found = [one for one in for_git if one in refs]
    if f"refs/tags/{name}" in found:
        # As in CI, where a branch is that of the remote alone.
        found += [one for one in refs if re.fullmatch(rf"refs/remotes/[^/]+/{re.escape(name)}", one)]
    commits = {_resolved(calls, view, one) for one in found}
    is_hash = _ABBREVIATED.fullmatch(name) and calls.run(view, "rev-parse", f"--disambiguate={name}")
    if len(commits) > 1 or (found and is_hash):
        full = " or ".join(f"{PREFIX}{printable(one)}" for one in found)
        also = ", or a longer hash" if is_hash else ""
        raise ProfileError(f"{PREFIX}{printable(ref)} is ambiguous: use {full}{also}")


def _left_at(calls: GitCalls, view: GitView, ref: str, commit: str) -> str:
    """The latest commit that is in the history of a commit, named by a ref, and in that of the work tree.

    Raises:
        ProfileError: There is none here.
    """
    try:
        return calls.run(view, "merge-base", commit, "HEAD").decode().split()[0]
    except (GitError, IndexError):
        shown = f"git:{printable(ref)}{FORK}"
        raise ProfileError(
            f"{shown}: no commit that HEAD and {printable(ref)} share in {view.repository.root}{_deeper(view)}"
        ) from None


def _deeper(view: GitView) -> str:
    """Advice for a clone without its history; empty for another one."""
    shallow = view.directory / "shallow"
    if not shallow.exists() or not shallow.stat().st_size:
        return ""
    return f"; this clone is shallow: fetch its history ({_HISTORY})"


_TARGETS = ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "GITHUB_BASE_REF")
"""Variables with the branch that a merge request is for: of GitLab, and of GitHub and Gitea."""


def merge_base(environment: Mapping[str, str]) -> str | None:
    """Where the branch of a merge request left the branch that it is for, as a target; None outside of one.

    Example:
        >>> merge_base({"GITHUB_BASE_REF": "main"}), merge_base({"GITHUB_BASE_REF": ""})
        ('git:refs/remotes/origin/main...', None)
    """
    branch = next((environment[name] for name in _TARGETS if environment.get(name)), None)
    return f"{PREFIX}refs/remotes/origin/{branch}{FORK}" if branch is not None else None


def has_commit(calls: GitCalls, view: GitView, commit: str) -> bool:
    """Whether a commit is in the repository."""
    return _resolved(calls, view, commit) is not None


def _resolved(calls: GitCalls, view: GitView, ref: str) -> str | None:
    if "\0" in ref:
        return None
    try:
        found = calls.run(view, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except GitError:
        return None
    return found.decode().strip()


def _mend(calls: GitCalls, view: GitView, ref: str) -> str:
    """Advice for a missing ref: fetch the branch of a remote, or more of the history."""
    ref = ref.removeprefix("refs/remotes/")
    branch = re.split(r"[~^@:]", ref, maxsplit=1)[0]
    is_base_there = branch != ref and (branch in ("", "HEAD") or _resolved(calls, view, branch) is not None)
    remotes = remotes_of(view.entries) or ["origin"]
    if deeper := _deeper(view):
        if is_base_there or not _BRANCH.fullmatch(branch):
            return deeper
        return f"{deeper}, and the branch: {_fetch(branch, remotes)}"
    if is_base_there or not _BRANCH.fullmatch(branch) or branch == "HEAD":
        return ""
    for remote in remotes:
        there = f"{remote}/{branch}"
        if _resolved(calls, view, f"refs/remotes/{there}") is not None:
            return f"; {there} is there: git:{there}{ref.removeprefix(branch)}"
    return f"; {_fetch(branch, remotes)} gets a branch of the remote" if remotes_of(view.entries) else ""


def _fetch(branch: str, remotes: list[str]) -> str:
    """The command that fetches a branch, also into a clone of another single branch."""
    remote = next((name for name in remotes if branch.startswith(f"{name}/")), None)
    if remote is not None:
        name = branch.removeprefix(f"{remote}/")
        return f"git fetch {remote} {name}:refs/remotes/{branch}"
    return f"git fetch {remotes[0]} {branch}"
