"""What was raised, in one sentence and with its place; and how the end of a training script is told."""

from __future__ import annotations

import json
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unit.harness.test_failure import around
from unit.worker.fakes import observed, phase

from pipeprof import pipelines
from pipeprof.pipelines.build.pinned import BuildError, pin_errors
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.called import CalledStep
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.harness.event_loop import Ended
from pipeprof.profiles.harness.failure import diagnose
from pipeprof.profiles.user_frames import innermost_users_frame, users_frame_of_stacks
from pipeprof.profiles.worker import ended, error_report
from pipeprof.profiles.worker.ended import LONGEST, ProcessExitedError, WriteRefusedError, essence, first_line
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.steps.loop import NeverIteratedError

RECORDED = json.loads((Path(__file__).parents[2] / "recorded" / "graphs" / "errors.json").read_text())
CASES = {one["case"]: one for one in RECORDED}
STDLIB = f"{sysconfig.get_path('stdlib')}/threading.py"
TENSORFLOW = f"{sysconfig.get_path('purelib')}/tensorflow/python/data/ops/iterator_ops.py"
OURS = f"{Path(pipelines.__file__).parent}/build.py"

FORMAT = "Unknown image file format. One of JPEG, JPEG XL, PNG, GIF, BMP, WebP required."
ZERO = "ZeroDivisionError: integer division or modulo by zero"
TENSOR = "Could not parse `serialized` as TensorProto, base64: MA=="
NUMBERS = "Cannot add tensor to the batch: number of elements does not match. Shapes are: [tensor]: [{}], [batch]: [{}]"
ESSENCES = {
    "scoped op, fused": FORMAT,
    "named stage": FORMAT,
    "python": ZERO,
    "python, fused": ZERO,
    "inside a function": ZERO,
    "called function": TENSOR,
    "called function, fused": TENSOR,
    "shapes": NUMBERS.format(0, 1),
    "generator": ZERO,
    "corrupt record": "truncated record at 0' failed with Read less bytes than requested",
    "two candidates": NUMBERS.format(1, 0),
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
    """An error whose own text cannot be had: asking for it raises its argument."""

    def __str__(self) -> str:
        raise self.args[0]

    __repr__ = __str__


@pytest.mark.parametrize("raised", [ValueError, SystemExit, RecursionError])
def test_an_error_whose_text_raises_is_named(raised):
    said = describe_error(Unspeakable(raised), FakeSample())
    assert (said.code, said.message) == ("raised", f"Unspeakable: (its __str__ raised {raised.__name__})")
    assert "Unspeakable" in (said.traceback or "")
    assert first_line(KeyError()) == "KeyError"
    assert first_line(SystemExit(Unspeakable(raised))) == f"sys.exit((its __repr__ raised {raised.__name__}))"


def test_an_error_that_cannot_be_looked_into_is_still_reported(monkeypatch):
    monkeypatch.setattr(error_report, "frames_of_error", None)
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
    assert innermost_users_frame(CASES["shapes"]["text"]) is None


def test_of_dumped_stacks_the_first_frame_of_the_crashed_thread_counts():
    dumped = f"""Fatal Python error: Segmentation fault

Thread 0x00007f0678a1c6c0 (most recent call first):
  File "/home/me/other.py", line 1 in idle

Current thread 0x00007f0678a1c6c1 (most recent call first):
  File "{STDLIB}", line 3 in x
  File "/home/me/train.py", line 44 in parse
  File "/home/me/train.py", line 9 in main
"""
    assert users_frame_of_stacks(dumped) == ErrorFrame("/home/me/train.py", 44, "parse")
    assert users_frame_of_stacks("") is None


@dataclass
class FakeSample:
    """As much of a sample as a failure needs."""

    graph: Any = None
    kind: str = "spec"
    places: dict[str, Any] | None = None
    phase: str = "build"

    @property
    def job(self) -> SimpleNamespace:
        return SimpleNamespace(kind=self.kind)

    @property
    def pipeline(self) -> FakeSample:
        return self

    def written_graph(self) -> dict[str, Any] | None:
        if self.graph == "broken":
            raise AttributeError
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


@pytest.mark.parametrize(
    ("error", "kind", "code", "message", "address"),
    [
        (BuildError("stages.1", "got 3 channels", kind="spec"), "spec", "build", "got 3 channels", "stages.1"),
        (BuildError("stages.1", "got 3 channels", kind="python"), "pipeline", "build", "got 3 channels", "stages.1"),
        (UsageError("f.py:make returned a list"), "spec", "target", "f.py:make returned a list", None),
        (MemoryError(), "pipeline", "out-of-memory", "Python could not allocate memory", None),
        (MemoryError("Unable to allocate 7 GiB"), "pipeline", "out-of-memory", "Unable to allocate 7 GiB", None),
    ],
)
def test_errors_are_told_apart_by_who_can_mend_them(error, kind, code, message, address):
    said = describe_error(error, FakeSample())
    assert (said.kind, said.code, said.message, said.address) == (kind, code, message, address)


OpError = type("OpError", (Exception,), {})
UnknownOpError = type("UnknownOpError", (OpError,), {})
ResourceExhaustedError = type("ResourceExhaustedError", (OpError,), {})


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


def raised_by(code: str, file: str = "/home/me/train.py") -> BaseException:
    """What running `code` as the text of a file raises."""
    try:
        exec(compile(code, file, "exec"), {"__name__": "train"})
    except BaseException as error:
        return error
    raise AssertionError


def test_the_frame_is_that_of_the_text_or_else_of_the_traceback():
    raised = raised_by("def parse():\n    raise ValueError('bad')\nparse()")
    assert describe_error(raised, FakeSample()).frame == ErrorFrame("/home/me/train.py", 2, "parse")
    inside = UnknownError(frames(("/home/me/inside.py", 8, "decode")))
    assert describe_error(inside, FakeSample()).frame == ErrorFrame("/home/me/inside.py", 8, "decode")


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
        "Memory growth must be set before GPUs have been initialized",
    ],
)
def test_a_setting_that_comes_too_late_names_the_place_for_it(text):
    said = describe_error(RuntimeError(text), FakeSample())
    assert said.message.startswith(f"RuntimeError: {text} (pipeprof runs TensorFlow before it calls the function")
    assert "(" not in describe_error(RuntimeError("cannot be read"), FakeSample()).message


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
    # A graph that cannot be read does not hide the error.
    said = describe_error(UnknownError(one["text"]), FakeSample("broken"))
    assert (said.address, said.message) == (None, f"UnknownError: {FORMAT}")


