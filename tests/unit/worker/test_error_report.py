"""What was raised, in one sentence and with its place, on texts that TensorFlow and Python really write."""

from __future__ import annotations

import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof import pipelines
from pipeprof.pipelines.build.pinned import BuildError, pin_errors
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.called import CalledStep
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.user_frames import innermost_users_frame, users_frame_of_stacks
from pipeprof.profiles.worker import error_report
from pipeprof.profiles.worker.ended import LONGEST, essence, first_line
from pipeprof.profiles.worker.error_report import describe_error

RECORDED = json.loads((Path(__file__).parents[2] / "recorded" / "graphs" / "errors.json").read_text())
CASES = {one["case"]: one for one in RECORDED}
STDLIB = f"{sysconfig.get_path('stdlib')}/threading.py"
TENSORFLOW = f"{sysconfig.get_path('purelib')}/tensorflow/python/data/ops/iterator_ops.py"
OURS = f"{Path(pipelines.__file__).parent}/build.py"

ESSENCES = {
    "scoped op, fused": "Unknown image file format. One of JPEG, JPEG XL, PNG, GIF, BMP, WebP required.",
    "named stage": "Unknown image file format. One of JPEG, JPEG XL, PNG, GIF, BMP, WebP required.",
    "python": "ZeroDivisionError: integer division or modulo by zero",
    "python, fused": "ZeroDivisionError: integer division or modulo by zero",
    "inside a function": "ZeroDivisionError: integer division or modulo by zero",
    "called function": "Could not parse `serialized` as TensorProto, base64: MA==",
    "called function, fused": "Could not parse `serialized` as TensorProto, base64: MA==",
    "shapes": "Cannot add tensor to the batch: number of elements does not match. "
    "Shapes are: [tensor]: [0], [batch]: [1]",
    "generator": "ZeroDivisionError: integer division or modulo by zero",
    "corrupt record": "truncated record at 0' failed with Read less bytes than requested",
    "two candidates": "Cannot add tensor to the batch: number of elements does not match. "
    "Shapes are: [tensor]: [1], [batch]: [0]",
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("word " * 1000, f"{'word ' * 79}word…"),
        ("x" * LONGEST, "x" * LONGEST),
        ("one\n  two\t three\n", "one two three"),
        (
            'in user code:\n\n    File "/x.py", line 102, in f  *\n        return tf.reshape(x, [2, 2])\n'
            '    File "/y.py", line 3, in g  **\n        h()\n\n    ValueError: Cannot reshape a tensor',
            "Cannot reshape a tensor",
        ),
        ("Expected 'tf.Tensor(False)' to be true. Summarized data: b'No files matched'", "b'No files matched'"),
        ("calling \x1b[1mCast int64 to string\x1b[0m", "calling Cast int64 to string"),
    ],
)
def test_what_is_around_the_cause_is_left_out(text, said):
    assert essence(text) == said
    assert len(said) <= LONGEST


class Unspeakable(Exception):
    """An error whose own text cannot be had."""

    def __init__(self, raised: type[BaseException] = ValueError) -> None:
        super().__init__()
        self.raised = raised

    def __str__(self) -> str:
        raise self.raised

    __repr__ = __str__


@pytest.mark.parametrize("raised", [ValueError, SystemExit, RecursionError])
def test_an_error_whose_text_raises_is_named(raised):
    assert first_line(Unspeakable(raised)) == f"Unspeakable: (its __str__ raised {raised.__name__})"
    assert first_line(KeyError()) == "KeyError"
    assert first_line(SystemExit(Unspeakable(raised))) == f"sys.exit((its __repr__ raised {raised.__name__}))"


def test_the_report_of_such_an_error_has_its_class():
    said = describe_error(Unspeakable(), FakeSample())
    assert (said.code, said.message) == ("raised", "Unspeakable: (its __str__ raised ValueError)")
    assert "Unspeakable" in (said.traceback or "")


def test_an_error_that_cannot_be_looked_into_is_still_reported(monkeypatch):
    def fails(*_arguments):
        raise MemoryError

    monkeypatch.setattr(error_report, "frames_of_error", fails)
    assert describe_error(ValueError("a bad record"), FakeSample()).message == "ValueError: a bad record"
    assert describe_error(MemoryError(), FakeSample()).code == "out-of-memory"


def frames(*places: tuple[str, int, str]) -> str:
    lines = ["Traceback (most recent call last):"]
    for file, line, function in places:
        lines += [f'  File "{file}", line {line}, in {function}', "    something()", "    ~~~~~~~~~^^"]
    return "\n".join([*lines, "ValueError: a bad record"])


