"""Random damage to documents, and random repositories, from a number: the same number gives the same case."""

from __future__ import annotations

import copy
import json
import random
import subprocess
from pathlib import Path
from typing import Any

VALUES: list[Any] = [
    None,
    True,
    "",
    0,
    -1,
    1e308,
    -1e-308,
    float("nan"),
    float("inf"),
    2**63,
    10**40,
    "x" * 5000,
    "\x1b[31m\x07\u202e",
    "../../../etc/passwd",
    "/proc/self/mem",
    "/dev/zero",
    "$(touch RAN)",
    "; touch RAN #",
    "<script>alert(1)</script>",
    "::error::x",
    [],
    {},
    [[[[[]]]]],
    {"python": "evil.py:run"},
    {"filename": "../outside/cache"},
    "evil.py:run",
    "\ud800",
]
LETTERS = "\0\n\t{}[]:,&*!|>'\"%@`#-?\u2028é\x1b"


def damaged(document: Any, chance: random.Random) -> Any:
    """A copy with one to four values replaced, removed, doubled or moved."""
    copied = copy.deepcopy(document)
    for _ in range(chance.randint(1, 4)):
        holder, key = _place(copied, chance)
        if holder is None:
            return copy.deepcopy(chance.choice(VALUES))
        action = chance.randrange(4)
        if action == 0:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
        elif action == 1:
            del holder[key]
        elif action == 2 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif isinstance(holder, dict):
            holder[str(chance.choice(VALUES))[:40]] = copy.deepcopy(chance.choice(VALUES))
    return copied


def _place(document: Any, chance: random.Random) -> tuple[Any, Any]:
    """A mapping or list somewhere in the document, and one of its keys."""
    holder, key, at = None, None, document
    while isinstance(at, dict | list) and at and (holder is None or chance.random() < 0.8):
        holder = at
        key = chance.choice(list(at)) if isinstance(at, dict) else chance.randrange(len(at))
        at = holder[key]
    return holder, key


