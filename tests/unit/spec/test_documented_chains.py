"""The chain and the whole spec in the documentation are ones that the language accepts."""

from __future__ import annotations

import re
from pathlib import Path

from pipeprof.pipelines.spec.load import load_spec

PAGE = Path(__file__).resolve().parents[3] / "docs" / "spec.md"


def test_the_documented_chain_is_accepted(tmp_path: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Chains\n")[2]
    found = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert found is not None
    stages = "".join(f"  {line}\n" for line in found[1].splitlines())
    source = (
        "source:\n  from_tensors:\n    tensors:\n      image: {array: {shape: [200, 200, 3]}}\n"
        "      mask: {array: {shape: [200, 200, 1]}}\n"
    )
    (tmp_path / "spec.yaml").write_text(f"version: 1\n{source}stages:\n{stages}", encoding="utf-8")
    loaded = load_spec(tmp_path / "spec.yaml")
    assert [placed.op for placed in loaded.spec.placed()] == ["from_tensors", "map"]


def test_the_documented_spec_is_accepted(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(version: 1\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (tmp_path / "spec.yaml").write_text(found[1], encoding="utf-8")
    assert load_spec(tmp_path / "spec.yaml").spec.stages
