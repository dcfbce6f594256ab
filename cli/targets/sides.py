"""The sides of a comparison: targets, targets at a git ref, and saved profiles."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.cli.options import MeasuringOptions
from pipeprof.cli.targets.load import load_given
from pipeprof.cli.targets.saved import profile_name
from pipeprof.cli.targets.settings import settings_of
from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.paths import written_files
from pipeprof.pipelines.target.modules import is_module_name
from pipeprof.pipelines.target.names_in_file import names_of, parse_file
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.git.calls import GitCalls
from pipeprof.profiles.git.refs import RefTarget, parse_ref
from pipeprof.profiles.git.tree import RefTree, check_out, is_dirty, lacking
from pipeprof.profiles.judge.metrics import impossible, values_of
from pipeprof.profiles.judge.result import Side, is_result
from pipeprof.profiles.protocol.options import Options, RefPlace

_REF = re.compile(r"[\w/~^-]+")
"""What a branch, a tag or a commit is called, and no target is."""
LOOK_SECONDS = 4.0
"""Length of the measurement of each side alone, which shows its stages."""


@dataclass(frozen=True)
class GivenSide:
    """One side as it was given: settings of a measurement, or a saved profile; and what the tree of its ref lacks."""

    shown: Side
    settings: Options | None = None
    profile: Profile | None = None
    withheld: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name, for files."""
        if self.settings is None:
            return Path(self.shown.text).stem
        return profile_name(self.settings.target, self.settings.loaded)


def read_sides(given: MeasuringOptions, texts: Sequence[str], calls: GitCalls) -> list[GivenSide]:
    """Read two or more sides of a comparison; nothing runs.

    Raises:
        UsageError: A target is wrong, or an option does not fit it.
        SpecError: A spec is wrong.
        ProfileError: A saved profile or a git ref cannot be read.
    """
    names = string.ascii_lowercase[: len(texts)]
    # A bare ref means the target of the first side; that of A, the target of the second one.
    others = dict(zip(names, [texts[1], *[texts[0]] * (len(texts) - 1)], strict=True))
    # A target that a ref takes over from another side is refused where it was typed.
    order = sorted(zip(names, texts, strict=True), key=lambda side: parse_ref(side[1]) is not None)
    read = {name: _read(given, text, others[name], calls, side=name) for name, text in order}
    sides = [read[name] for name in names]
    if all(side.settings is not None for side in sides):
        for name, side in zip(names, sides, strict=True):
            _refuse_files(name.upper(), side)
    return sides


def _refuse_files(name: str, side: GivenSide) -> None:
    """Refuse a spec that writes files: the processes of a comparison would write the same ones at once."""
    loaded = side.settings.loaded if side.settings is not None else None
    leaf = next(iter(written_files(loaded.data)), None) if loaded is not None else None
    if loaded is None or leaf is None:
        return
    at = loaded.locate(leaf.address)
    file = side.shown.text if side.shown.ref is not None else at.file if at is not None else None
    where = f"{file}:{at.line}" if at is not None and at.line else side.shown.text
    *_, stage, argument = (str(part) for part in leaf.place)
    path = ".".join(str(part) for part in leaf.place)
    mend = f"keep it in memory with --set {path}=" if stage == "cache" else "leave the stage out"
    raise UsageError(
        f"{name}: {where}: {stage} writes files ({argument}: {leaf.text}), and all processes of a comparison would "
        f"write the same ones; {mend}"
    )


def _read(given: MeasuringOptions, text: str, other: str, calls: GitCalls, *, side: str) -> GivenSide:
    """Read one side; a bare ``git:REF`` means the target of the `other` one."""
    ref = parse_ref(text)
    if ref is None and text.endswith(".json"):
        return _saved(text)
    if ref is None and _REF.fullmatch(text) and not Path(text).exists():
        raise UsageError(f"invalid target {text!r}: did you mean git:{text}, the branch, tag or commit of that name?")
    if ref is None:
        target, loaded = load_given(text, given)
        shown = Side(text=text, location=_where(target, loaded), dirty=is_dirty(calls, target.path))
        return GivenSide(shown, settings_of(given)(target=target, loaded=loaded, seconds=LOOK_SECONDS))
    file, tree = _at_ref(ref, text, other, calls, side)
    target, loaded = _load_at_ref(given, file, text=text, tree=tree)
    named = text if ref.path else f"{text}:{other}"
    path = target.path.relative_to(tree.folder) if target.path.is_relative_to(tree.folder) else target.path
    shown = Side(text=named, file=str(path), ref=tree.commit)
    place = RefPlace(str(tree.current_folder()), str(tree.folder), str(tree.work_tree))
    settings = settings_of(given)(target=target, loaded=loaded, seconds=LOOK_SECONDS, at_ref=place)
    # Which files a function reads shows only when it runs.
    withheld = [f"{name} {reason}" for name, reason in tree.withheld.items()] if loaded is None else []
    return GivenSide(shown, settings, withheld=tuple(withheld))


