"""Which Python functions are seen, and whether the lock was taken: frames made by hand, no clock."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from pipeprof.profiles.protocol.messages import TracedFunction
from pipeprof.profiles.worker.trace.threads import Looks, is_foreign

USERS = "/home/user/train.py"
CALLER = "/site-packages/tensorflow/python/ops/script_ops.py"


API = "/site-packages/tensorflow/python/autograph/impl/api.py"
GENERATED = "/tmp/__autograph_generated_filex1.py"


def called(*texts: tuple[str, str], token: Any = "pyfunc_3", **namespace: Any) -> FrameType:
    """The innermost frame of what TensorFlow calls: texts by their files, each may call what the others define."""
    namespace["sys"] = sys
    for file, text in texts:
        exec(compile(text, file, "exec"), namespace)
    found: FrameType = namespace["__call__"](token)
    return found


def frame(inner: str, token: Any = "pyfunc_3", file: str = USERS) -> FrameType:
    """The frame of a function of the user's that TensorFlow has called."""
    texts = (file, f"def {inner}():\n    return sys._getframe()\n"), (CALLER, f"def __call__(token): return {inner}()")
    return called(*texts, token=token)


def looks() -> Looks:
    return Looks(lambda file: file.startswith("/site-packages"))


@pytest.mark.parametrize("token", ["pyfunc_3", b"pyfunc_3"])
def test_a_function_has_the_time_since_the_last_look_and_its_line(token: Any):
    seen, one = looks(), frame("augment", token)
    seen.take({1: one}, 3_000_000, taken=True)
    seen.take({1: one}, 1_000_000, taken=False)
    (found,) = seen.functions()
    assert found == TracedFunction("pyfunc_3", "augment", USERS, 1, 0.004, 0.003, call_seconds=0.004, lines=[(2, 1.0)])
    assert seen.ns == 4_000_000


def test_of_what_autograph_generated_the_users_function_is_named():
    def augment(number):
        return number

    seen = looks()
    inner = called(
        (GENERATED, "def inner_factory(): return sys._getframe()"),
        (API, "def converted_call(target_entity): return inner_factory()"),
        (CALLER, "def __call__(token): return converted_call(augment)"),
        augment=augment,
    )
    seen.take({1: inner}, 1_000, taken=False)
    (found,) = seen.functions()
    code = augment.__code__
    assert (found.file, found.line) == (code.co_filename, code.co_firstlineno)
    assert found.function.endswith("augment")


@pytest.mark.parametrize(
    ("file", "text", "function"),
    [
        (
            GENERATED,
            "def outer_factory():\n def inner_factory():\n  def tf__mapped(x):\n   return lambda: sys._getframe()\n"
            "  return tf__mapped\n return inner_factory()\nmade = outer_factory()(1)\n",
            "<lambda>",
        ),
        (USERS, "def made():\n    return [\n        sys._getframe() for _ in range(1)\n    ][0]\n", "made"),
    ],
    ids=["inside of a generated one", "around a comprehension"],
)
def test_a_function_has_the_users_name(file: str, text: str, function: str):
    seen = looks()
    seen.take({1: called((file, text), (CALLER, "def __call__(token): return made()"))}, 1_000, taken=False)
    assert [one.function for one in seen.functions()] == [function]


def test_a_call_is_longer_than_the_function_by_what_tensorflow_converts():
    seen = looks()
    seen.take({1: frame("augment")}, 3_000_000, taken=True)
    seen.take({1: frame("convert", file="/site-packages/tensorflow/python/ops/numpy.py")}, 1_000_000, taken=True)
    (found,) = seen.functions()
    assert (found.function, found.seconds, found.call_seconds) == ("augment", 0.003, 0.004)


def test_a_function_of_a_library_counts_where_no_users_frame_is_below_it():
    seen = looks()
    seen.take({1: frame("resize", file="/site-packages/library/image.py")}, 1_000, taken=False)
    assert seen.functions()[0].function == "resize"


def test_python_that_tensorflow_did_not_call_and_its_own_conversions_are_not_the_pipelines():
    seen = looks()
    seen.take({1: sys._getframe()}, 1_000, taken=True)
    seen.take({1: frame("convert", file=CALLER)}, 1_000, taken=False)
    assert seen.functions() == []


@pytest.mark.parametrize(
    ("file", "foreign"),
    [
        (sys.modules["json"].__file__, True),
        ("<string>", True),
        ("/opt/more/lib/python3.11/site-packages/numpy/lib/_version.py", True),
        ("/tmp/__autograph_generated_filex1.py", False),
        (USERS, False),
    ],
)
def test_whose_files(file: str, foreign: bool):
    assert is_foreign(file) is foreign
