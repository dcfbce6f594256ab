"""Hooks of MkDocs for the documentation as a site (`mkdocs.yml`).

The reference is made first (`generate.py`). Pages of the repository outside of `docs/`, such as the examples' stories,
are pages of the site; links are written as the repository has them, and a link to a file that is no page becomes text.
A built page that would load anything from another host fails the build.
"""

from __future__ import annotations

import posixpath
import re
import runpy
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (
    "CONTRIBUTING.md",
    "RELEASE.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "examples/**/README.md",
    "profiles/advise/rules.md",
)
"""Pages of the repository that are pages of the site, under the same path."""
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_LOADED = {"src", "srcset", "poster", "data", "action", "formaction"}
_REMOTE = re.compile(r"(?:https?:)?//[\w.-]+", re.IGNORECASE)
_IN_STYLES = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])\s*((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


def outside() -> list[str]:
    """Paths in the repository of the pages that are not in `docs/`."""
    return sorted(path.relative_to(ROOT).as_posix() for pattern in OUTSIDE for path in ROOT.glob(pattern))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the reference, and read lists as GitHub does: what continues an item is indented by two spaces."""
    from markdown import Extension

    runpy.run_path(str(ROOT / "docs" / "generate.py"), run_name="__main__")

    class TwoSpaces(Extension):
        def extendMarkdown(self, md: Any) -> None:
            md.tab_length = 2

    config.markdown_extensions.append(TwoSpaces())  # type: ignore[arg-type]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in `docs/`."""
    from mkdocs.structure.files import File

    for name in outside():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    del config
    pages = {file.src_uri for file in files}
    here = page.file.src_uri
    return "".join(
        part if number % 2 else LINK.sub(lambda link: _link(link, here, pages), part)
        for number, part in enumerate(re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.MULTILINE | re.DOTALL))
    )


def _link(link: re.Match[str], here: str, pages: set[str]) -> str:
    text, target, fragment = link[1], link[2], link[3] or ""
    if "://" in target or target.startswith("mailto:"):
        return link[0]
    name = linked_page(here, target, pages)
    if name is None:
        return text if text.startswith("`") else f"{text} (`{_in_repository(here, target)}`)"
    return f"[{text}]({posixpath.relpath(name, posixpath.dirname(here) or '.')}{fragment})"


def _in_repository(here: str, target: str) -> str:
    folder = posixpath.dirname(here if here in outside() else f"docs/{here}")
    return posixpath.normpath(posixpath.join(folder, target))


def linked_page(here: str, target: str, pages: set[str]) -> str | None:
    """The page or file of the site that a link of the repository leads to; None if it is not part of the site.

    Args:
        here: The page with the link, as the site names it.
        target: Relative to the page's place in the repository.
        pages: All files of the site.
    """
    path = _in_repository(here, target)
    names = (path.removeprefix("docs/"), f"{path.removeprefix('docs/')}/README.md")
    return next((name for name in names if name in pages), None)


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a built page would load something from another host."""
    from mkdocs.exceptions import PluginError

    if found := list(remote(Path(config.site_dir))):
        raise PluginError("pages load from other hosts:\n" + "\n".join(found))


def remote(site: Path) -> Iterator[str]:
    """What pages and styles of a folder would load from other hosts: the file, and the address."""
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            reader = _Reader()
            reader.feed(path.read_text(encoding="utf-8"))
            yield from (f"{path.relative_to(site)}: {address}" for address in reader.found)
        elif path.suffix == ".css":
            styles = _IN_STYLES.findall(path.read_text(encoding="utf-8"))
            yield from (f"{path.relative_to(site)}: {address}" for address in styles)


class _Reader(HTMLParser):
    """Collects the addresses that a browser would ask without a click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._style = tag == "style"
        loaded = [value for name, value in given.items() if name in _LOADED]
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev", "alternate"}:
            loaded.append(given.get("href", ""))
        # The theme's script fetches Mermaid, and facts about a repository, for pages that have these.
        if "mermaid" in given.get("class", "").split() or given.get("data-md-component") == "source":
            self.found.append(f"<{tag} class=…> of the theme")
        self.found += [address for value in loaded for address in value.split(", ") if _REMOTE.match(address.strip())]
        self.found += _IN_STYLES.findall(given.get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._style:
            self.found += _IN_STYLES.findall(data)
