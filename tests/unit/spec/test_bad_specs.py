"""What `pipeprof check` prints of each of the bad specs, and that it says where the fault is and what to do."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.spec.bad_specs import BAD_SPECS, BUILT, FOLDER, THEMES, BadSpec

from pipeprof.cli.main import invoke
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.spec.errors.diagnostics import SpecError

SELF_EVIDENT = ("alias-bomb", "duplicate-key", "duplicate-name", "encoding", "missing-file", "missing-key", "too-deep")
WITHOUT_A_LINE = ("004-empty", "040-only-a-comment", "048-utf-16")
FOREIGN_WORDS = ("pydantic", "http", "Extra inputs", "Input should", "Field required", "function-plain", "Traceback")


def complaint(bad: BadSpec, folder: Path, patch: pytest.MonkeyPatch) -> SpecError:
    words = bad.enter(folder, patch)
    sets = [value for flag, value in itertools.pairwise(words) if flag == "--set"]
    environment = os.environ if "--env" in words else None
    with pytest.raises(SpecError) as caught:
        check_spec(Path(f"{bad.name}.yaml"), sets, environment=environment)
    return caught.value


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
        if code == 0:
            texts.append(bad.as_text(BUILT))
            continue
        assert code == 2, bad.name
        text, last, _ = printed.out.replace(str(tmp_path), "FOLDER").rsplit("\n", 2)
        texts.append(bad.as_text(f"{text}\n"))
        assert not printed.err, bad.name
        assert re.fullmatch(r"Found \d+ errors?( in \S+)?\.", last), bad.name
    golden(f"bad_specs/{theme}.txt", "".join(texts))


def test_every_complaint_is_complete(tmp_path: Path) -> None:
    for name, bad in BAD_SPECS.items():
        if bad.prints == BUILT:
            continue
        with pytest.MonkeyPatch.context() as patch:
            diagnostics = complaint(bad, tmp_path, patch).diagnostics
        for diagnostic in diagnostics:
            where = (name, diagnostic)
            assert not diagnostic.message.startswith("expected "), where
            says_what_to_do = "expected " in diagnostic.message or ": " in diagnostic.message or diagnostic.suggestion
            assert says_what_to_do or diagnostic.code in SELF_EVIDENT, where
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", diagnostic.code), where
            assert diagnostic.flag is not None or diagnostic.line is not None or name in WITHOUT_A_LINE, where
            assert not any(word in diagnostic.message for word in FOREIGN_WORDS), where
        places = [(d.flag is not None, d.order, d.line or 0, d.column or 0) for d in diagnostics]
        assert places == sorted(places), name
