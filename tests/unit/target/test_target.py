"""Targets: specs, functions and scripts, found without importing anything."""

import ast
import sys
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.modules import find_module, top_folder
from pipeprof.pipelines.target.names_in_file import functions_in, missing_name, names_of
from pipeprof.pipelines.target.target import ParsedTarget, filled_call, listed_file, parse_target, split_reference

SOURCE = """
raise RuntimeError("not to be run")
import never_installed
from other import imported as known_as
CONSTANT = 3
made = make()
first, second = pair()
from_table: object = TABLE["train"]
try:
    import missing
except ImportError:
    def fallback(): ...
with device:
    for name in names:
        def within(): ...
if __name__ == "__main__":
    def script(): ...
else:
    def imported(): ...
def helper(x): return x
def train_data(split: str, n=3) -> "tf.data.Dataset": ...
def eval_data(): return tf.keras.utils.image_dataset_from_directory("x")
def numbers() -> int: return tf.data.Dataset.range(3)
def train(): tf.data.Dataset.range(3)
async def later(): ...
class Plain:
    ATTRIBUTE = later
    @staticmethod
    def static(): ...
    @property
    def train(self): ...
class Derived(tf.data.Dataset): ...
plain = Plain()
"""
MAY_BE = (
    "known_as made first second from_table fallback within imported later Plain.static Plain.ATTRIBUTE Derived "
    "Derived.anything plain.train Plain.Inner.method"
)
IS_NONE = "CONSTANT never_installed script Plain Plain.train Plain.stat nothing nothing.f f()"
ELIF = "if y == 0:\n    pass\n" + "".join(f"elif y == {n}:\n    pass\n" for n in range(20_000))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.yaml").write_text("version: 1\n")
    (tmp_path / "flowers.py").write_text(SOURCE)
    (tmp_path / "garden" / "beds").mkdir(parents=True)
    (tmp_path / "garden" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "garden" / "beds" / "roses.py").write_text("from ..tools import water\ndef data(): ...\n")
    (tmp_path / "pipe.py").symlink_to("/dev/null")
    (tmp_path / "broken.py").symlink_to("nowhere.py")
    return tmp_path


def test_specs_functions_and_scripts(folder):
    assert parse_target("flowers.yaml") == ParsedTarget("spec", Path("flowers.yaml"))
    assert parse_target("-").kind == "spec"
    assert parse_target("flowers.py", scripts=True) == ParsedTarget("script", Path("flowers.py"))
    target, module = parse_target(f"{folder}/flowers.py:train_data"), parse_target("garden.beds.roses:data")
    assert target == ParsedTarget("function", folder / "flowers.py", "train_data")
    assert (module.path, module.module) == (folder / "garden/beds/roses.py", "garden.beds.roses")
    assert (str(target), str(module)) == (f"{folder}/flowers.py:train_data", "garden.beds.roses:data")
    assert "garden" not in sys.modules
    assert find_module("json.decoder").name == "decoder.py"
    assert top_folder("garden.beds.roses", module.path) == (folder / "garden").resolve()


@pytest.mark.parametrize("name", MAY_BE.split())
def test_what_may_be_a_function_is_one_until_the_file_has_run(name):
    assert parse_target(f"flowers.py:{name}").function == name


@pytest.mark.parametrize("name", IS_NONE.split())
def test_what_is_none_is_told_in_one_line_with_what_there_is(name):
    with pytest.raises(UsageError, match=r"^no function '[^\n]*' in flowers\.py[^\n]*, which defines [^\n]+$"):
        parse_target(f"flowers.py:{name}")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("flower.yaml", "flowers.yaml?"), ("flower.py:train_data", "flowers.py?"), ("flowers", "flowers.py?"),
        ("flowers.py", "flowers.py:train_data?"), ("flowers.py:train_dat", "train_data?"),
        ("flowers.py:Plain.stati", "Plain.static?"), ("garden.beds.rose:data", "roses?"),
        ("flowers.py::train_data", "flowers.py:train_data?"), ("flowers.train_data", "flowers.py:train_data?"),
        ("./flowers:train_data", "./flowers.py:train_data?"),
        *((text, "") for text in ("", "a.yaml:f", "a.ipynb:f", ".", "pipe.py:f", "garden/beds.py:f", "broken.py:f")),
        *((text, "") for text in (f"{'a' * 999}.py:f", "a\0.py:f", "garden.beds:f", "sys:exit", "a.b.c:f")),
    ],
)  # fmt: skip
def test_what_is_no_target_is_told_in_one_line(text, end):
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert str(caught.value).endswith(end)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", ["def f(:", "a = 'é", "x = 1\0", "-" * 100_000 + "1", "not " * 100_000 + "1", ELIF])
def test_a_file_that_is_no_python_is_named(code):
    Path("odd.py").write_text(f"{code}\n")
    with pytest.raises(UsageError, match=r"^odd\.py:[^\n]*$"):
        parse_target("odd.py:f")
    Path("odd.py").write_bytes(b"# coding: latin-1\nx = '\xe9'\ndef f(): ...\n")
    assert parse_target("odd.py:f").function == "f"


@pytest.mark.parametrize(
    "text",
    [
        "from other import *", "for n in 'ab':\n    globals()['train_' + n] = make(n)", "def __getattr__(name): ...",
        "import sys\nsetattr(sys.modules[__name__], 'train_a', make())", "exec(SOURCE)",
    ],
)  # fmt: skip
def test_a_name_that_only_running_the_file_binds_is_left_for_then(text):
    Path("open.py").write_text(f"{text}\n")
    assert parse_target("open.py:train_a").function == "train_a"
    assert missing_name(Path("open.py"), "THING.parse", "open.py") is None
    with pytest.raises(UsageError, match="no function"):
        parse_target("open.py:train_a()")


def test_functions_that_return_datasets_are_likely(folder):
    assert [one.name for one in functions_in(folder / "flowers.py") if one.likely] == ["train_data", "eval_data"]
    listed = [listed_file(text) for text in ("flowers.py:", "flowers.yaml", "json:", "flowers")]
    assert [*listed, listed_file("flowers.py", scripts=True)] == [
        Path("flowers.py"), None, find_module("json"), None, None,
    ]  # fmt: skip
    names = names_of(ast.parse("def f(): ...\nif x:\n    f = g\nelse:\n    def f(): ...\n"))
    assert names["f"].lineno == 5  # type: ignore[attr-defined]  # where it is bound at last


REFERENCES = {
    "../a b/steps.py:Rows.parse": ("../a b/steps.py", "Rows.parse", ""),
    "steps.py:make(224, mode='a:b')": ("steps.py", "make", "(224, mode='a:b')"),
    **dict.fromkeys(("steps:train", "steps.py:1a", "steps.py:a.")),
}


def test_a_reference_is_split():
    assert {text: split_reference(text) for text in REFERENCES} == REFERENCES


@pytest.mark.parametrize("text", ["(size)", "(b())", "(**{})", "(1)(2)", "(1, ...)", "() or b()", "(1"])
def test_arguments_of_references_are_literals(text):
    with pytest.raises(ValueError, match=r".*"):
        filled_call(text)


def test_arguments_of_references_have_values():
    assert filled_call("(1, b=[2])") == (False, (1,), {"b": [2]})
    assert filled_call("(..., 1)") == (True, (1,), {})
