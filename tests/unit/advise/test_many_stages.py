"""Advice on a spec of more stages than Python may call in turn."""

from pipeprof.pipelines.check import check_spec
from pipeprof.profiles.advise.static import static_advice


def test_a_chain_may_be_longer_than_python_may_call_in_turn(tmp_path):
    batches = "  - batch: {batch_size: 1}\n" * 200 + "  - unbatch: {}\n" * 200
    path = tmp_path / "spec.yaml"
    path.write_text(f"version: 1\nsource: {{range: {{stop: 1000}}}}\nstages:\n{batches * 3}")
    advice = static_advice(check_spec(path), cores=2)
    assert advice.findings is not None
    assert advice.memory is not None