def scrambled(text: str, chance: random.Random) -> str:
    """A text with a few letters replaced, or a part of it taken out or doubled."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        until = min(len(text), at + chance.randint(0, 30))
        text = text[:at] + chance.choice(["", chance.choice(LETTERS), text[at:until] * 2]) + text[until:]
    return text


def as_text(document: Any, chance: random.Random) -> str:
    """A damaged document as JSON, at times with damage to its letters."""
    text = json.dumps(damaged(document, chance))
    return scrambled(text, chance) if chance.random() < 0.3 else text


class RandomRepository:
    """A repository with what a stranger's checkout may hold.

    Args:
        root: A folder that does not exist yet.
        outside: A folder beside it.
        chance: Decides.
    """

    def __init__(self, root: Path, outside: Path, chance: random.Random) -> None:
        self._root, self._outside, self._chance = root, outside, chance
        (root / "specs").mkdir(parents=True)
        outside.mkdir(exist_ok=True)
        (outside / "x.txt").write_text("line\n")
        (outside / "base.yaml").write_text("secret: root:x:0\n")
        self._evil = f"touch {outside}/RAN; cat"
        self._git("init", "-q")

    def fill(self) -> None:
        """Two commits, and changes that are not committed."""
        plants = [
            self._embedded,
            self._links,
            self._attributes,
            self._names,
            self._submodule,
            self._lfs,
            self._python,
            self._results,
        ]
        for commit in ("one", "two"):
            self._specs()
            for plant in self._chance.sample(plants, self._chance.randint(1, 4)):
                plant()
            self._git("add", "-A", "-f", ".")
            self._git("commit", "-q", "--allow-empty", "-m", commit)
        for plant in self._chance.sample(plants, 2):
            plant()
        self._configuration()

    def _git(self, *arguments: str) -> None:
        user = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
        safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", *user, *safe, *arguments], cwd=self._root, check=False, capture_output=True)

    def _write(self, name: str, text: str) -> None:
        path = self._root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()
            path.write_text(text)
        except OSError:
            return

    def _link(self, name: str, target: str) -> None:
        path = self._root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(target)
        except OSError:
            return

    def _specs(self) -> None:
        sources = [
            "{range: {stop: 100000000}}",
            '{TextLineDataset: {filenames: "../outside/x.txt"}}',
            '{TextLineDataset: {filenames: "data/x.txt"}}',
            '{TextLineDataset: {filenames: "*/*.txt"}}',
        ]
        stages = ["[]", "[{batch: 2}]", "[{map: {python: 'evil.py:run'}}]", "[{cache: {filename: data/cache}}]"]
        for name in ("spec.yaml", "specs/spec.yaml"):
            source, stage = self._chance.choice(sources), self._chance.choice(stages)
            text = f"version: 1\nsource: {source}\nstages: {stage}\nstep: none\n"
            self._write(name, self._chance.choice([text, text, f"extends: {self._chance.choice(BASES)}\n"]))

    def _embedded(self) -> None:
        for name in ("objects", "refs"):
            self._write(f"specs/{name}/k", "")
        self._write("specs/HEAD", "ref: refs/heads/main\n")
        self._write("specs/config", f'[core]\n bare = false\n worktree = .\n fsmonitor = "{self._evil}"\n')

    def _links(self) -> None:
        targets = [
            "../outside",
            str(self._outside),
            "/etc",
            "..",
            "specs",
            "specs/spec.yaml",
            "/dev/zero",
            "loop",
            ".git",
        ]
        for name in self._chance.sample(["data", "specs/data", "loop", "base.yaml", "pipeprof-out", "out"], 3):
            self._link(name, self._chance.choice(targets))

    def _attributes(self) -> None:
        self._write(".gitattributes", "* filter=evil\n*.txt filter=lfs\n*.yaml diff=evil merge=evil\n")

    def _names(self) -> None:
        for name in ("-rf", "a b", "$(touch RAN)", "\x1b[31m", "é", "x\ny", "::error::x", "a" * 200):
            self._write(f"data/{name}.txt", "line\n")

    def _submodule(self) -> None:
        self._write(".gitmodules", '[submodule "sub"]\n path = sub\n url = ext::touch RAN\n update = !touch RAN\n')
        self._git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
        self._write("sub/.git", self._chance.choice(["gitdir: ../specs\n", "gitdir: ../.git\n", "gitdir: /\n", "x"]))

    def _lfs(self) -> None:
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 5\n"
        self._write("data/x.txt", text)
        self._write(".lfsconfig", "[lfs]\n url = ext::touch RAN\n")

    def _python(self) -> None:
        for name in ("evil", "typer", "yaml", "tensorflow", "sitecustomize", "git"):
            self._write(f"{name}.py", f"open({str(self._outside / 'RAN')!r}, 'w')\ndef run(x):\n    return x\n")
        self._write("git", f"#!/bin/sh\n{self._evil}\n")
        (self._root / "git").chmod(0o755)

    def _results(self) -> None:
        self._write("pipeprof-out/self-test-spec.json", '{"self_test": {"target": "spec.yaml"}}')
        self._link("pipeprof-out/.gitignore", str(self._outside / "new"))

    def _configuration(self) -> None:
        hostile = [
            ("core.fsmonitor", self._evil),
            ("core.hooksPath", "."),
            ("filter.evil.clean", self._evil),
            ("filter.evil.smudge", self._evil),
            ("filter.evil.process", self._evil),
            ("include.path", "../git.cfg"),
            ("core.worktree", "/"),
            ("core.sshCommand", self._evil),
            ("alias.status", f"!{self._evil}"),
            ("remote.origin.url", f"ext::{self._evil}"),
            ("extensions.partialClone", "origin"),
            ("core.repositoryformatversion", self._chance.choice(["1", "7", "x"])),
        ]
        self._write("git.cfg", f'[core]\n fsmonitor = "{self._evil}"\n')
        config = self._root / ".git" / "config"
        for key, value in self._chance.sample(hostile, 4):
            subprocess.run(["git", "config", "--file", config, key, value], check=False, capture_output=True)


BASES = ["../outside/base.yaml", "base.yaml", "specs/spec.yaml", "data/base.yaml", "loop"]
