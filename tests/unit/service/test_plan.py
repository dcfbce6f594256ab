"""What is said of a tf.data service before a run registers anything there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.check import check_spec
from pipeprof.profiles.service.plan import what_is_registered

SPEC = """
version: 1
source: {range: {stop: 8}}
stages:
  - distribute: {processing_mode: parallel_epochs, service: "h1:5000"}
"""


def test_a_spec_says_where_it_registers_how_many(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    said = what_is_registered(check_spec(path), path, tries=False)
    assert said == "a build of this pipeline registers 1 dataset with the tf.data service h1:5000 and starts 1 job"
    path.write_text(SPEC.partition("stages")[0])
    assert what_is_registered(check_spec(path), path, tries=True) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("from tensorflow.data.experimental import service\nd.apply(service.distribute('OFF', a))", "in 1 line:"),
        (
            "service = tf.data.experimental.service\nx = service.register_dataset(a, d)\nd.apply(service.distribute())",
            "in 2 lines:",
        ),
        ("strategy.experimental_distribute_dataset(d)\ndistribute(d)", None),
        ("tf.data.experimental.service.DispatchServer()", None),
    ],
)
def test_the_text_of_a_function_says_how_many(tmp_path: Path, text: str, number: str | None) -> None:
    path = tmp_path / "in.py"
    path.write_text(text)
    said = what_is_registered(None, path, tries=True)
    assert (number is None) == (said is None)
    if number is not None:
        assert number in (said or "")
        assert (said or "").endswith("so does each process that tries a change")
