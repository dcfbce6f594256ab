"""A page as text: the templates, the style sheet and the script in one file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipeprof.cli.streams import visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from pipeprof.cli.html.parts import Page

_PACKAGE = "pipeprof.cli.html"
_NUMBER, _UNIT = r"\d(?:[\d.,]{0,12}\d)?", r" (?:%|pairs\b|rounds\b|[µm]?s\b|[KMGT]?i?B\b)"
_WHOLE = re.compile(rf"({_NUMBER}[×%]?–{_NUMBER}(?:{_UNIT})?|{_NUMBER}{_UNIT}|(?<![\w-])--[a-z][\w-]{{0,20}})")
"""A number with its unit, an interval, or an option."""


def render_page(page: Page) -> str:
    """The page as HTML, which loads nothing and reads well without its script."""
    style, script = _file("page.css"), _file("page.js")
    sources = f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    return _environment().get_template("page.html").render(page=page, style=style, script=script, policy=policy)


def _environment() -> Environment:
    """The templates: what they write is escaped, and a name that they misspell is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        auto_reload=False,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    return environment


def unbroken(text: str) -> Markup:
    """A text whose lines break neither before a unit nor in an interval or an option.

    Example:
        >>> unbroken("<56 %: --pairs")
        Markup('&lt;<span class="whole">56 %</span>: <span class="whole">--pairs</span>')
    """
    from markupsafe import Markup

    parts = _WHOLE.split(_shown(text))
    whole = Markup('<span class="whole">{}</span>')
    return Markup("").join(whole.format(part) if index % 2 else part for index, part in enumerate(parts))


def _shown(value: Any) -> Any:
    """A text with everything spelled out that would hide or reorder other text; markup as it is."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return "\n".join(visible(line) for line in value.split("\n"))
    return value


def _file(name: str) -> Any:
    """A file of the page, which may not end its element."""
    import pkgutil

    from markupsafe import Markup

    data = pkgutil.get_data(_PACKAGE, f"templates/{name}")
    assert data is not None  # noqa: S101 - for the type checker: a loader of files always has it
    return Markup(data.decode())  # noqa: S704 - a file of this package


def _digest(text: str) -> str:
    """What a policy names an element's text by."""
    from base64 import b64encode
    from hashlib import sha256

    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
