"""The page: one file, without a network or a script, with every text as a text."""

from __future__ import annotations

import functools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.formats.html import html
from pipeprof.cli.formats.registry import Output
from pipeprof.cli.text.blocks import (
    Alternatives,
    Code,
    Column,
    Command,
    Heading,
    KeyValue,
    Legend,
    Prose,
    Table,
    TextSpan,
)
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.store import load_profile
from tests.unit.cli.test_main import Pipeprof

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
VOID = {"meta"}


class Page(HTMLParser):
    """A parsed page: tags with their attributes, and all texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def page(*blocks) -> Page:
    return Page(html(Output(load_profile(RECORDED / "input-bound.json"), lambda: blocks, Style())))


@pytest.mark.parametrize("name", ["input-bound", "jpeg-folder", "step-bound"])
def test_a_profile_has_all_its_blocks_and_itself(name: str, pipeprof: Pipeprof, tmp_path: Path) -> None:
    found = pipeprof("show", RECORDED / f"{name}.json", "--out", "report.html")
    assert found.code == 0, found.err
    text = (tmp_path / "report.html").read_text()
    made = Page(text)
    document = load_profile(RECORDED / f"{name}.json")
    assert document.verdict is not None
    assert document.verdict.headline.partition(":")[0] in made.text
    assert "Steps" in made.text
    assert "All numbers" in made.text
    assert json.loads(made.text[made.text.index("{\n") : made.text.rindex("}") + 1])["tool"] == {
        "name": "pipeprof",
        "version": document.tool.version,
    }


def test_a_comparison_has_its_table_of_metrics_with_intervals(pipeprof: Pipeprof) -> None:
    one, other = (RECORDED / name for name in ("jpeg-folder.json", "step-bound.json"))
    found = pipeprof("compare", one, other, "--format", "html")
    assert found.code == 0, found.err
    made = Page(found.out)
    assert "step interval" in made.text
    assert "Stages" in made.text


def test_a_page_loads_nothing_and_runs_nothing(pipeprof: Pipeprof) -> None:
    text = pipeprof("show", RECORDED / "input-bound.json", "--format", "html").out
    made = Page(text)
    assert made.names() <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "small", "p", "span", "strong", "code",
        "pre", "div", "table", "tr", "th", "td", "details", "summary",
    }  # fmt: skip
    attributes = {name for _, given in made.tags for name in given}
    assert attributes <= {"lang", "charset", "name", "content", "http-equiv", "class", "colspan"}
    policy = next(given["content"] for _, given in made.tags if given.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_a_page_is_light_and_dark_and_fits_a_phone() -> None:
    text = html(Output(load_profile(RECORDED / "input-bound.json"), tuple, Style()))
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text
    assert 'content="width=device-width, initial-scale=1"' in text
    table = Table([Column("a", ["1" * 500])])
    made = page(table)
    wide = next(number for number, (_, given) in enumerate(made.tags) if given.get("class") == "wide")
    assert made.tags[wide + 1][0] == "table"
    assert re.search(r"\.wide \{[^}]*overflow-x: auto", text)
    # Both palettes have the same names, so that no colour is missing in one of them.
    light, dark = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    names = [set(re.findall(r"--(\w+):", part)) for part in (light, dark)]
    assert names[0] == names[1]


def test_every_block_is_shown() -> None:
    inner = Prose("inside")
    made = page(
        Heading("Steps", "in short"),
        Prose((TextSpan("Slow: ", "bold red"), TextSpan("very"))),
        KeyValue("key", "value"),
        Command("Next", "pipeprof run", note="again"),
        Code("line 1\nline 2", label="YAML"),
        Table([Column("name", ["a", "b"], right=False), Column("ms", ["1", "2"])], below={0: [inner]}),
        Legend([("", "a note")]),
        Alternatives([[Prose("first")], [Prose("narrower")]]),
    )
    for text in ("Steps", "in short", "Slow: ", "very", "value", "pipeprof run", "again", "line 1\nline 2", "YAML"):
        assert text in made.text
    for text in ("name", "inside", "a note", "first"):
        assert text in made.text
    assert "narrower" not in made.text
    assert ("strong", {"class": "red"}) in made.tags
    assert ("td", {"class": "below", "colspan": "2"}) in made.tags


FOREIGN = st.text(st.characters() | st.sampled_from("<>&\"'/\n\x00\x1b\u202e"), max_size=40) | st.sampled_from(
    ("<script>alert(1)</script>", "</style><b>", "]]>", "<!--", "&lt;", "</pre></main>")
)


def tags_with(text: str) -> list[tuple[str, dict[str, str | None]]]:
    document = RECORDING()
    document.target.text, document.output, document.command = text, text, [text]
    return Page(html(Output(document, lambda: blocks(text), Style()))).tags


RECORDING = functools.cache(lambda: load_profile(RECORDED / "input-bound.json"))
USUAL = functools.cache(lambda: tags_with("x"))


@given(FOREIGN)
def test_foreign_text_stays_text(text: str) -> None:
    assert tags_with(text) == USUAL()


def blocks(text: str):
    text = f"x{text}"
    return (
        Heading(text, text),
        Prose(text),
        Prose((TextSpan(text, "bold"),)),
        KeyValue(text, text),
        Command(text, text, note=text),
        Code(text, label=text),
        Table([Column(text, [text])]),
        Legend([("", text)]),
    )
