"""One HTML file with pictures, readable without a network or a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile


def html(output: Output) -> str:
    """The page."""
    from pipeprof.cli.html.page import render_page
    from pipeprof.cli.html.result import result_page
    from pipeprof.cli.html.run import run_page
    from pipeprof.profiles.document.profile import Profile

    document = output.document
    if not isinstance(document, Profile):
        return render_page(result_page(document, output.saved, list(output.complete()), output.following))
    return render_page(run_page(document, output.saved, output.plan, _planned(document)))


def _planned(profile: Profile) -> int | None:
    """The number of the finding that a plan of a profile holds; None of a search."""
    from pipeprof.cli.formats.plan import best_change

    best = best_change(profile) if profile.fix is None else None
    return None if best is None else 1 + (profile.findings or []).index(best)


FORMAT = Format("html", (".html",), frozenset({"run", "show", "fix", "compare", "gate"}), html, order=5, redacted=True)