def _load_at_ref(
    given: MeasuringOptions, file: str, *, text: str, tree: RefTree
) -> tuple[ParsedTarget, LoadedSpec | None]:
    """Read a target in the tree of a ref, whose files have to be in the tree, and may be read."""

    def may_read(path: Path) -> None:
        if (reason := tree.refusal(path, data=False)) is not None:
            raise ProfileError(f"{text}: {reason}")

    try:
        target, loaded = load_given(file, given, may_read=may_read)
    except SpecError as error:
        shown = error.with_file_names(lambda name: _name_at_ref(name, tree), lambda words: _at_work_tree(words, tree))
        if any(diagnostic.code != "missing-file" for diagnostic in shown.diagnostics):
            raise shown from None
        first = shown.diagnostics[0]
        reasons = "".join(f"; {reason}" for reason in tree.reasons(first.message))
        raise ProfileError(f"{first}: {first.text}{reasons}") from None
    except UsageError as error:
        raise UsageError(str(error).replace(f"{tree.folder}/", f"{tree.ref}:")) from None
    reason = lacking(loaded, tree) if loaded is not None else None
    if reason is not None:
        raise ProfileError(f"{text}: {reason}")
    return target, loaded


def _where(target: ParsedTarget, loaded: LoadedSpec | None) -> Location | None:
    """The line where a pipeline is written: the first stage of a spec, the definition of a function."""
    if loaded is not None:
        at = loaded.locate("stages.0" if loaded.spec.stages else "source")
        return Location(file=at.file, line=at.line, column=at.column) if at is not None and at.line else None
    name = (target.function or "").partition(".")[0]
    line = getattr(names_of(parse_file(target.path)).get(name), "lineno", None)
    return Location(file=str(target.path), line=line) if line else None


def _at_ref(ref: RefTarget, text: str, other: str, calls: GitCalls, side: str) -> tuple[str, RefTree]:
    """Check out the tree of a ref; return the target in it and the tree.

    A path is relative to the current folder, as other targets are; where that is not in a work tree, to the root.
    """
    path = ref.path or (other if parse_ref(other) is None and not other.endswith(".json") else None)
    if path is None:
        raise UsageError(f"{text} names no file, and the other side is not in the work tree: use {text}:PATH")
    if not ref.ref:
        raise UsageError(f"{text} names no ref: expected git:REF or git:REF:PATH, with a branch, tag or commit")
    file, colon, function = path.rpartition(":") if ".py:" in path else (path, "", "")
    _refuse_module(text, path)
    near = Path(file)
    tree = check_out(calls, ref.ref, near if near.exists() else Path.cwd(), calls.folder / side)
    place = Path.cwd() / near
    try:
        # A link in place of the target is one of the work tree; at the ref there may be a file.
        inside = (place.parent.resolve() / place.name).relative_to(tree.work_tree)
    except ValueError:
        inside = near
    if (reason := tree.refusal(tree.folder / inside, data=False)) is not None:
        raise ProfileError(f"{text}: {reason}")
    if not (tree.folder / inside).is_file():
        raise ProfileError(f"{text}: {inside} does not exist at {ref.ref} (commit {tree.commit[:10]})")
    return f"{tree.folder / inside}{colon}{function}", tree


def _name_at_ref(name: str, tree: RefTree) -> str:
    """A file of a ref's tree as a target names it; of the files next to it, the name that the work tree has."""
    path = Path(name)
    inside = path.is_relative_to(tree.folder)
    return f"{tree.ref}:{path.relative_to(tree.folder)}" if inside else _at_work_tree(name, tree)


def _at_work_tree(text: str, tree: RefTree) -> str:
    """A text with the folders of the work tree in place of those of the ref's tree."""
    text = text.replace(str(tree.folder), str(tree.work_tree))
    return text.replace(str(tree.folder.parent), str(tree.work_tree.parent))


def _refuse_module(text: str, path: str) -> None:
    """Refuse ``package.module:function`` at a ref: Python would import it from the work tree."""
    module, _, function = path.rpartition(":")
    if module and not module.endswith(".py") and is_module_name(module):
        file = f"{module.replace('.', '/')}.py:{function}"
        ref = text.removesuffix(f":{path}")
        msg = f"{text}: {path} names a module, which Python imports from the work tree: name its file, {ref}:{file}"
        raise UsageError(msg)


def _saved(text: str) -> GivenSide:
    """Read a saved profile; a ProfileError if nothing was measured, or a value in it is impossible."""
    if is_result(Path(text)):
        raise ProfileError(f"{text} is a result of compare or gate, not a profile: pipeprof show {shlex.quote(text)}")
    profile = load_profile(Path(text))
    if profile.steps is None or not profile.steps.count:
        raise ProfileError(f"{text} has no measured steps: measure again with pipeprof run")
    fault = impossible(values_of(profile))
    if fault is not None:
        raise ProfileError(f"{text} cannot be compared: {fault}")
    flow = profile.throughput
    side = Side(
        text=text,
        saved=True,
        target=profile.target,
        host=profile.host,
        versions=profile.versions,
        verdict=profile.verdict.sentence if profile.verdict else None,
        profile=text,
        elements_per_batch=flow.elements_per_batch if flow else None,
    )
    return GivenSide(side, profile=profile)
