"""Names of stages in sentences."""

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.wording import LONGEST_NAME, stage_label, stage_labels, stage_name, with_name


def test_a_reason_has_the_name_of_its_stage() -> None:
    stages = [Stage(id="stages.0", origin="written", op="map", name="decode")]
    assert with_name("stages.0: it changes a variable", stages) == "decode: it changes a variable"
    assert with_name("stages.1: it changes a variable", stages) == "stages.1: it changes a variable"
    assert with_name("the data set ended", stages) == "the data set ended"


def test_stages_that_a_line_makes_in_a_loop_are_named_once() -> None:
    def stage(name: str, line: int) -> Stage:
        place = Location(file="t.py", line=line)
        return Stage(id=f"{name}{line}", name=name, op="map", origin="written", location=place)

    several = [stage("load", 37)] * 99 + [stage("read", 4)]
    assert stage_labels(several) == "load (map, t.py:37) ×99 and read (map, t.py:4)"
    many = stage_labels([stage("load", line) for line in range(20)])
    assert many.endswith("load (map, t.py:7) and 12 other stages")


def test_a_name_of_any_length_leaves_a_sentence_readable() -> None:
    long = Stage(id="stages.0", op="map", origin="written", name="x" * 10_000)
    assert stage_name(long) == f"{'x' * (LONGEST_NAME - 1)}…"
    assert stage_label(long) == f"{stage_name(long)} (map)"
    assert stage_name(long.model_copy(update={"name": "x" * LONGEST_NAME})) == "x" * LONGEST_NAME
