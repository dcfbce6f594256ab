"""Edits applied to a spec's text: only the lines that an edit changes are others afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from pipeprof.pipelines.edits.edits import PipelineEdit
from pipeprof.pipelines.spec.edits.apply_data import plan
from pipeprof.pipelines.spec.edits.patch import Patcher
from pipeprof.pipelines.spec.edits.places import EditError, same
from pipeprof.pipelines.spec.edits.tree import parse
from pipeprof.pipelines.spec.yaml.reader import read

_BYTE_ORDER_MARK = "\ufeff"


def apply_to_text(text: str, edits: Sequence[PipelineEdit]) -> str:
    r"""Return a spec's text with edits applied.

    Comments, order, quotes, blank lines, indentation and line ends stay. The comment lines directly before a stage
    belong to it. The result is read again: it says what `apply_to_data` says, or nothing is returned.

    Args:
        text: The spec's own file; what it extends is not a part of it.
        edits: In order, as for `apply_to_data`.

    Raises:
        EditError: An edit does not fit the spec, or the text is written in a way that allows no such change.

    Example:
        >>> print(apply_to_text("source: {range: {stop: 3}}  # numbers\n", [InsertStage("cache")]), end="")
        source: {range: {stop: 3}}  # numbers
        stages:
          - cache: {}
    """
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    body = text.removeprefix(mark)
    document = read(body)
    if document.problems or not isinstance(document.data, dict):
        message = document.problems[0].message if document.problems else "the text is no spec"
        raise EditError(message)
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
