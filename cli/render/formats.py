"""How a document is written in each format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeprof.cli.formats import BY_NAME
from pipeprof.cli.render.junit import junit
from pipeprof.cli.render.markdown import markdown
from pipeprof.cli.render.remarks import annotate, sarif
from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block
from pipeprof.cli.report.remarks import Remark
from pipeprof.cli.streams import without_commands
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import encode
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.judge.result import Result

_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters and direction marks that JSON leaves as they are and a terminal obeys."""
_NOTHING = "no change was proven to help"
_NO_FORM = "the changes have no form in the text of this file"


@dataclass(frozen=True)
class Output:
    """What is written: a document, and builders of its blocks, its page and its remarks."""

    document: Profile | Result | GapsReport
    blocks: Callable[[], Iterable[Block]]
    style: Style
    page: Callable[[], str] = str
    remarks: Callable[[], Sequence[Remark]] = tuple


def lack_of(name: str, profile: Profile) -> str | None:
    """Why a file in the format of this name would show nothing of a profile; None where it shows something."""
    fix = profile.fix
    if name not in {"yaml", "patch"}:
        return None
    if fix is None or not fix.edits:
        return _NOTHING
    if (fix.text is not None) if name == "yaml" else fix.diff:
        return None
    if name == "patch" and fix.status == "interrupted" and profile.target.kind == "function":
        return "the search was interrupted; the report has the best changes so far"
    return _NO_FORM


def render(name: str, output: Output, *, to_file: bool = False) -> str:
    """The output in the format with this name; a CI log reads no command in it, except in the format for that."""
    text = _written(name, output)
    return text if to_file and BY_NAME[name].exact else without_commands(text, name)


def _written(name: str, output: Output) -> str:
    document = output.document
    fix = document.fix if isinstance(document, Profile) else None
    writers: dict[str, Callable[[], str]] = {
        "text": lambda: paint(output.blocks(), output.style),
        "json": lambda: _OBEYED.sub(lambda found: f"\\u{ord(found.group()):04x}", encode(document).decode()),
        "github": lambda: annotate(document, output.remarks()),
        "md": lambda: markdown(output.blocks()),
        "html": output.page,
        "junit": lambda: junit(document),
        "sarif": lambda: sarif(document, output.remarks()),
        "yaml": lambda: (fix and fix.text) or "",
        "patch": lambda: (fix and fix.diff) or "",
    }
    return writers[name]()
