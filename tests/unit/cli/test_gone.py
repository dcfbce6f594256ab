"""What went ends with a usage error that names what does the same."""

from __future__ import annotations

import pytest

from pipeprof.cli.exit_codes import USAGE
from pipeprof.cli.gone import command_gone, gone, option_gone
from pipeprof.cli.main import invoke
from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.profiles.advise.names import GONE, NEW_NAMES


@pytest.mark.parametrize("name", gone()["commands"])
def test_a_command_that_is_gone_names_what_to_do_instead(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name not in COMMANDS
    assert invoke([name, "x.yaml"]) == USAGE
    assert gone()["commands"][name] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "option"), [(name, one) for name, options in gone()["options"].items() for one in options]
)
def test_an_option_that_is_gone_names_what_to_do_instead(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = [
        name for name in ([command] if command else COMMANDS) for one in make_parser(name).params if option in one.opts
    ]
    assert taken == [], "the command has it"
    assert invoke([command or "run", "spec.yaml", option]) == USAGE
    assert gone()["options"][command][option] in capsys.readouterr().err


@pytest.mark.parametrize("name", gone()["formats"])
def test_a_format_that_is_gone_names_what_to_do_instead(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["show", "a.json", "--format", name]) == USAGE
    assert gone()["formats"][name] in capsys.readouterr().err


def test_a_spec_of_a_function_is_refused_with_the_command_that_takes_the_function(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert invoke(["init", "--from", "input.py:train"]) == USAGE
    assert "pipeprof run input.py:train" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*GONE, *NEW_NAMES])
def test_a_rule_of_before_says_what_is_in_its_place(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["rules", name]) == USAGE
    assert {**GONE, **NEW_NAMES}[name] in capsys.readouterr().err


def test_a_misspelt_word_is_not_taken_for_one_that_is_gone() -> None:
    assert command_gone("rum") is None
    assert option_gone("run", "--no-such-option") is None