def test_the_innermost_frame_of_the_user_is_found():
    text = frames(
        (TENSORFLOW, 270, "__call__"),
        ("/home/me/train.py", 10, "make"),
        ("/home/me/decode.py", 33, "parse"),
        (STDLIB, 99, "run"),
        (OURS, 5, "build"),
    )
    assert innermost_users_frame(text) == ErrorFrame("/home/me/decode.py", 33, "parse")


def test_text_without_frames_has_none():
    assert innermost_users_frame(CASES["shapes"]["text"]) is None
    assert innermost_users_frame("") is None
    assert users_frame_of_stacks("") is None


def stacks(*threads: tuple[str, list[tuple[str, int, str]]]) -> str:
    parts = []
    for title, places in threads:
        lines = [f"{title} 0x00007f0678a1c6c0 (most recent call first):"]
        lines += [f'  File "{file}", line {line} in {function}' for file, line, function in places]
        parts.append("\n".join(lines))
    return "Fatal Python error: Segmentation fault\n\n" + "\n\n".join(parts)


def test_of_dumped_stacks_the_first_frame_of_the_crashed_thread_counts():
    text = stacks(
        ("Thread", [("/home/me/other.py", 1, "idle"), (STDLIB, 2, "run")]),
        ("Current thread", [(STDLIB, 3, "x"), ("/home/me/train.py", 44, "parse"), ("/home/me/train.py", 9, "main")]),
    )
    assert users_frame_of_stacks(text) == ErrorFrame("/home/me/train.py", 44, "parse")


@dataclass
class FakeSample:
    """As much of a sample as a failure needs."""

    graph: dict[str, Any] | None = None
    kind: str = "spec"
    places: dict[str, Any] | None = None

    @property
    def job(self) -> SimpleNamespace:
        return SimpleNamespace(kind=self.kind)

    @property
    def pipeline(self) -> FakeSample:
        return self

    def written_graph(self) -> dict[str, Any] | None:
        return self.graph

    def place_of(self, identity: str) -> dict[str, Any] | None:
        return (self.places or {}).get(identity)


class UnknownError(Exception):
    """As TensorFlow's own."""


@pytest.mark.parametrize("case", CASES)
def test_recorded_errors_are_described_with_their_stage(case):
    one = CASES[case]
    said = describe_error(UnknownError(one["text"]), FakeSample(one["written"]))
    assert said.message == f"UnknownError: {ESSENCES[case]}"
    assert (said.kind, said.code) == ("pipeline", "raised")
    address = None if one["key"] is None else one["key"].replace("_stages", ".stages").replace("stages_", "stages.")
    assert said.address == address


def test_a_stage_of_a_function_keeps_the_users_name():
    one = CASES["named stage"]
    graph = json.loads(json.dumps(one["written"]).replace('"stages_0"', '"decode"'))
    text = one["text"].replace("passed to stages_0 ", "passed to decode ").replace("stages_0/", "")
    said = describe_error(UnknownError(text), FakeSample(graph, kind="function"))
    assert (said.address, said.words) == ("decode", "decode (map)")


@pytest.mark.parametrize(("of", "kind"), [("spec", "spec"), ("python", "pipeline")])
def test_errors_of_building_know_their_stage(of, kind):
    error = BuildError("stages.1", "got 3 channels, expected 1", kind=of)
    said = describe_error(error, FakeSample())
    assert (said.kind, said.code, said.address) == (kind, "build", "stages.1")
    assert said.message == "got 3 channels, expected 1"


def test_a_wrong_target_is_the_commands_fault():
    said = describe_error(UsageError("f.py:make returned a list"), FakeSample())
    assert (said.kind, said.code, said.message) == ("spec", "target", "f.py:make returned a list")


def test_pythons_own_memory_error_is_out_of_memory():
    assert describe_error(MemoryError(), FakeSample()).message == "Python could not allocate memory"
    said = describe_error(MemoryError("Unable to allocate 7 GiB"), FakeSample())
    assert (said.code, said.message) == ("out-of-memory", "Unable to allocate 7 GiB")


class OpError(Exception):
    """As TensorFlow's."""


class UnknownOpError(OpError):
    """As TensorFlow's."""


class ResourceExhaustedError(OpError):
    """As TensorFlow's."""


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UnknownOpError("{{function_node __wrapped}} MemoryError: Unable to allocate 7 GiB"), "out-of-memory"),
        (UnknownOpError("numpy.core._exceptions._ArrayMemoryError: Unable to allocate 7 GiB"), "out-of-memory"),
        (ResourceExhaustedError("OOM when allocating tensor with shape[9] on CPU:0"), "out-of-memory"),
        (ResourceExhaustedError("/data/cache.index; No space left on device"), "raised"),
        (UnknownOpError("ValueError: no MemoryError here"), "raised"),
        (ValueError("MemoryError: of somebody else"), "raised"),
    ],
)
def test_memory_that_tensorflow_or_a_function_of_its_was_refused_is_out_of_memory(raised, code):
    assert describe_error(raised, FakeSample()).code == code


