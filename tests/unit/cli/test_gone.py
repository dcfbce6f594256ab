"""What went ends with a usage error that names what does the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.cli.exit_codes import USAGE
from pipeprof.cli.gone import command_gone, gone, option_gone
from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.profiles.advise.names import GONE, NEW_NAMES
from tests.unit.cli.reports import Pipeprof

Refused = Callable[..., str]


@pytest.fixture
def refused(pipeprof: Pipeprof) -> Refused:
    def call(*words: str) -> str:
        done = pipeprof(*words)
        assert done.code == USAGE, words
        return str(done.err)

    return call


def test_commands_formats_and_rules_that_are_gone_name_what_to_do_instead(refused: Refused) -> None:
    for name, instead in gone()["commands"].items():
        assert name not in COMMANDS
        assert instead in refused(name, "x.yaml")
    for name, instead in gone()["formats"].items():
        assert instead in refused("show", "a.json", "--format", name)
    for name, instead in {**GONE, **NEW_NAMES}.items():
        assert instead in refused("rules", name)
    assert "pipeprof run input.py:train" in refused("init", "--from", "input.py:train"), "a spec of a function"


@pytest.mark.parametrize("command", gone()["options"])
def test_an_option_that_is_gone_names_what_to_do_instead(command: str, refused: Refused) -> None:
    for option, instead in gone()["options"][command].items():
        commands = [command] if command else COMMANDS
        assert [name for name in commands for one in make_parser(name).params if option in one.opts] == []
        assert instead in refused(command or "run", "spec.yaml", option)


def test_a_misspelt_word_is_not_taken_for_one_that_is_gone() -> None:
    assert (command_gone("rum"), option_gone("run", "--no-such-option")) == (None, None)
