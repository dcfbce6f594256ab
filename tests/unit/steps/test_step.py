"""Steps as they are written and looked at before anything runs."""

import importlib.util
import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.step import Step, arguments_of, check_step, parse_step, step_schema

TIMES = {"base": "4ms", "stdev": "500us", "every": {1000: "400ms"}, "x-from": "init"}
GOOD: list[tuple[object, str]] = [
    ("none", "none"),
    ("simulate:12ms", "simulate: 12ms"),
    ({"simulate": TIMES}, "simulate: 4ms, stdev 0.5ms, 400ms every 1000"),
    ("python:dir/f.py:train", "python: dir/f.py:train"),
    ({"keras": "a b.py:größe", "x-note": 1}, "keras: a b.py:größe"),
    ({"recorded": "p.json"}, "recorded: p.json"),
]
BAD: list[tuple[object, tuple[object, ...]]] = [
    *((word, ()) for word in ("gpu", "simulate", "keras", "x.py:f", 3, None, [], {}, {"dispatch": 2})),
    *((word, (word.partition(":")[0],)) for word in ("simulate:", "simulate:12", "python:f", "python:a.py:f\n::x")),
    ({"simulate": "5ms", "python": "a.py:f"}, ()),
    ({"simulat": "5ms"}, ("simulat",)),
    ({"recorded": "p.txt"}, ("recorded",)),
    *(({"simulate": "1ms", "dispatch": value}, ("dispatch",)) for value in (0, True, "async", None, 1.5)),
    *(({"simulate": {"every": value}}, ("simulate", "every")) for value in (3, {"a": "1ms"}, {0: "1ms"})),
    ({"simulate": {"every": {3: "1 sec"}}}, ("simulate", "every", 3)),
    ({"simulate": {"base": -1}}, ("simulate", "base")),
    ({"simulate": {"per_mb": "1ms"}}, ("simulate", "per_mb")),
]


def as_json(data: Any) -> Any:
    return {str(key): as_json(value) for key, value in data.items()} if isinstance(data, dict) else data


@pytest.mark.parametrize(("written", "text"), GOOD)
def test_a_step_is_a_word_or_a_mapping(written, text):
    step = parse_step(written)
    assert step.text == text
    assert jsonschema.Draft7Validator(step_schema()).is_valid(as_json(written))


@pytest.mark.parametrize(("written", "place"), BAD)
def test_what_is_no_step_is_refused_where_it_is_wrong(written, place):
    with pytest.raises(ValueError, match="expected") as refused:
        parse_step(written)
    assert getattr(refused.value, "place", None) == place


def test_a_step_reads_its_files_from_the_folder_of_its_spec(tmp_path):
    assert arguments_of(Step(), tmp_path) == {}
    assert arguments_of(parse_step("python:my:odd/s.py:f"), tmp_path) == {"target": f"{tmp_path}/my:odd/s.py:f"}
    assert arguments_of(parse_step("python:/opt/s.py:f"), tmp_path) == {"target": "/opt/s.py:f"}


def test_what_is_missing_is_told_before_anything_runs(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("def step(batch): ...\n")
    step = parse_step(f"torch:{tmp_path}/a.py:step")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    check_step(step)
    with pytest.raises(UsageError):
        check_step(parse_step(f"torch:{tmp_path}/a.py:stop"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError):
        check_step(step)


def test_steps_load_nothing_that_a_worker_or_a_command_does_not_need():
    program = (
        "import sys; from pipeprof.pipelines.steps import called, recorded, simulated, step; step.words();"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch', 'numpy', 'rich', 'yaml', 'pydantic', 'jsonschema'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
