"""Targets at a git ref, and the commit that a ref means."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.git.calls import GitCalls, GitError, Repository, printable

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
_REMOTES = "refs/remotes/"


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


_TARGETS = ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "GITHUB_BASE_REF")
"""Variables with the branch that a merge request is for: of GitLab, and of GitHub and Gitea."""


def merge_base(environment: Mapping[str, str]) -> str | None:
    """Where the branch of a merge request left the branch that it is for, as a target; None outside of one.

    Example:
        >>> merge_base({"GITHUB_BASE_REF": "main"}), merge_base({"GITHUB_BASE_REF": ""})
        ('git:refs/remotes/origin/main...', None)
    """
    branch = next((environment[name] for name in _TARGETS if environment.get(name)), None)
    return f"{PREFIX}{_REMOTES}origin/{branch}{FORK}" if branch is not None else None


def commit_of(calls: GitCalls, repository: Repository, ref: str) -> str:
    """The full hash of the commit that a ref means.

    Raises:
        ProfileError: There is no such ref; the message says how to get it. Or its name is that of several commits.
    """
    name = ref.removesuffix(FORK)
    shown = printable(name)
    shown = f"{PREFIX}{shown if len(shown) <= _MOST_SHOWN else f'{shown[:_MOST_SHOWN]}…'}"
    (found,) = commits_of(calls, repository, [name])
    if found is None:
        mend = _mend(calls, repository, name)
        raise ProfileError(f"{shown}: no such branch, tag or commit in {repository.root}{mend}")
    _require_one(calls, repository, name)
    if name == ref:
        return found
    try:
        return calls.run(repository, "merge-base", found, "HEAD").decode().split()[0]
    except (GitError, IndexError):
        more = _deeper(repository)
        msg = f"{shown}{FORK}: no commit that HEAD and {printable(name)} share in {repository.root}{more}"
        raise ProfileError(msg) from None


def commits_of(calls: GitCalls, repository: Repository, refs: Sequence[str]) -> list[str | None]:
    """The full hash of the commit that each name stands for; None where it stands for none."""
    if any(letter in ref for ref in refs for letter in "\0\n"):
        return [None] * len(refs)
    given = "".join(f"{ref}^{{commit}}\n" for ref in refs).encode(errors="surrogateescape")
    try:
        lines = calls.run(repository, "cat-file", "--batch-check", given=given).splitlines()
    except GitError:
        # As for `@{upstream}` of a branch that has none.
        return [None] * len(refs)
    return [line.split()[0].decode() if line.split()[1:2] == [b"commit"] else None for line in lines]


def _require_one(calls: GitCalls, repository: Repository, ref: str) -> None:
    """Refuse a name that refs at several commits have: for git a tag, which many may push, comes before a branch."""
    name = _MORE.split(ref, maxsplit=1)[0]
    if _HEADS.fullmatch(name):
        return
    parts = (name, f"tags/{name}", f"heads/{name}", f"remotes/{name}", f"remotes/{name}/HEAD")
    for_git = [f"refs/{part}" for part in parts]
    named = [one for one, commit in zip(for_git, commits_of(calls, repository, for_git), strict=True) if commit]
    if f"refs/tags/{name}" in named:
        # As in CI, where a branch is that of the remote alone.
        theirs = re.compile(rf"{_REMOTES}[^/]+/{re.escape(name)}")
        named += filter(theirs.fullmatch, _remote_refs(calls, repository))
    is_hash = _ABBREVIATED.fullmatch(name) and calls.run(repository, "rev-parse", f"--disambiguate={name}")
    if len(set(commits_of(calls, repository, named))) > 1 or (named and is_hash):
        full = " or ".join(f"{PREFIX}{printable(one)}" for one in named)
        also = ", or a longer hash" if is_hash else ""
        raise ProfileError(f"{PREFIX}{printable(ref)} is ambiguous: use {full}{also}")


def _remote_refs(calls: GitCalls, repository: Repository) -> list[str]:
    listed = calls.run(repository, "rev-parse", "--symbolic-full-name", "--remotes")
    return listed.decode(errors="surrogateescape").splitlines()


def _deeper(repository: Repository) -> str:
    """Advice for a clone without its history; empty for another one."""
    shallow = repository.common_dir / "shallow"
    if not shallow.exists() or not shallow.stat().st_size:
        return ""
    return f"; this clone is shallow: fetch its history ({_HISTORY})"


def _mend(calls: GitCalls, repository: Repository, ref: str) -> str:
    """Advice for a missing ref: fetch the branch of a remote, or more of the history."""
    ref, deeper = ref.removeprefix(_REMOTES), _deeper(repository)
    branch = _MORE.split(ref, maxsplit=1)[0]
    # Of `main~1` the branch may be there, and the commit is not.
    [is_there] = commits_of(calls, repository, [branch])
    if (is_there and branch != ref) or _HEADS.fullmatch(branch) or not _BRANCH.fullmatch(branch):
        return deeper
    refs = _remote_refs(calls, repository)
    remotes = list(dict.fromkeys(one.split("/")[2] for one in refs)) or ["origin"]
    for remote in remotes:
        if f"{_REMOTES}{remote}/{branch}" in refs:
            return f"; {remote}/{branch} is there: git:{remote}/{ref}"
    remote, _, name = branch.partition("/")
    if remote not in remotes or not name:
        remote, name = remotes[0], branch
    what = shlex.join([remote, f"{name}:{_REMOTES}{remote}/{name}"])
    fetch = f"git fetch {what}, then {shlex.quote(f'git:{remote}/{name}')}"
    return f"{deeper}; for a branch of the remote: {fetch}" if refs or deeper else ""
