"""What is generated from the code is whole, and what is written points at what exists."""

import itertools
import json
import re
import shlex
import sys
from pathlib import Path

import jsonschema
import pytest
from source_trees import script

from pipeprof.cli.parser import COMMANDS, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROSE = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "RELEASE.md", "SECURITY.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "examples" / "README.md",
]
STORIES = sorted((ROOT / "examples").glob("*/README.md"))


generate = script("docs/generate.py")
SCHEMAS = generate.schemas()


@pytest.fixture(scope="module")
def built():
    """The headings and anchors of each generated page, by its path."""
    pages = {generate.REFERENCE / f"{name}.md": generate.page(name) for name in generate.PAGES}
    return {path: headings(text) | set(re.findall(r'<a id="([^"]+)">', text)) for path, text in pages.items()}


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path, built):
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text(encoding="utf-8"))
    inside = {((path.parent / link).resolve() if link else path, part) for link, part in links if "://" not in link}
    assert [str(target) for target, _ in inside if target not in built and not target.exists()] == []
    assert [
        (target.name, part)
        for target, part in inside
        if part and part not in (built[target] if target in built else headings(target.read_text(encoding="utf-8")))
    ] == []


def headings(text):
    """The fragments of a page."""
    return {generate.anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def test_every_room_says_what_it_is_about():
    rows = dict(re.findall(r"^\| `([\w/]+)/` \| (.*) \|$", generate.rooms(), re.MULTILINE))
    rooms = {
        module.parent.relative_to(ROOT).as_posix()
        for top in ("api", "cli", "profiles", "pipelines")
        for module in (ROOT / top).rglob("*.py")
    }
    assert set(rows) == rooms
    assert [room for room, about in rows.items() if not about] == []


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_published_schemas_name_their_draft_and_are_valid(schema):
    validator = jsonschema.validators.validator_for(schema, default=None)
    assert validator is not None, f"unknown $schema {schema.get('$schema')}"
    validator.check_schema(schema)
    assert json.loads(generate.as_json(schema)) == schema


def undescribed(value, place=""):
    """The fields of a schema without a description, parts inside of others included."""
    if isinstance(value, list):
        for item in value:
            yield from undescribed(item, place)
    elif isinstance(value, dict):
        for name, field in (value.get("properties") or {}).items():
            if not field.get("description"):
                yield f"{place}.{name}"
        for name, part in value.items():
            yield from undescribed(part, f"{place}.{name}")


@pytest.mark.parametrize("name", ["profile", "result"])
def test_every_field_of_a_document_is_described(name):
    assert list(undescribed(SCHEMAS[name])) == []
    assert list(undescribed({"$defs": {"Part": {"properties": {"a": {"type": "string"}}}}})) == [".$defs.Part.a"]


def test_make_targets_named_in_the_documentation_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in PROSE:
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)) <= targets, (
            path
        )


def fenced(text):
    """The text in fences that name no language."""
    return "\n".join(
        inner for language, inner in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if not language
    )


TEXTS = [
    *(fenced(path.read_text(encoding="utf-8")) for path in (*PROSE, *STORIES)),
    *(options.__doc__ or "" for options in COMMANDS.values()),
]
SHOWN = [line.strip() for text in TEXTS for line in re.findall(r"^(?: *|\$ )(pipeprof\b.*)$", text, re.M)]


def understand(line):
    """Parse a command line as the application would, and do nothing; comments and what follows a pipe are left out."""
    _, name, *words = itertools.takewhile(lambda word: word not in {"|", ">"}, shlex.split(line, comments=True))
    if name not in COMMANDS:
        pytest.fail(f"no such command: {line}")
    return parse(name, tuple(words))


@pytest.mark.parametrize("line", SHOWN)
def test_commands_shown_to_users_are_understood(line):
    understand(line)


def test_what_the_stories_measure_exists():
    shown = "\n".join(path.read_text(encoding="utf-8") for path in (*PROSE, *STORIES))
    named = set(re.findall(r"\bexamples/[\w/]+\.(?:yaml|py)\b", shown))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_commands_that_do_not_exist_are_noticed_and_text_between_fences_is_none():
    assert len(SHOWN) > 10
    assert fenced("```yaml\na: 1\n```\npipeprof runs.\n```\npipeprof run\n```\n") == "pipeprof run\n"
    for line in ("pipeprof run spec.yaml --no-such-option # comment", "pipeprof rum spec.yaml"):
        with pytest.raises((Exception, pytest.fail.Exception), match=r"no-such-option|no such command"):
            understand(line)


def test_installing_without_tensorflow_names_all_other_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    others = [name for name in project["dependencies"] if not name.startswith("tensorflow")]
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert "pip install " + " ".join(f'"{name}"' for name in others) in text


def claims():
    """The table of folklore in the examples' README: what is said, what was measured, the stories that show it."""
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| \d+ \| (.*) \|$", text, re.MULTILINE):
        said, _, measured, stories = row.split(" | ")
        yield pytest.param(measured, re.findall(r"\]\((\w+)\)", stories), id=said)


def numbers(text):
    return set(re.findall(r"(?<![\d.,])\d+(?:,\d{3})*(?:\.\d+)?", text))


@pytest.mark.parametrize(("measured", "stories"), list(claims()))
def test_what_the_table_of_folklore_quotes_stands_in_the_stories(measured, stories):
    shown = "\n".join((ROOT / "examples" / story / "README.md").read_text(encoding="utf-8") for story in stories)
    assert numbers(measured), "a verdict without a number"
    assert len(list(claims())) == 28
    assert numbers(measured) <= numbers(shown)


def test_the_first_screen_names_the_commands_of_a_fresh_clone() -> None:
    screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24])
    block = re.search(r"## Two commands\n\n```\n(.*?)\n```", screen, re.DOTALL)
    assert block is not None
    commands = [line.partition("#")[0].split() for line in block[1].splitlines()]
    assert commands == [["make", "run"], ["make", "test"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}: " in makefile for _, target in commands)
