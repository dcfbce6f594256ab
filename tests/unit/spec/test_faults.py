"""pydantic's errors in our words, at an address of the data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from pipeprof.pipelines.spec.faults import Fault, describe, find_faults


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Simulated(Strict):
    kind: Literal["simulate"] = "simulate"
    base: str
    jitter: float = 0.0


class Python(Strict):
    python: str


class Batch(Strict):
    batch_size: int = Field(ge=1)
    drop_remainder: bool = False


class Model(Strict):
    step: Literal["none"] | Simulated | Python = "none"
    stages: list[dict[str, Batch]] = []
    every: dict[Annotated[int, Field(ge=1)], str] = {}
    values: list[Any] = []
    name: Annotated[str, Field(min_length=1, max_length=3)] = "x"
    number: float | None = None


def faults(data: dict[str, Any], model: type[BaseModel] = Model) -> list[Fault]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return find_faults(caught.value, data)


@pytest.mark.parametrize(
    ("data", "address", "code", "message"),
    [
        ({"nme": 3}, ("nme",), "unknown-key", "unknown key `nme`"),
        ({"name": 3}, ("name",), "wrong-type", "got 3, expected text"),
        ({"name": ""}, ("name",), "out-of-range", "got '' (a string), expected text of a length of at least 1"),
        ({"values": {"a": 1}}, ("values",), "wrong-type", "got a mapping, expected a list: '- ' before each item"),
        ({"values": {"-1": 1}}, ("values",), "wrong-type", "got '-1', expected a list: a space after each '-'"),
        ({"stages": [[]]}, ("stages", 0), "wrong-type", "got an empty list, expected a mapping"),
        ({"stages": [{"batch": {}}]}, ("stages", 0, "batch"), "missing-key", "missing key `batch_size` in `batch`"),
        (
            {"stages": [{"batch": {"batch_size": 0}}]},
            ("stages", 0, "batch", "batch_size"),
            "out-of-range",
            "got 0, expected a number of at least 1",
        ),
        (
            {"stages": [{"batch": {"batch_size": "three"}}]},
            ("stages", 0, "batch", "batch_size"),
            "wrong-type",
            "got 'three' (a string), expected a whole number",
        ),
        (
            {"stages": [{"batch": {"batch_size": 1, "drop_remainder": None}}]},
            ("stages", 0, "batch", "drop_remainder"),
            "wrong-type",
            "got null, expected true or false",
        ),
        ({"every": {"x": "1s"}}, ("every", "x"), "wrong-type", "got 'x' (a string), expected a whole number"),
        ({"every": {0: "1s"}}, ("every", 0), "out-of-range", "got 0, expected a number of at least 1"),
        ({"number": "x"}, ("number",), "wrong-type", "got 'x' (a string), expected a number"),
    ],
)
def test_words(data: dict[str, Any], address: tuple[str | int, ...], code: str, message: str) -> None:
    (fault,) = faults(data)
    assert (fault.address, fault.code, fault.message) == (address, code, message)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # The branch whose form fits is meant, not every branch.
        ({"base": "1ms", "jiter": 2.0}, [(("step", "jiter"), "unknown-key")]),
        ({"base": "1ms", "jitter": "x"}, [(("step", "jitter"), "wrong-type")]),
        ({"python": 3}, [(("step", "python"), "wrong-type")]),
        ("nothing", [(("step",), "wrong-value")]),
    ],
)
def test_of_a_union_the_nearest_branch_speaks(step: object, expected: list[tuple[tuple[str, ...], str]]) -> None:
    assert [(fault.address, fault.code) for fault in faults({"step": step})][: len(expected)] == expected
    if isinstance(step, dict):
        assert len(faults({"step": step})) == len(expected)


def test_messages_of_the_model_pass_unchanged() -> None:
    class Ready:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_: object) -> core_schema.CoreSchema:
            def refuse(value: object) -> object:
                context = {"message": "got {x}, expected %s", "got": value, "candidates": ["range", "list_files"]}
                code: Any = "unknown_source"
                raise PydanticCustomError(code, "{message}", context)

            return core_schema.no_info_plain_validator_function(refuse)

    class Source(BaseModel):
        source: Ready
        model_config = ConfigDict(arbitrary_types_allowed=True)

    assert faults({"source": "rnage"}, Source) == [
        Fault(("source",), False, "unknown-source", "got {x}, expected %s", "range")
    ]


def test_every_type_of_error_has_words() -> None:
    """Whatever pydantic may find, the user reads `got …, expected …`."""

    class Many(Strict):
        a: tuple[int, ...] = ()
        b: set[int] = set()
        c: Annotated[int, Field(multiple_of=2)] = 0
        d: Annotated[list[int], Field(min_length=2)] = [1, 2]
        e: Annotated[str, Field(pattern="^a")] = "a"
        f: bytes = b""
        g: Batch | None = None
        h: Annotated[float, Field(allow_inf_nan=False)] = 0.0

    data = {"a": 1, "b": 1, "c": 3, "d": [1], "e": "b", "f": 3, "g": 1, "h": float("inf")}
    found = faults(data, Many)
    assert {fault.address[0] for fault in found} == set(data)
    for fault in found:
        assert fault.message.startswith("got ")
        assert ", expected " in fault.message
        assert not any(word in fault.message for word in ("Input", "should", "valid", "pydantic", "Many"))


def test_misspelt_key_is_not_called_missing() -> None:
    class Ready(BaseModel):
        batch_size: int

    error = ValidationError.from_exception_data(
        "x",
        [
            {"type": "missing", "loc": ("batch_size",), "input": {}},
            {
                "type": PydanticCustomError(
                    "unknown_argument",
                    "{message}",
                    {"message": "got x, expected y", "got": "batchsize", "candidates": ["batch_size"]},
                ),
                "loc": ("batchsize",),
                "input": None,
            },
        ],
    )
    (fault,) = find_faults(error, {"batchsize": 3})
    assert (fault.code, fault.at_key, fault.suggestion) == ("unknown-argument", True, "batch_size")
    assert [fault.code for fault in faults({}, Ready)] == ["missing-key"]


def test_long_values_are_cut() -> None:
    assert len(describe("x" * 1000)) < 100
    assert describe(None) == "null"
