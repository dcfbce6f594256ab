"""The generated documentation is what the code says today, and the written one points at what exists."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROSE = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    ROOT / "benchmarks" / "README.md",
]


def _generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()


@pytest.mark.parametrize("name", generate.PAGES)
def test_generated_pages_are_up_to_date(name):
    path = ROOT / "docs" / name
    assert path.exists(), "make docs"
    assert path.read_text(encoding="utf-8") == generate.PAGES[name](), "make docs"


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)\)", text)
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing
    headings = {generate.anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


@pytest.mark.parametrize("name", [name for name in generate.PAGES if name.endswith(".json")])
def test_published_schemas_name_their_draft_and_are_valid(name):
    schema = json.loads((ROOT / "docs" / name).read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema, default=None)
    assert validator is not None, f"unknown $schema {schema.get('$schema')}"
    validator.check_schema(schema)


def test_make_targets_named_in_the_documentation_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in PROSE:
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)) <= targets, (
            path
        )


def test_a_page_has_every_field_its_type_and_its_bounds():
    schema = {
        "properties": {"a": {"$ref": "#/$defs/Part"}, "b": {"type": "array", "items": {"enum": ["x", "y"]}}},
        "required": ["a"],
        "$defs": {
            "Unused": {"type": "string"},
            "Part": {
                "description": "One\n part.",
                "properties": {"n": {"type": "integer", "minimum": 1, "default": 2}},
            },
        },
    }
    page = generate.reference("# Title\n", schema)
    assert "| `a` | [Part](#part) | required |  |" in page
    assert '| `b` | list of "x", "y" |' in page.replace('`"', '"').replace('"`', '"')
    assert "## Part\n\nOne part.\n\n| field | type | default | |" in page
    assert "| `n` | integer ≥ 1 | `2` |  |" in page
    assert "Unused" not in page


def test_installing_without_tensorflow_names_all_other_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    others = [name for name in project["dependencies"] if not name.startswith("tensorflow")]
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert "pip install " + " ".join(f'"{name}"' for name in others) in text
