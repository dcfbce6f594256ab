"""What a package index shows and installs: dependencies, the build's tools, the README."""

import ast
import re
import sys
from pathlib import Path

from source_trees import nodes, sources

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DISTRIBUTIONS = {
    **{"google": "protobuf", "yaml": "pyyaml", "pydantic_core": "pydantic", "typing_extensions": "pydantic"},
    "markupsafe": "jinja2",
}
OPTIONAL = {"pynvml", "tensorflow_datasets", "absl", "keras", "jax", "torch"}
"""Imported only where a user's own pipeline has them."""


def imported():
    """Libraries that the package imports, by the file that does."""
    found = {}
    for file, text in sources().items():
        for node in nodes(text):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if names:
                found |= {name.partition(".")[0]: file for name in names}
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names | {"pipeprof"}}


def test_every_imported_library_is_declared():
    declared = {re.split(r"[<>=!~ \[]", name)[0] for name in PROJECT["project"]["dependencies"]}
    missing = {
        name: file
        for name, file in imported().items()
        if name not in OPTIONAL and DISTRIBUTIONS.get(name, name) not in declared
    }
    assert missing == {}


def test_the_build_backend_has_an_upper_version():
    assert all("<" in one or "==" in one for one in PROJECT["build-system"]["requires"])


def test_the_readme_has_no_link_that_leads_nowhere_on_a_package_index():
    text = (ROOT / PROJECT["project"]["readme"]).read_text(encoding="utf-8")
    links = re.findall(r"(!?)\[([^\]]*)\]\(([^)]+)\)", text)
    assert [link for mark, _, link in links if not mark and not link.startswith(("https://", "#"))] == []
    # A picture of the repository: an index shows its text instead.
    pictures = [(words, link) for mark, words, link in links if mark]
    assert all(len(words) > 20 and (ROOT / link).is_file() for words, link in pictures)
    assert len(pictures) == 1