def test_the_users_exception_is_shown_and_not_the_one_that_autograph_makes_of_it() -> None:
    staging = type("StagingError", (Exception,), {})
    raised = staging("in user code:\n\n  File x.py\n\n  SchemaError: column label is missing in row 3")
    raised.__context__ = type("SchemaError", (Exception,), {})("column label is missing in row 3")
    assert first_line(raised) == "SchemaError: column label is missing in row 3"


def test_a_sentence_of_our_own_has_no_name_of_a_class() -> None:
    gone = UsageError("python: augment.py does not exist: it was there when the spec was checked")
    assert first_line(gone) == str(gone)
    with pytest.raises(BuildError) as pinned, pin_errors("stages.0", []):
        raise gone
    assert pinned.value.message == str(gone)
    assert first_line(ValueError("no")) == "ValueError: no"


SCRIPT: Any = FakeSample(kind="script")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise EOFError('EOF when reading a line')", "gives a script no standard input"),
        (
            "import argparse\nargparse.ArgumentParser().parse_args(['--epochs'])",
            "the script's own arguments follow `--`",
        ),
    ],
)
def test_what_pipeprof_has_to_do_with_an_error(code: str, words: str) -> None:
    assert words in describe_error(raised_by(code), SCRIPT).message


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NeverIteratedError("train.py never iterated"), "never-iterated", "Nothing to measure: train.py never"),
        (WriteRefusedError("train.py:3 would delete a"), "write-before-steps", "Nothing to measure: train.py:3 would"),
        (ProcessExitedError("os._exit(3)"), "exited", "Your code called exit"),
        (ValueError("no"), "raised", "The script raised an exception"),
    ],
)
def test_the_sentence_of_an_end(error: BaseException, code: str, words: str) -> None:
    message = describe_error(error, SCRIPT)
    failure = diagnose(Ended("exit", 0), observed(phase("build"), message), around(script=True, stages={}))
    assert failure is not None
    assert (failure.problem.code, failure.exit_code) == (code, 5)
    assert failure.problem.message.startswith(words)
    # Nothing raised these.
    assert (message.traceback is None) is (code in {"exited", "write-before-steps"})


def test_processes_that_would_complain_end_before_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of a pool prints a traceback where the other end of its pipe is gone."""
    happened: list[object] = []
    children = [SimpleNamespace(kill=lambda name=name: happened.append(name)) for name in ("one", "two")]
    monkeypatch.setitem(sys.modules, "multiprocessing", SimpleNamespace(active_children=lambda: children))  # type: ignore[arg-type]
    monkeypatch.setattr(ended.os, "_exit", happened.append)
    ended.end_at_once()
    assert happened == ["one", "two", 0]
