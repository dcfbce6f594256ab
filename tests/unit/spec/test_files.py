"""Specs of several files: what they extend, and what is laid over them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.compose.files import MAX_FILES
from pipeprof.pipelines.spec.errors.diagnostics import Diagnostic, SpecError
from pipeprof.pipelines.spec.loader import LoadedSpec, load_spec
from pipeprof.pipelines.spec.python_files import python_files
from pipeprof.pipelines.spec.yaml.nodes import MAX_VALUES
from pipeprof.pipelines.spec.yaml.reader import MAX_BYTES
from pipeprof.pipelines.spec.yaml.writer import flow

BASE = """\
version: 1
name: numbers
source:
  range: {stop: 1000}
stages:
  - shuffle: {buffer_size: 100, name: mix}
  - batch: {batch_size: 32}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files into the folder that the test runs in."""
    monkeypatch.chdir(tmp_path)

    def into(name: str, text: str | bytes = BASE) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return into


def refused(path: Path, **changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(path, **changes)
    return str(caught.value)


def origin(loaded: LoadedSpec, *address: str | int) -> str:
    return str(loaded.locate(address))


def test_the_last_word_has_the_command_line_then_overlays_then_the_file_then_what_it_extends(write: Write) -> None:
    write("base.yaml")
    write("middle.yaml", "extends: base.yaml\nname: middle\nmeasure: {seconds: 1, steps: 1, seed: 1}\n")
    spec = write("spec.yaml", "extends: middle.yaml\nmeasure: {seconds: 2, steps: 2}\ndescription: spec\n")
    write("one.yaml", "measure: {seconds: 3}\ndescription: one\noptions: {deterministic: true}\n")
    write("two.yaml", "measure:\n  seconds: 4\noptions: {deterministic: false}\n")
    loaded = load_spec(spec, ["measure.seconds=5"], overlays=["one.yaml", "two.yaml"])
    assert loaded.data["measure"] == {"seconds": 5, "steps": 2, "seed": 1}
    assert loaded.spec.measure.seconds == 5
    assert "extends" not in loaded.data
    assert loaded.data["name"] == "middle"
    assert loaded.data["description"] == "one"
    assert loaded.data["options"] == {"deterministic": False}
    assert loaded.data["stages"][1] == {"batch": {"batch_size": 32}}
    assert origin(loaded, "measure", "seconds") == "--set measure.seconds=5"
    assert origin(loaded, "measure", "steps") == "spec.yaml:2:30"
    assert origin(loaded, "measure", "seed") == "middle.yaml:3:39"
    assert origin(loaded, "options", "deterministic") == "two.yaml:3:26"
    assert origin(loaded, "description") == "one.yaml:2:14"
    assert origin(loaded, "stages", 0, "shuffle", "buffer_size") == "base.yaml:6:28"
    assert [(file.name, file.role) for file in loaded.files] == [
        ("spec.yaml", "spec"),
        ("middle.yaml", "extends"),
        ("base.yaml", "extends"),
        ("one.yaml", "overlay"),
        ("two.yaml", "overlay"),
    ]
    assert loaded.files[2].sha256 == hashlib.sha256(BASE.encode()).hexdigest()
    assert loaded.sha256 == hashlib.sha256(spec.read_bytes()).hexdigest()


def test_what_is_said_has_one_hash_however_it_is_written(write: Write) -> None:
    write("base.yaml")
    changed = load_spec(write("a.yaml", "extends: base.yaml\nmeasure: {seconds: 3, seed: 1}\n"))
    same = load_spec(Path("base.yaml"), ["measure.seed=1", "measure.seconds=3"])
    assert changed.data == same.data
    assert changed.resolved_sha256 == same.resolved_sha256
    assert changed.resolved_sha256 != load_spec(Path("base.yaml")).resolved_sha256
    assert same.sha256 == hashlib.sha256(BASE.encode()).hexdigest()


def test_errors_of_all_files_and_flags_come_at_once_by_file_and_place(write: Write) -> None:
    write("parts/base.yaml", BASE.replace("buffer_size", "bufer_size"))
    spec = write("spec.yaml", "extends: parts/base.yaml\nmeasure: {second: 3}\n")
    write("over.yaml", "step: {simulate: 5}\nname: 3\nstages:\n  - batch: {batch_size: 2, drop: true}\n")
    text = refused(spec, overlays=["over.yaml"], sets=["options.deterministic=7", "stages.bach.name=x"])
    places = [line.partition(": error[")[0] for line in text.splitlines() if ": error[" in line]
    assert places == [
        "spec.yaml:2:11",
        "parts/base.yaml:6:15",
        "over.yaml:1:18",
        "over.yaml:2:7",
        "over.yaml:4:28",
        "--set options.deterministic=7",
        "--set stages.bach.name=x",
    ]
    assert "    4 |   - batch: {batch_size: 2, drop: true}\n" in text
    assert "    6 |   - shuffle: {bufer_size: 100, name: mix}\n" in text


def test_a_mapping_that_an_overlay_spoils_is_shown_there(write: Write) -> None:
    write("f.py", "def f(x):\n    return x\n")
    spec = write("spec.yaml", BASE + "  - map: {name: f, ops: [tf.abs]}\n")
    write("over.yaml", 'stages:\n  - map: {name: f, map_func: {python: "f.py:f"}}\n')
    assert refused(spec, overlays=["over.yaml"]).startswith("over.yaml:2:20: error[function]: ")


@pytest.mark.parametrize(
    ("extends", "expected"),
    [
        ("bse.yaml", "spec.yaml:1:10: error[missing-file]: bse.yaml: no such file"),
        ("parts", "spec.yaml:1:10: error[missing-file]: parts is a folder: expected a YAML file"),
        ("3", "spec.yaml:1:10: error[wrong-type]: got 3, expected the path of a spec such as base.yaml"),
        ("[base.yaml]", "spec.yaml:1:10: error[wrong-type]: got a list of 1, expected the path of a spec"),
        ("''", "spec.yaml:1:10: error[wrong-type]: got '' (a string), expected the path of a spec"),
        ("spec.yaml", "spec.yaml:1:10: error[extends-cycle]: `extends` forms a cycle: spec.yaml → spec."),
        ("a.yaml", "parts/b.yaml:1:10: error[extends-cycle]: `extends` forms a cycle: a.yaml → b."),
        ("/dev/null", "spec.yaml:1:10: error[missing-file]: /dev/null: not a regular file"),
        ("broken.yaml", "broken.yaml:1:1: error["),
        ("list.yaml", "list.yaml:1:1: error[wrong-type]: got a list of 1, expected a mapping with the keys of a spec"),
        ("empty.yaml", "empty.yaml:1:1: error[empty]: empty file"),
        ("binary.yaml", "binary.yaml:1:1: error[encoding]: byte 0xff"),
        ("pipe.yaml", "spec.yaml:1:10: error[missing-file]: pipe.yaml: not a regular file"),
        ("~nobody-of-that-name/x.yaml", "spec.yaml:1:10: error[missing-file]: ~nobody"),
    ],
)
def test_what_cannot_be_extended(extends: str, expected: str, write: Write) -> None:
    write("base.yaml")
    write("a.yaml", "extends: parts/b.yaml\n")
    write("parts/b.yaml", "extends: ../a.yaml\n")
    write("broken.yaml", "]\n")
    write("list.yaml", "- 1\n")
    write("empty.yaml", "# nothing\n")
    write("binary.yaml", b"\xff\x00")
    os.mkfifo("pipe.yaml")
    spec = write("spec.yaml", f"extends: {extends}\n")
    assert expected in refused(spec)


def test_a_missing_file_is_no_reason_to_miss_other_errors(write: Write) -> None:
    write("over.yaml", "a: 1\na: 2\n")
    spec = write("spec.yaml", "extends: bas.yaml\n")
    write("base.yaml")
    text = refused(spec, overlays=["over.yaml", "ovr.yaml", "."], sets=["x"])
    assert [line for line in text.splitlines() if "error[" in line] == [
        "spec.yaml:1:10: error[missing-file]: bas.yaml: no such file",
        "over.yaml:2:1: error[duplicate-key]: duplicate key `a` (first at line 1)",
        "-f ovr.yaml: error[missing-file]: ovr.yaml: no such file",
        "-f .: error[missing-file]: . is a folder: expected a YAML file such as base.yaml, over.yaml, spec.yaml",
    ]
    with pytest.raises(UsageError, match="no such file"):
        load_spec(Path("nothing.yaml"), overlays=["over.yaml"])


def test_nothing_is_extended_by_nothing(write: Write) -> None:
    assert load_spec(write("spec.yaml", BASE + "extends:\n")).data["name"] == "numbers"


def test_a_variant_may_be_laid_over_what_it_extends(write: Write) -> None:
    write("spec.yaml")
    write("variant.yaml", "extends: spec.yaml\nstages:\n  batch: {batch_size: 8}\n")
    over = load_spec(Path("spec.yaml"), overlays=["variant.yaml"])
    assert over.data == load_spec(Path("variant.yaml")).data
    assert len(over.data["stages"]) == 2


def test_limits_hold_for_the_sum_of_the_files(write: Write) -> None:
    write("base.yaml", BASE + "# " + "x" * (MAX_BYTES - len(BASE) - 20) + "\n")
    spec = write("spec.yaml", "extends: base.yaml\n# and some more\n")
    assert "spec.yaml:1:10: error[too-large]: more than 1 MiB in all files" in refused(spec)
    write("base.yaml", BASE + "x-many: [" + "1," * (MAX_VALUES // 2) + "]\n")
    write("over.yaml", "x-more: [" + "1," * (MAX_VALUES // 2) + "]\n")
    assert load_spec(Path("base.yaml")).data["x-many"][0] == 1
    assert f"more than {MAX_VALUES} values in all files" in refused(Path("base.yaml"), overlays=["over.yaml"])
    for number in range(MAX_FILES + 1):
        write(f"{number}.yaml", f"extends: {number + 1}.yaml\n")
    write(f"{MAX_FILES + 1}.yaml")
    assert f"more than {MAX_FILES} files in all files" in refused(Path("0.yaml"))
    assert load_spec(Path("2.yaml")).data["name"] == "numbers"


def test_relative_paths_are_those_of_the_file_they_are_written_in(write: Write) -> None:
    write("base/rows.csv", "1\n")
    write("base/more/a[1].csv", "1\n")
    write("base/f.py", "def f(x):\n    return x\n\ndef step(x):\n    return x\n")
    write("over/rows.csv", "1\n")
    write(
        "base/base.yaml",
        "version: 1\nsource:\n  TextLineDataset: {filenames: [rows.csv, ./more/a*.csv, ../over/rows.csv]}\n"
        'stages:\n  - map: {python: "f.py:f", name: f}\nstep: "python:f.py:step"\n',
    )
    spec = write("main/spec.yaml", "extends: ../base/base.yaml\n")
    write("over/over.yaml", "stages:\n  - cache: {filename: made/cache}\n")
    loaded = load_spec(spec, ["stages.+={cache: {filename: flag}}"], overlays=["over/over.yaml"])
    files = loaded.data["source"]["TextLineDataset"]["filenames"]
    assert files == ["../base/rows.csv", "../base/more/a*.csv", "../over/rows.csv"]
    assert loaded.data["stages"] == [
        {"map": {"python": "../base/f.py:f", "name": "f"}},
        {"cache": {"filename": "../over/made/cache"}},
        {"cache": {"filename": "flag"}},
    ]
    assert loaded.data["step"] == "python:../base/f.py:step"
    assert str(loaded.spec.step.python) == "../base/f.py:step"
    assert all((loaded.base_dir / name).exists() for name in (files[0], files[2], "../base/f.py"))
    assert origin(loaded, "source", "TextLineDataset", "filenames", 0) == "base/base.yaml:3:33"


def test_paths_inside_functions_are_found_too(write: Write) -> None:
    write("base/v.txt", "a\n")
    write("base/f.py", "def f(x):\n    return x\n")
    write(
        "base/base.yaml",
        """\
