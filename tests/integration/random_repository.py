"""A repository with what a stranger's checkout may hold, from a number: the same number gives the same one."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from tests.integration.repositories import USER, embedded_repository


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
            self._embedded, self._links, self._attributes, self._names, self._submodule, self._lfs, self._python,
            self._results,
        ]  # fmt: skip
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
        safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", *USER, *safe, *arguments], cwd=self._root, check=False, capture_output=True)

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
        for name, text in embedded_repository(self._evil).items():
            self._write(name, text)

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
