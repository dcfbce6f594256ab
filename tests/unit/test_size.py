"""The source stays within the numbers of `tests/size.toml`."""

from __future__ import annotations

import sys

import pytest
import size
from hypothesis import given
from hypothesis import strategies as st

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEPT = tomllib.loads(size.BOUNDS.read_text(encoding="utf-8"))


def test_no_room_has_more_code_than_its_number() -> None:
    more = {room: count for room, count in size.sizes().items() if count > size.bound_of(KEPT["rooms"].get(room, 0))}
    assert more == {}, "shorten it, or raise the number in tests/size.toml with the reason"


def test_every_number_is_of_a_room_and_a_raised_one_has_its_reason() -> None:
    assert set(KEPT["rooms"]) == set(size.sizes())
    entries = {**KEPT["rooms"], **KEPT["beside"]}
    assert [name for name, entry in entries.items() if size.is_raised_without_reason(entry)] == []


def test_what_stands_beside_the_code_is_within_its_numbers() -> None:
    more = {name: count for name, count in size.totals().items() if count > size.bound_of(KEPT["beside"][name])}
    assert more == {}, "shorten it, or raise the number in tests/size.toml with the reason"


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


def test_a_raised_number_needs_a_reason() -> None:
    assert not size.is_raised_without_reason(5)
    assert not size.is_raised_without_reason({"least": 5, "now": 6, "why": "a registry of kinds of steps"})
    assert size.is_raised_without_reason({"least": 5, "now": 6, "why": ""})


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 50))
def test_counting_again_never_raises_a_number(now: int, count: int, below: int) -> None:
    raised = {"least": max(0, now - below), "now": now, "why": "what the lines are for"}
    assert size.bound_of(size.lowered(now, count)) <= now
    assert size.bound_of(size.lowered(raised, count)) <= now
    assert size.bound_of(size.lowered(None, count)) == count