def test_the_frame_is_that_of_the_text_or_else_of_the_traceback(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def parse():\n    raise ValueError('bad')\n")
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    with pytest.raises(ValueError, match="bad") as caught:
        names["parse"]()
    assert describe_error(caught.value, FakeSample()).frame == ErrorFrame(str(file), 2, "parse")
    inside = UnknownError(frames(("/home/me/inside.py", 8, "decode")))
    assert describe_error(inside, FakeSample()).frame == ErrorFrame("/home/me/inside.py", 8, "decode")


def raised_by(code: str, file: str = "/home/me/train.py") -> BaseException:
    """What running `code` as the text of a file raises."""
    try:
        exec(compile(code, file, "exec"), {"__name__": "train"})
    except BaseException as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys\nsys.exit(3)", "sys.exit(3)"),
        ("\nraise SystemExit", "sys.exit()"),
        ("import sys\nsys.exit('no data: run download.sh')", "sys.exit('no data: run download.sh')"),
        (
            "import argparse\nargparse.ArgumentParser(exit_on_error=True).parse_args(['--x'])",
            'sys.exit(2), from argparse: the file has no command line here; parse it under `if __name__ == "__main__"`',
        ),
    ],
)
def test_an_exit_is_told_with_its_line(code, message, capsys):
    said = describe_error(raised_by(code), FakeSample())
    del capsys
    assert (said.code, said.kind, said.message) == ("exited", "pipeline", message)
    assert said.frame == ErrorFrame("/home/me/train.py", 2, "<module>")


def test_what_the_step_raises_is_not_blamed_on_the_pipeline():
    def step(batch):
        raise ValueError(batch)

    try:
        CalledStep(step).submit("shapes do not fit")
    except ValueError as error:
        said = describe_error(error, FakeSample(CASES["named stage"]["written"]))
    assert (said.code, said.message, said.address) == ("step-raised", "ValueError: shapes do not fit", None)


@pytest.mark.parametrize(
    "text",
    [
        "Intra op parallelism cannot be modified after initialization.",
        "Visible devices cannot be modified after being initialized",
        "Physical devices cannot be modified after being initialized",
        "Memory growth must be set before GPUs have been initialized",
    ],
)
def test_a_setting_that_comes_too_late_names_the_place_for_it(text):
    said = describe_error(RuntimeError(text), FakeSample())
    assert said.message.startswith(f"RuntimeError: {text} (pipeprof runs TensorFlow before it calls the function")
    assert "(" not in describe_error(RuntimeError("cannot be read"), FakeSample()).message


def test_a_graph_that_cannot_be_read_does_not_hide_the_error():
    class Broken(FakeSample):
        def written_graph(self):
            msg = "no graph"
            raise AttributeError(msg)

    said = describe_error(UnknownError(CASES["named stage"]["text"]), Broken())
    assert (said.address, said.message) == (None, f"UnknownError: {ESSENCES['named stage']}")


def test_a_stage_without_a_name_has_its_address_and_the_line_where_it_was_made():
    one = CASES["named stage"]
    graph = json.loads(json.dumps(one["written"]).replace('"stages_0"', "null"))
    (node,) = [node for node in graph["nodes"] if node["op"] == "MapDataset"]
    place = {"file": "/home/me/train.py", "line": 7, "column": 3, "function": "make", "callers": []}
    sample = FakeSample(graph, kind="function", places={node["id"]: place})
    said = describe_error(UnknownError(one["text"]), sample)
    assert (said.address, said.words) == ("stages.0", "map (/home/me/train.py:7)")
    assert said.frame == ErrorFrame("/home/me/train.py", 7, "make")
    inner = f'{one["text"]}\n  File "/home/me/decode.py", line 9, in f'
    assert describe_error(UnknownError(inner), sample).frame.file == "/home/me/decode.py"


class StagingError(Exception):
    """As AutoGraph names what it raises in place of a class that it cannot create again."""


class SchemaError(Exception):
    def __init__(self, column: str, row: int) -> None:
        super().__init__(f"column {column} is missing in row {row}")


def test_the_users_exception_is_shown_and_not_autographs() -> None:
    raised = StagingError("in user code:\n\n  File x.py\n\n  SchemaError: column label is missing in row 3")
    raised.__context__ = SchemaError("label", 3)
    assert first_line(raised) == "SchemaError: column label is missing in row 3"


def test_a_sentence_of_our_own_has_no_name_of_a_class() -> None:
    gone = UsageError("python: augment.py does not exist: it was there when the spec was checked")
    assert first_line(gone) == str(gone)
    with pytest.raises(BuildError) as pinned, pin_errors("stages.0", []):
        raise gone
    assert pinned.value.message == str(gone)
    assert first_line(ValueError("no")) == "ValueError: no"
