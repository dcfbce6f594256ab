"""Edits as values: what a finding proposes to change, as data, as YAML and as Python.

The YAML is the stage as it would stand in a spec; the Python is the call as it would stand in a chain. Both are for
reading; nothing here changes a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeprof.pipelines.spec.yaml.writer import flow
from pipeprof.profiles.view.view import AUTOTUNE


def plain_data(value: Any) -> Any:
    """Convert mappings and sequences to the dicts and lists that the YAML writer takes."""
    if isinstance(value, Mapping):
        return {key: plain_data(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(inner) for inner in value]
    return value


def yaml_text(value: Any) -> str:
    """Format a value as YAML in flow style.

    Example:
        >>> yaml_text({"shape": [None, 3], "dtype": "uint8", "python": "f.py:fn", "key": "on"})
        '{shape: [null, 3], dtype: uint8, python: "f.py:fn", key: on}'
    """
    return flow(plain_data(value))


def python_text(value: Any) -> str:
    """A value as Python writes it."""
    return "tf.data.AUTOTUNE" if value == AUTOTUNE else repr(value)


def _call(op: str, arguments: Mapping[str, Any]) -> str:
    return f".{op}({', '.join(f'{key}={python_text(value)}' for key, value in arguments.items())})"


@dataclass(frozen=True)
class ProposedEdit:
    """A change to a pipeline. Addresses are those of the profile's ``stages[].id``."""

    def to_dict(self) -> dict[str, Any]:
        """For the profile: the kind of edit and its fields."""
        fields = asdict(self)
        fields.pop("summary", None)
        return {"kind": type(self).__name__, **fields}

    def as_yaml(self) -> str:
        """What changes, in the words of a spec."""
        raise NotImplementedError

    def as_python(self) -> str:
        """What changes, as a line of Python."""
        raise NotImplementedError


@dataclass(frozen=True)
class InsertStage(ProposedEdit):
    """Put a new stage after another one; after the last one if `after` is ``None``."""

    op: str
    arguments: dict[str, Any] = field(default_factory=dict)
    after: str | None = None

    def as_yaml(self) -> str:
        """The stage, and where it goes."""
        where = f"after {self.after}" if self.after else "at the end"
        return f"- {self.op}: {yaml_text(self.arguments)}   # {where}"

    def as_python(self) -> str:
        """The call, and where it goes."""
        where = f"after {self.after}" if self.after else "at the end"
        return f"dataset = dataset{_call(self.op, self.arguments)}  # {where}"


@dataclass(frozen=True)
class SetArgument(ProposedEdit):
    """Give a stage's argument another value."""

    stage: str
    op: str
    argument: str
    value: Any

    def as_yaml(self) -> str:
        """The argument in its stage."""
        return f"- {self.op}:   # {self.stage}\n    {self.argument}: {yaml_text(self.value)}"

    def as_python(self) -> str:
        """The argument in its call."""
        return f".{self.op}(…, {self.argument}={python_text(self.value)})  # {self.stage}"


@dataclass(frozen=True)
class MoveStage(ProposedEdit):
    """Take a stage out and put it before another one."""

    stage: str
    op: str
    before: str

    def as_yaml(self) -> str:
        """The move in words, as a comment."""
        return f"- {self.op}: …   # {self.stage}, moved before {self.before}"

    def as_python(self) -> str:
        """The move in words, as a comment."""
        return f".{self.op}(…)  # {self.stage}, moved before {self.before}"


@dataclass(frozen=True)
class ReplaceStage(ProposedEdit):
    """Put other stages, or another source, in the place of one.

    Attributes:
        stage: Address of the replaced stage.
        yaml: The replacement as YAML.
        python: The replacement as Python.
        summary: The change in one line, with ``{stage}`` for the stage's name; not part of the profile.
        removes: Whether nothing replaces the stage; the texts are then remarks.
        arguments: Of the stage as a spec has them, where only they change and the replacement needs no other code.
    """

    stage: str
    yaml: str
    python: str
    summary: str = ""
    removes: bool = False
    arguments: dict[str, Any] | None = None

    def as_yaml(self) -> str:
        """What stands there instead."""
        return self.yaml

    def as_python(self) -> str:
        """What stands there instead."""
        return self.python


@dataclass(frozen=True)
class Rewrite(ProposedEdit):
    """Put a whole part of the pipeline in the place of some stages in a row.

    Attributes:
        stages: Addresses of what is replaced, in the order of the data.
        yaml: The replacement as YAML, with ``source:`` and ``stages:`` where the source is part of it.
        python: The replacement as Python.
        summary: As that of `ReplaceStage`; ``{stage}`` is the first stage.
    """

    stages: tuple[str, ...]
    yaml: str
    python: str
    summary: str = ""

    def as_yaml(self) -> str:
        """What stands there instead."""
        return self.yaml

    def as_python(self) -> str:
        """What stands there instead."""
        return self.python


@dataclass(frozen=True)
class SetOption(ProposedEdit):
    """Set one of tf.data's options, by its dotted path."""

    path: str
    value: Any

    def as_yaml(self) -> str:
        """The option under ``options:``."""
        *groups, last = self.path.split(".")
        inner: Any = {last: self.value}
        for group in reversed(groups):
            inner = {group: inner}
        return f"options: {yaml_text(inner)}"

    def as_python(self) -> str:
        """The option on a tf.data.Options, and the dataset with it."""
        return (
            f"options = tf.data.Options(); options.{self.path} = {python_text(self.value)}; "
            "dataset = dataset.with_options(options)"
        )
