"""The measured constants: each has its unit and its source, and what measures it again exists."""

import ast
import re
from pathlib import Path

from pipeprof.profiles import constants

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TEXT = Path(constants.__file__).read_text(encoding="utf-8")


def test_every_number_is_followed_by_its_unit_and_its_source() -> None:
    _, *rows = ast.parse(TEXT).body
    names = [one.targets[0].id for one in rows[::2] if isinstance(one, ast.Assign)]
    sources = [ast.literal_eval(one.value) for one in rows[1::2] if isinstance(one, ast.Expr)]
    assert names == [name for name, value in vars(constants).items() if isinstance(value, int | float)]
    assert len(sources) == len(names)
    assert all(re.fullmatch(r"[^:]+: .+\.\s.+\.", one, re.DOTALL) for one in sources)


def test_what_measures_a_number_again_exists() -> None:
    files = re.findall(r"\((\w+/\w+\.py)\)", TEXT)
    assert files
    assert all((BENCHMARKS / file).exists() for file in files)
