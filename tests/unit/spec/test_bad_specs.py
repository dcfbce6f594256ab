"""Where `pipeprof check` finds fault with each of the bad specs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from unit.spec.bad_specs import BAD_SPECS, FOLDER, THEMES

from pipeprof.cli.main import invoke

FOREIGN_WORDS = ("pydantic", "jsonschema", "Traceback")


def test_none_is_lost() -> None:
    numbers = {name[:3] for name in BAD_SPECS}
    assert len(numbers) == sum(len(theme) for theme in THEMES.values()) >= 310
    assert {path.stem for path in FOLDER.glob("*.yaml")} <= set(BAD_SPECS)


@pytest.mark.parametrize("theme", THEMES)
def test_bad_specs(
    theme: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[str, str], None],
) -> None:
    texts = []
    for bad in THEMES[theme]:
        with monkeypatch.context() as patch:
            words = bad.enter(tmp_path, patch)
            code = invoke(["check", "--no-build", f"{bad.name}.yaml", *words])
        printed = capsys.readouterr()
        # What only TensorFlow can refuse has no places.
        assert code == (2 if bad.places else 0), bad.name
        assert not any(word in printed.out for word in FOREIGN_WORDS), printed.out
        texts.append(bad.as_text(printed.out if code else ""))
        if code:
            assert not printed.err, bad.name
            faults = printed.out.count(": error[")
            assert faults <= printed.out.count("\n") <= 3 * faults + 2, printed.out
    golden(f"bad_specs/{theme}.txt", "".join(texts))
