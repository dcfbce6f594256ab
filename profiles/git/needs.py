"""Files that a spec needs and the tree of a ref lacks."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path

from pipeprof.pipelines.ops.values.values import ArrayFile, FilePatterns, InputFolder, OutputFile
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.paths import has_scheme, leaves
from pipeprof.profiles.git.tree import RefTree


def lacking(loaded: LoadedSpec, tree: RefTree) -> str | None:
    """Why a spec cannot be measured at a ref: a file that it reads is not there, or it writes through a link."""
    for value in (leaf.value for leaf in leaves(loaded.spec)):
        if isinstance(value, FilePatterns | ArrayFile | InputFolder | OutputFile):
            texts = value.patterns if isinstance(value, FilePatterns) else [str(value)]
            for text in texts:
                reason = _reason(value, text, loaded.base_dir, tree)
                if reason is not None:
                    return reason
    return None


def _reason(value: object, text: str, folder: Path, tree: RefTree) -> str | None:
    """Why one path of a spec cannot be used."""
    if has_scheme(text) or text.startswith("data:"):
        return None
    path = folder / Path(text).expanduser()
    if isinstance(value, OutputFile):
        inside = Path(os.path.realpath(path)).is_relative_to(tree.folder)
        return None if inside else f"the pipeline at {tree.ref} writes to {text}, which is not in its tree"
    if (refusal := tree.refusal(path, data=True)) is not None:
        return refusal
    short = Path(os.path.normpath(path))
    if not short.is_relative_to(tree.folder):
        return None
    pattern = (*short.relative_to(tree.folder).parts, *(["**"] if isinstance(value, InputFolder) else []))
    found = next((name for name in tree.withheld if may_match(pattern, Path(name).parts)), None)
    return tree.refusal(tree.folder / found, data=True) if found is not None else None


def may_match(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a glob may stand for a path, or for something below it; both from the same folder on, by parts.

    Example:
        >>> may_match(("img", "*.jpg"), ("img", "a.jpg")), may_match(("img", "*.jpg"), ("img",))
        (True, True)
        >>> may_match(("img", "*.jpg"), ("text", "a.txt"))
        False
    """
    if not path or not pattern:
        return not path
    if pattern[0] == "**":
        return may_match(pattern[1:], path) or may_match(pattern, path[1:])
    return fnmatch.fnmatchcase(path[0], pattern[0]) and may_match(pattern[1:], path[1:])
