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


def frame(inner: str, token: Any = "pyfunc_3", file: str = USERS) -> FrameType:
    """The frame of a function of the user's that TensorFlow has called."""
    namespace: dict[str, Any] = {"sys": sys}
    exec(compile(f"def {inner}():\n    return sys._getframe()\n", file, "exec"), namespace)
    caller = f"def __call__(token):\n    return {inner}()\n"
    exec(compile(caller, CALLER, "exec"), namespace)
    found: FrameType = namespace["__call__"](token)
    return found


def looks() -> Looks:
    return Looks(lambda file: not file.startswith("/home/user"))


def test_a_function_has_the_time_since_the_last_look_and_its_line():
    seen, one = looks(), frame("augment")
    seen.take({1: one}, 3_000_000, taken=True)
    seen.take({1: one}, 1_000_000, taken=False)
    (found,) = seen.functions()
    assert found == TracedFunction("pyfunc_3", "augment", USERS, 1, 0.004, 0.003, call_seconds=0.004, lines=[(2, 1.0)])
    assert seen.ns == 4_000_000


def test_of_what_autograph_generated_the_users_function_is_named():
    def augment(number):
        return number

    generated = "/tmp/__autograph_generated_filex1.py"
    namespace: dict[str, Any] = {"sys": sys, "augment": augment}
    exec(compile("def inner_factory():\n    return sys._getframe()\n", generated, "exec"), namespace)
    call = "def converted_call(target_entity):\n    return inner_factory()\n"
    exec(compile(call, "/site-packages/tensorflow/python/autograph/impl/api.py", "exec"), namespace)
    exec(compile("def __call__(token):\n    return converted_call(augment)\n", CALLER, "exec"), namespace)
    seen = Looks(lambda file: file.startswith("/site-packages"))
    seen.take({1: namespace["__call__"]("pyfunc_3")}, 1_000, taken=False)
    (found,) = seen.functions()
    code = augment.__code__
    assert (found.file, found.line) == (code.co_filename, code.co_firstlineno)
    assert found.function.endswith("augment")


def test_a_function_inside_of_a_generated_one_has_the_users_names():
    code = (
        "def outer_factory():\n def inner_factory():\n  def tf__mapped(x):\n   return lambda: sys._getframe()\n"
        "  return tf__mapped\n return inner_factory()\n"
    )
    namespace: dict[str, Any] = {"sys": sys}
    exec(compile(code, "/tmp/__autograph_generated_filex1.py", "exec"), namespace)
    namespace["called"] = namespace["outer_factory"]()(1)
    exec(compile("def __call__(token):\n    return called()\n", CALLER, "exec"), namespace)
    seen = Looks(lambda file: file.startswith("/site-packages"))
    seen.take({1: namespace["__call__"]("pyfunc_3")}, 1_000, taken=False)
    assert seen.functions()[0].function == "<lambda>"


def test_a_comprehension_is_a_part_of_its_function():
    code = "def augment():\n    return [\n        sys._getframe() for _ in range(1)\n    ][0]\n"
    namespace: dict[str, Any] = {"sys": sys}
    exec(compile(code, USERS, "exec"), namespace)
    exec(compile("def __call__(token):\n    return augment()\n", CALLER, "exec"), namespace)
    seen = looks()
    seen.take({1: namespace["__call__"]("pyfunc_3")}, 1_000, taken=False)
    (found,) = seen.functions()
    assert found.function == "augment"


def test_tokens_may_be_bytes():
    seen = looks()
    seen.take({1: frame("augment", b"pyfunc_9")}, 1, taken=False)
    assert seen.functions()[0].token == "pyfunc_9"


def test_a_call_is_longer_than_the_function_by_what_tensorflow_converts():
    seen = looks()
    seen.take({1: frame("augment")}, 3_000_000, taken=True)
    seen.take({1: frame("convert", file="/site-packages/tensorflow/python/ops/numpy.py")}, 1_000_000, taken=True)
    (found,) = seen.functions()
    assert (found.function, found.seconds, found.call_seconds) == ("augment", 0.003, 0.004)


def test_python_that_tensorflow_did_not_call_is_not_the_pipelines():
    seen = looks()
    seen.take({1: sys._getframe()}, 1_000, taken=True)
    assert seen.functions() == []


def test_a_function_of_a_library_counts_where_no_users_frame_is_below_it():
    seen = looks()
    seen.take({1: frame("resize", file="/site-packages/library/image.py")}, 1_000, taken=False)
    assert seen.functions()[0].function == "resize"


def test_tensorflows_own_conversions_are_no_function():
    seen = looks()
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
