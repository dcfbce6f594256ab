"""Functions of a user's modules have references; others a reason."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeprof.pipelines.from_python.naming import FunctionReferences, arguments_text

FILE = """
import functools

def parse(row, size=1): ...

def make(size, names=()):
    def made(row): return row, size, names
    return made

class Rows:
    def read(self, row): ...
    @classmethod
    def write(cls, row): ...
    @staticmethod
    def drop(row): ...
    def __call__(self): ...

ROWS = Rows()
twice = lambda row: row * 2
small = functools.partial(parse, size=2)
made = make(4)
local = [make(5)]
wrapped = functools.wraps(parse)(lambda *given: parse(*given))
"""


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    path = tmp_path_factory.mktemp("users") / "users_module.py"
    path.write_text(FILE)
    spec = importlib.util.spec_from_file_location("users_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["users_module"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["users_module"]


def found(users: ModuleType, raw: Any, *makers: Any) -> str:
    """The reference without its folder, or the reason."""
    own = FunctionReferences(lambda file: file == users.__file__, makers)
    reference, why = own.find(raw)
    return reference.removeprefix(f"{Path(str(users.__file__)).resolve()}:") if reference is not None else why


def test_functions_are_named_where_a_spec_can_reach_them(users):
    import functools

    references = {
        "parse": users.parse,
        "twice": users.twice,
        "small": users.small,
        "made": users.made,
        "ROWS": users.ROWS,
        "wrapped": users.wrapped,
        "ROWS.read": users.ROWS.read,
        "Rows.read": users.Rows.read,
        "Rows.write": users.Rows.write,
        "Rows.drop": users.Rows.drop,
        "parse(..., 3, size=(4, 'a'))": functools.partial(users.parse, 3, size=(4, "a")),
        "Rows.drop(..., row=None)": functools.partial(users.Rows.drop, row=None),
    }
    assert {name: found(users, raw) for name, raw in references.items()} == {name: name for name in references}


def test_what_a_function_made_is_a_call_of_it(users):
    given = users.local[0]
    assert found(users, given, (users.make, {"size": 5, "names": ["a"]}, given)) == "make(size=5, names=['a'])"
    assert found(users, given, (users.make, {"size": len}, given)) == (
        "its argument size is a builtin_function_or_method, which a spec cannot write; make it inside the function"
    )
    assert "any number of arguments" in found(users, given, (users.make, {"*": True}, given))


def test_others_have_one_reason(users):
    import functools

    def inside(): ...

    inside.__module__ = "users_module"
    reasons = {
        "it is a lambda without a name; make it a function at module level": lambda row: row,
        "it is defined inside make(); move it to module level": users.local[0],
        "it is a method of an object (Rows) that is not a variable of a module; make it one": users.Rows().read,
        "it is an object (Rows) that is not a variable of a module; make it one": users.Rows(),
        "it is not defined in one of your files; call it in a function of your own": len,
        "it is defined inside test_others_have_one_reason(); move it to module level": functools.partial(inside, 1),
    }
    assert {found(users, raw): raw for raw in reasons.values()} == reasons


@pytest.mark.parametrize(
    ("positional", "named", "partial", "text"),
    [
        ((), {}, False, "()"),
        ((1, "a"), {"b": [True, None]}, False, "(1, 'a', b=[True, None])"),
        ((), {"b": {"x": (1.5,)}}, True, "(..., b={'x': (1.5,)})"),
    ],
)
def test_arguments_are_literals(positional, named, partial, text):
    assert arguments_text(positional, named, partial=partial) == text
