"""Edits applied to the text of a spec, with the flags that change it left out; as a diff of it."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    VectoriseMap,
)
from pipeprof.pipelines.spec.edits.apply_data import plan
from pipeprof.pipelines.spec.edits.patch import Patcher
from pipeprof.pipelines.spec.edits.places import SOURCE, STAGES, EditError, find, same, value_at
from pipeprof.pipelines.spec.edits.tree import parse
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.yaml.reader import YamlDocument, read
from pipeprof.pipelines.spec.yaml.spans import Span

_BYTE_ORDER_MARK = "\ufeff"


def apply_to_text(text: str, edits: Sequence[PipelineEdit]) -> str:
    r"""Return a spec's text with edits applied.

    Comments, order, quotes, blank lines, indentation and line ends stay. The comment lines directly before a stage
    belong to it. The result is read again: it says what `apply_to_data` says, or nothing is returned.

    Raises:
        EditError: An edit does not fit the spec, or the text is written in a way that allows no such change.

    Example:
        >>> print(apply_to_text("source: {range: {stop: 3}}  # numbers\n", [InsertStage("cache")]), end="")
        source: {range: {stop: 3}}  # numbers
        stages: [{cache: {}}]
    """
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    body = text.removeprefix(mark)
    document = read(body)
    if document.problems or not isinstance(document.data, dict):
        raise EditError(document.problems[0].message if document.problems else "the text is not a spec")
    found = plan(document.data, edits)
    if same(document.data, found.data):
        return text
    ends = body.endswith("\n")
    line_end = "\r\n" if "\r\n" in body else "\n"
    complete = body if ends else body + line_end
    root, aliases = parse(complete)
    assert root is not None  # noqa: S101 - for the type checker: it has data
    patcher = Patcher(complete, aliases, found)
    patcher.patch((), root, document.data, found.data)
    result = patcher.splices.render()
    if not ends:
        result = result.removesuffix(line_end)
    again = read(result)
    if again.problems or not same(again.data, found.data):
        why = f" ({again.problems[0].message})" if again.problems else ""
        message = f"the text is written in a way in which this edit cannot be made{why}: write the stages as a block"
        raise EditError(message)
    return mark + result


def apply_to_spec(loaded: LoadedSpec, edits: Sequence[PipelineEdit]) -> str:
    """Return the text of a spec's own file with edits applied.

    Raises:
        EditError: As `apply_to_text`; or a flag changes the stage, which the message names.
    """
    if not loaded.overrides:
        return apply_to_text(loaded.text, edits)
    own = _Own(loaded)
    return apply_to_text(loaded.text, [own.translated(edit) for edit in edits])


def spec_diff(loaded: LoadedSpec, edits: Sequence[PipelineEdit]) -> str | None:
    """Return the diff that makes the edits in a spec's file.

    Returns:
        None where they need code, or concern what a flag says.
    """
    try:
        return unified(loaded.text, apply_to_spec(loaded, edits), str(loaded.path)) or None
    except EditError:
        return None


def unified(before: str, after: str, name: str) -> str:
    r"""Return a diff that `patch` and `git apply` take.

    Example:
        >>> print(unified("a: 1\n", "a: 2\n", "x.yaml"), end="")
        --- a/x.yaml
        +++ b/x.yaml
        @@ -1 +1 @@
        -a: 1
        +a: 2
    """
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    path = _below(name)
    lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _below(name: str) -> str:
    """Return a file's path as the tools take it: below the folder that they run in, the current one or the root.

    Example:
        >>> _below("./a/../b.yaml"), _below("/data/b.yaml")
        ('b.yaml', 'data/b.yaml')
    """
    path = os.path.relpath(name)
    return str(Path(name).resolve()).lstrip("/") if path.startswith("..") else path


class _Own:
    """Addresses of a spec with flags as those of its file."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self._document = read(loaded.text)
        self._places = {span: address for address, span in _stages(self._document)}

    def translated(self, edit: PipelineEdit) -> PipelineEdit:
        """The edit for the file alone."""
        match edit:
            case InsertStage():
                return replace(edit, after=self._address(edit.after or self._last()))
            case SetArgument():
                return replace(edit, stage=self._address(edit.stage))
            case MoveStage() | MoveFilter():
                return replace(edit, stage=self._address(edit.stage), before=self._address(edit.before))
            case ReplaceStages():
                return replace(edit, stages=tuple(map(self._address, edit.stages)))
            case VectoriseMap():
                return replace(edit, stage=self._address(edit.stage), batch=self._address(edit.batch))
        return edit

    def _last(self) -> str:
        stages = self._loaded.data.get(STAGES)
        return f"{STAGES}.{len(stages) - 1}" if stages else SOURCE

    def _address(self, address: str) -> str:
        # What stands inside of a stage is written where the stage is.
        head = re.match(r"source|stages\.\d+", address)
        outer = head[0] if head is not None else address
        path = find(self._loaded.data, outer).path
        place = self._loaded.place(path)
        if place is None:
            raise EditError(f"no place of {address} is known: apply the edit to the file that has it")
        found = self._places.get(place.value)
        if place.value.flag is None and found is not None and self._is_whole(path, found):
            return found + address[len(outer) :]
        raise EditError(f"{address} is not as {self._loaded.path} has it: write what --set changes into the file first")

    def _is_whole(self, path: Sequence[str | int], found: str) -> bool:
        """Whether no flag changes the stage."""
        merged = value_at(self._loaded.data, path)
        return bool(merged == value_at(self._document.data, find(self._document.data, found).path))


def _stages(document: YamlDocument) -> Iterator[tuple[str, Span]]:
    """The source and the stages of a document with the places where they are written."""
    if SOURCE in document.data:
        yield SOURCE, document.places[SOURCE,].value
    stages = document.data.get(STAGES)
    for index in range(len(stages)) if isinstance(stages, list) else ():
        yield f"{STAGES}.{index}", document.places[STAGES, index].value
