"""What is said of a tf.data service before a run registers anything there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.service.service import what_is_registered

SPEC = """
version: 1
source: {range: {stop: 8}}
stages:
  - distribute: {processing_mode: parallel_epochs, service: "h1:5000"}
"""
OWN = """
version: 1
source: {range: {stop: 8}}
stages:
  - apply: {python: "in.py:share"}
"""
SERVICE = "service = tf.data.experimental.service\n"


def test_a_spec_says_where_it_registers_how_many(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    said = what_is_registered(load_spec(path), path)
    assert said == "a build of this pipeline registers 1 dataset with the tf.data service h1:5000 and starts 1 job"
    path.write_text(SPEC.partition("stages")[0])
    assert what_is_registered(load_spec(path), path, again="and again") is None
    path.write_text(SPEC.replace("h1:5000", "local"))
    assert what_is_registered(load_spec(path), path) is None


def test_the_python_of_a_spec_counts(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(OWN)
    (tmp_path / "in.py").write_text(
        f"{SERVICE}def share(d):\n    return d.apply(service.distribute('OFF', 'h1:5000'))\n"
    )
    said = what_is_registered(load_spec(path), path)
    assert said is not None
    assert said.startswith("in.py has calls that register 1 dataset with a tf.data service and start 1 job there")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (
            "from tensorflow.data.experimental import service\nd.apply(service.distribute('OFF', a))",
            ("1 dataset", "1 job"),
        ),
        (f"{SERVICE}x = service.register_dataset(a, d)\nd.apply(service.distribute())", ("2 datasets", "1 job")),
        (f"{SERVICE}service.from_dataset_id('OFF', a, 'id')", ("no datasets", "1 job")),
        ("strategy.experimental_distribute_dataset(d)\ndistribute(d)", None),
        ("tf.data.experimental.service.DispatchServer()", None),
    ],
)
def test_the_text_of_a_function_says_how_many(tmp_path: Path, text: str, numbers: tuple[str, str] | None) -> None:
    path = tmp_path / "in.py"
    path.write_text(text)
    said = what_is_registered(None, path, again="so does each process that tries a change")
    assert (numbers is None) == (said is None)
    for number in numbers or ():
        assert number in (said or "")
    assert said is None or said.endswith("; so does each process that tries a change")
