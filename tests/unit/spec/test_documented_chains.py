"""The chain and the whole spec in the documentation are ones that the language accepts."""

from __future__ import annotations

import re
from pathlib import Path

from pipeprof.pipelines.spec.load import load_spec

PAGE = Path(__file__).resolve().parents[3] / "docs" / "spec.md"
SOURCE = "{from_tensors: {tensors: {image: {array: {shape: [200, 200, 3]}}, mask: {array: {shape: [200, 200, 1]}}}}}"


def test_what_is_documented_is_accepted(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    whole = re.search(r"```yaml\n(version: 1\n.*?)```", page, re.DOTALL)
    chain = re.search(r"```yaml\n(.*?)```", page.partition("\n## Chains\n")[2], re.DOTALL)
    assert whole is not None
    assert chain is not None
    for text in (whole[1], f"version: 1\nsource: {SOURCE}\nstages:\n{chain[1]}"):
        (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
        assert load_spec(tmp_path / "spec.yaml").spec.stages
