"""The values of ``--set path=value``, with their places in the flag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.spec.yaml.nodes import TextIndex
from pipeprof.pipelines.spec.yaml.reader import YamlDocument, read
from pipeprof.pipelines.spec.yaml.references import REFERENCE_START, References
from pipeprof.pipelines.spec.yaml.scalars import ScalarError, resolve_scalar
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem, TextPlace

if TYPE_CHECKING:
    from collections.abc import Mapping

_YAML_STARTS: Final = ("[", "{", '"', "'", "!")


class FlagError(Exception):
    """A flag cannot be applied; why, and which part of its text says so."""

    def __init__(self, problem: SpecProblem) -> None:
        """Carry the problem."""
        super().__init__(problem.message)
        self.problem = problem


def read_value(text: str, number: int, start: int, references: References) -> YamlDocument:
    """Read a value: a flow list or mapping or a quoted text as YAML does, anything else as one plain scalar.

    Args:
        text: what stands after the equals sign.
        start: 0-based offset of the text in the flag.
        references: what to do with ``${VAR}``, and where what is known of them goes.

    Raises:
        FlagError: the text cannot be read.
    """
    plain = text.strip()
    if plain.startswith(_YAML_STARTS):
        document = read(text, environment=references.environment)
    else:
        span = Span(1, len(text) - len(text.lstrip()) + 1, max(1, len(plain)))
        document = _plain_document(plain, span, references.environment)
    index = TextIndex(text)

    def move(span: Span | None) -> Span:
        if span is None:
            return Span(1, start + 1, max(1, len(text)), number)
        return Span(1, start + 1 + index.offset(span), span.length, number)

    references.used.update(document.references.used)
    if document.problems:
        problem = document.problems[0]
        raise FlagError(SpecProblem(move(problem.span), problem.code, problem.message, problem.suggestion))
    references.filled.update({move(span): filled for span, filled in document.references.filled.items()})
    references.left.update({move(span): left for span, left in document.references.left.items()})
    document.places = {
        address: TextPlace(move(place.value), move(place.key) if place.key else None)
        for address, place in document.places.items()
    }
    return document


def _plain_document(text: str, span: Span, environment: Mapping[str, str] | None) -> YamlDocument:
    document = YamlDocument(places={(): TextPlace(span)}, complete=True, references=References(environment))
    try:
        text.encode()
        if REFERENCE_START in text:
            document.data, document.problems = document.references.fill(text, span, plain=True)
        else:
            document.data = resolve_scalar(text)
    except ScalarError as error:
        document.problems.append(SpecProblem(span, "number", str(error)))
    except UnicodeEncodeError:
        document.problems.append(SpecProblem(span, "encoding", "not valid UTF-8"))
    if "\0" in text:
        document.problems.append(SpecProblem(span, "control-character", "NUL character: expected text"))
    return document
