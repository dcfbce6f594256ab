"""Where TensorFlow refuses the bad specs whose text is right, and that none of them is built."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.spec.bad_specs import BAD_SPECS

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.harness.look import Looker


def test_each_is_refused_at_its_line(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    said = []
    with Looker() as looker:
        for bad in (one for one in BAD_SPECS.values() if not one.places):
            with pytest.MonkeyPatch.context() as patch:
                words = bad.enter(tmp_path, patch)
                sets = [value for flag, value in itertools.pairwise(words) if flag == "--set"]
                loaded = load_spec(Path(f"{bad.name}.yaml"), sets, environment=os.environ if "--env" in words else None)
                with pytest.raises(PipeprofError) as caught:
                    looker.look_at(ParsedTarget("spec", loaded.path), loaded)
            assert isinstance(caught.value, SpecError), (bad.name, caught.value)
            (fault,) = caught.value.diagnostics
            assert fault.render([]).count("\n") <= 1, bad.name
            said.append(f"{bad.name}: {fault.flag or fault.line}\n")
    golden("built/bad_specs.txt", "".join(said))