version: 1
source: {from_tensor_slices: {tensors: {lines: v.txt}}}
stages:
  - map:
      ops:
        - tf.lookup.StaticVocabularyTable: {filename: v.txt, num_oov_buckets: 1}
        - tf.keras.layers.StringLookup: {vocabulary: {lines: v.txt}}
        - python: {function: "f.py:f"}
        - tf.numpy_function: {func: "f.py:f", Tout: int64}
  - apply: {python: "f.py:f"}
""",
    )
    loaded = load_spec(write("main/spec.yaml", "extends: ../base/base.yaml\n"))
    texts = str(loaded.data)
    assert texts.count("../base/v.txt") == texts.count("v.txt") == 3
    assert texts.count("../base/f.py:f") == texts.count("f.py:f") == 3
    assert [path.name for path in python_files(loaded)] == ["f.py"] * 3


def test_a_missing_path_is_said_as_it_is_written(write: Write) -> None:
    write("base/rows.csv", "1\n")
    write("base/base.yaml", "version: 1\nsource:\n  TextLineDataset: {filenames: row.csv}\n")
    spec = write("main/spec.yaml", "extends: ../base/base.yaml\n")
    text = refused(spec)
    assert text.startswith("base/base.yaml:3:32: error[missing-file]: row.csv: no such file in ")
    assert "/base\n" in text
    assert "help: did you mean rows.csv?" in text


def test_paths_hold_through_links_and_names_with_wildcards(write: Write) -> None:
    write("real/deep/spec.yaml", "extends: ../../ba[s]e/base.yaml\n")
    write("real/ba[s]e/x", "")
    write("ba[s]e/rows.csv", "1\n")
    write("ba[s]e/base.yaml", "version: 1\nsource:\n  TextLineDataset: {filenames: [rows.csv, r*.csv]}\n")
    Path("link").symlink_to("real/deep")
    for spec in ("real/deep/spec.yaml", "link/spec.yaml"):
        loaded = load_spec(Path(spec))
        assert loaded.data["source"]["TextLineDataset"]["filenames"] == [
            "../../ba[s]e/rows.csv",
            "../../ba[[]s]e/r*.csv",
        ]


def test_paths_that_are_not_relative_stay(write: Write) -> None:
    rows = write("base/rows.csv", "1\n").absolute()
    write(
        "base/base.yaml",
        "version: 1\ndata: {p: {image_folder: {count: 3, size: [8, 8], classes: 1, format: jpeg}}}\nsource:\n"
        f'  TextLineDataset: {{filenames: ["{rows}", "gs://a/b", "data:p/*/*"]}}\n',
    )
    loaded = load_spec(write("spec.yaml", "extends: base/base.yaml\n"))
    assert loaded.data["source"]["TextLineDataset"]["filenames"] == [str(rows), "gs://a/b", "data:p/*/*"]


@settings(
    max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(content=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode)), role=st.booleans())
def test_any_bytes_are_merged_or_refused(content: bytes, role: bool, write: Write) -> None:
    write("good.yaml", BASE + ("extends: any.yaml\n" if role else ""))
    write("any.yaml", content)
    with contextlib.suppress(SpecError):
        assert load_spec(Path("good.yaml"), overlays=[] if role else ["any.yaml"]).data["version"] == 1


FRAGMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["mix", "a", "${A}", "base.yaml"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "stages",
                    "source",
                    "range",
                    "batch",
                    "shuffle",
                    "name",
                    "map",
                    "ops",
                    "step",
                    "measure",
                    "data",
                    "x-a",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    overlay=st.dictionaries(st.sampled_from(["stages", "source", "step", "measure", "name", "data"]), FRAGMENTS),
    flag=st.sampled_from(
        ["stages", "stages.0", "stages.mix.name", "source", "stages.+1", "stages.mix", "step", "x-a.b+"]
    ),
    value=FRAGMENTS,
)
def test_any_overlay_and_flag_are_merged_or_refused_with_places(
    overlay: dict[str, Any], flag: str, value: Any, write: Write
) -> None:
    write("good.yaml")
    write("any.yaml", flow(overlay))
    problems: list[Diagnostic] = []
    try:
        load_spec(Path("good.yaml"), [f"{flag}={flow(value)}"], overlays=["any.yaml"], environment={"A": "1"})
    except SpecError as error:
        problems = error.diagnostics
    assert all(found.flag or found.line for found in problems)
