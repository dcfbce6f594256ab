"""The four packages are no larger than `tests/size.toml` says."""

from __future__ import annotations

import sys

import pytest
import size

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_the_packages_are_no_larger_than_they_were() -> None:
    bounds = tomllib.loads(size.BOUNDS.read_text(encoding="utf-8"))
    found = size.sizes()
    assert found.keys() == bounds.keys()
    assert {name: count for name, count in found.items() if count > bounds[name]} == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""Subject."""\n\nimport os\n\n# Why.\nx = os.name  # said\n', 1),
        ("def f():\n    '''Return 1.\n\n    More.\n    '''\n    return (\n        1\n    )\n", 4),
        ("text = '''\n# no comment\n'''\n", 3),
        ("from a import (\n    b,\n    c,\n)\n", 0),
    ],
)
def test_code_is_counted_without_words_and_imports(source: str, count: int) -> None:
    assert size.count_code(source) == count
