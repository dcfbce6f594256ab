"""Advice on a spec of many stages takes work in proportion to their number, counted in calls of functions."""

import sys

import pytest

from pipeprof.pipelines.check import check_spec
from pipeprof.profiles.advise.rules.correctness.cache_after_augment import CacheAfterAugment
from pipeprof.profiles.advise.static import static_advice
from pipeprof.profiles.view.from_spec import view_of_spec

STAGES = {
    "map": "map: {ops: [{tf.math.add: {y: 1}}]}",
    "shuffle": "shuffle: {buffer_size: 10}",
    "cache": "cache: {}",
    "prefetch": "prefetch: {buffer_size: 2}",
    "take": "take: {count: 100}",
    "filter": "filter: {ops: [{tf.math.greater: {y: 3}}]}",
}
LIMIT = 8 << 30


def chain(op, count):
    stages = "".join(f"  - {STAGES[op]}\n" for _ in range(count))
    return f"version: 1\nsource: {{range: {{stop: 1000}}}}\nstages:\n{stages}"


def zipped(count):
    inner = "    - {source: {range: {stop: 10}}, stages: [{map: {ops: [{tf.math.add: {y: 1}}]}}]}\n"
    return f"version: 1\nsource:\n  zip:\n    datasets:\n{inner * count}stages: []\n"


def calls(path, text):
    """How many functions are called to advise on a spec, of this project and of Python itself."""
    path.write_text(text)
    loaded = check_spec(path)
    count = 0

    def seen(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        advice = static_advice(loaded, cores=2, memory_limit_bytes=LIMIT, what_if=True)
    finally:
        sys.setprofile(None)
    assert advice.findings is not None
    assert advice.memory is not None
    return count


@pytest.mark.parametrize("op", [*STAGES, "zip"])
def test_work_grows_with_the_number_of_stages_and_no_faster(op, tmp_path):
    text = zipped if op == "zip" else lambda count: chain(op, count)
    calls(tmp_path / "spec.yaml", text(2))  # what is imported at the first use
    some, twice = calls(tmp_path / "spec.yaml", text(60)), calls(tmp_path / "spec.yaml", text(120))
    assert twice < 2.2 * some


def test_shuffles_and_caches_in_turn_take_work_of_a_chain_of_either(tmp_path):
    both = "".join(f"  - {STAGES[op]}\n" for _ in range(60) for op in ("shuffle", "cache"))
    start = "version: 1\nsource: {range: {stop: 1000}}\nstages:\n"
    calls(tmp_path / "spec.yaml", start + both)
    alike = calls(tmp_path / "spec.yaml", chain("cache", 120)) + calls(tmp_path / "spec.yaml", chain("shuffle", 120))
    assert calls(tmp_path / "spec.yaml", start + both) < 4 * alike


def test_a_chain_may_be_longer_than_python_may_call_in_turn(tmp_path):
    batches = "  - batch: {batch_size: 1}\n" * 200 + "  - unbatch: {}\n" * 200
    path = tmp_path / "spec.yaml"
    path.write_text(f"version: 1\nsource: {{range: {{stop: 1000}}}}\nstages:\n{batches * 3}")
    advice = static_advice(check_spec(path), cores=2)
    assert advice.findings is not None
    assert advice.memory is not None


def test_every_one_of_many_stages_has_its_line(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(chain("cache", 3))
    loaded = check_spec(path)
    assert [loaded.locate(address).line for address in ("source", "stages.0", "stages.2")] == [2, 4, 6]


def rule_calls(path, count):
    """How many functions are called to apply the rule to random maps and caches in turn."""
    pair = "  - map: {ops: [{tf.random.uniform: {shape: [2]}}]}\n  - cache: {}\n"
    path.write_text(f"version: 1\nsource: {{range: {{stop: 1000}}}}\nstages:\n{pair * count}")
    view = view_of_spec(check_spec(path), cores=2, memory_limit_bytes=LIMIT)
    found = 0

    def seen(_frame, event, _argument):
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        hits = list(CacheAfterAugment().check(view))
    finally:
        sys.setprofile(None)
    assert len(hits) == count
    return found


def test_random_maps_and_caches_in_turn_take_work_in_proportion(tmp_path):
    path = tmp_path / "spec.yaml"
    assert rule_calls(path, 120) < 2.2 * rule_calls(path, 60)
