"""Dataclasses that are made with their first object are like those of the library in all that a caller sees."""

import copy
import dataclasses
import threading
from dataclasses import FrozenInstanceError, asdict, field, fields, is_dataclass, replace

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeprof.pipelines import records
from pipeprof.pipelines.records import dataclass


@pytest.fixture
def made(monkeypatch):
    """Names of the classes that were made, in their order."""
    names = []
    process = dataclasses.dataclass

    def noted(**options):
        return lambda cls: (options.get("init", True) or names.append(cls.__name__), process(**options)(cls))[1]

    monkeypatch.setattr(records.dataclasses, "dataclass", noted)
    return names


def pair():
    @dataclass(frozen=True)
    class Base:
        a: int
        b: list[int] = field(default_factory=list)

    @dataclass(frozen=True)
    class Derived(Base):
        c: int = 3

        def __post_init__(self) -> None:
            object.__setattr__(self, "c", self.c + 1)

    return Base, Derived


def test_nothing_is_made_before_the_first_object(made):
    _, derived = pair()
    assert made == []
    first = derived(1)
    assert sorted(made) == ["Base", "Derived"]
    assert first == derived(1)
    assert hash(derived(1, ())) == hash(derived(1, ()))
    assert len(made) == 2


def test_objects_are_those_of_a_dataclass():
    base, derived = pair()
    one = derived(1, c=5)
    assert repr(one).endswith("Derived(a=1, b=[], c=6)")
    assert asdict(replace(base(1), a=2)) == {"a": 2, "b": []}
    assert copy.copy(one) == one != derived(2)
    with pytest.raises(FrozenInstanceError):
        one.a = 2
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        derived()
    match one:
        case base(1, b):
            assert b == []


@pytest.mark.parametrize("ask", [is_dataclass, lambda kind: [one.name for one in fields(kind)] == ["a", "b", "c"]])
def test_a_class_without_objects_is_one_too(ask):
    assert ask(pair()[1])


def test_a_class_that_is_no_dataclass_takes_the_methods_of_its_base():
    base, _ = pair()

    class Plain(base):
        pass

    assert Plain(1).b == []


def test_a_class_with_an_init_of_its_own_keeps_it():
    @dataclass
    class Own:
        a: int

        def __init__(self) -> None:
            self.a = 7

    assert repr(Own()).endswith("Own(a=7)")


def test_a_dataclass_of_the_library_may_derive_from_one():
    base, _ = pair()

    @dataclasses.dataclass(frozen=True)
    class Other(base):
        d: int = 4

    assert asdict(Other(1)) == {"a": 1, "b": [], "d": 4}


def test_pydantic_checks_the_fields():
    adapter = TypeAdapter(pair()[0])
    assert adapter.validate_python({"a": 1, "b": [2]}).b == [2]
    with pytest.raises(ValidationError):
        adapter.validate_python({"a": "x"})


def test_a_thread_that_comes_while_the_class_is_made_waits_for_it(monkeypatch, made):
    base, _ = pair()
    make, others, seen = records._make, [], []

    def slow(owner, options):
        others.append(threading.Thread(target=lambda: seen.append(base(2))))
        others[0].start()
        make(owner, options)
        assert not seen

    monkeypatch.setattr(records, "_make", slow)
    assert base(1).a == 1
    others[0].join()
    assert seen == [base(2)]
    assert made == ["Base"]
