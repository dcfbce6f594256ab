"""Filters of the user's own configuration, run where no word of theirs can name a file of a checkout.

git runs a filter in the work tree: `make`, `node x` or `python -m x` take what lies there. Here each runs in an empty
folder, with the content on standard input. Filters that are one process for many files are not run.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.host_files import nameless_file
from pipeprof.pipelines.target.import_path import child_command
from pipeprof.profiles.git.calls import GitCalls, GitView, absolute_path
from pipeprof.profiles.host.run_family import RunFamily


@dataclass(frozen=True)
class FilterJob:
    """A file that goes through a filter, a shell command with ``%f`` for the path."""

    command: str
    path: str
    given: Path
    made: Path


def filters_of_paths(calls: GitCalls, view: GitView, paths: Sequence[str], index: Path | None = None) -> dict[str, str]:
    """The filter's name of each path whose attributes, in `index` or else the work tree, name one."""
    if not paths:
        return {}
    given = "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")
    where = ("--cached",) if index is not None else ()
    listed = calls.run(view, "check-attr", *where, "-z", "--stdin", "filter", index=index, given=given)
    words = listed.decode(errors="surrogateescape").split("\0")
    names = zip(words[::3], words[2::3], strict=False)
    return {path: name for path, name in names if name not in ("unspecified", "unset", "set", "")}


def run_filters(calls: GitCalls, jobs: Sequence[FilterJob]) -> list[bool]:
    """Run filters one after the other; return which of them ended well.

    Raises:
        ProfileError: The time of the command is over.
    """
    if not jobs:
        return []
    folder = calls.folder / "nothing"
    folder.mkdir(exist_ok=True)
    asked = [[job.command.replace("%f", shlex.quote(job.path)), str(job.given), str(job.made)] for job in jobs]
    seconds = calls.seconds_left()
    with nameless_file() as given, nameless_file() as printed, nameless_file() as said, RunFamily() as family:
        given.write(json.dumps(asked).encode(errors="surrogateescape"))
        given.seek(0)
        process = None
        try:
            process = family.start(child_command(__name__, str(folder)), (given, printed, said), ())
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise calls.too_late(f"the filter `{jobs[0].command}`", seconds) from None
        finally:
            if process is not None:
                family.end(process.pid)
        printed.seek(0)
        codes = printed.read().split()
    return [code == b"0" for code in codes] + [False] * (len(jobs) - len(codes))


def filter_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a filter: that of the user, with absolute folders in PATH and nothing of git's."""
    kept = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
    return {**kept, "PATH": absolute_path(kept.get("PATH", os.defpath))}


def main() -> int:
    """Run the jobs on standard input in the folder that is the argument; print their exit statuses."""
    environment = filter_environment(os.environ)
    for command, given, made in json.load(sys.stdin):
        with Path(given).open("rb") as content, Path(made).open("wb") as result:
            done = subprocess.run(  # noqa: S602 - a command of the user's own configuration, as git runs it
                command, shell=True, check=False, cwd=sys.argv[1], env=environment, stdin=content, stdout=result
            )
        sys.stdout.write(f"{done.returncode}\n")
        sys.stdout.flush()
    return 0
