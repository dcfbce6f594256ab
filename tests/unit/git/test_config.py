"""The configuration that git runs with: nothing of a checkout's names a command."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.git.config import (
    ConfigEntry,
    UserFilter,
    fixed_config,
    is_partial,
    known_filters,
    parse_list,
    parse_list_with_origins,
    remotes_of,
    safe_directories,
)

CHECKOUT = Path("/srv/work")


def entries(**values: str) -> list[ConfigEntry]:
    return [ConfigEntry(key.replace("__", "."), value) for key, value in values.items()]


def test_a_list_is_read_with_values_of_several_lines_and_keys_without_one():
    assert parse_list(b"core.bare\0alias.x\n!a\nb\0") == [
        ConfigEntry("core.bare", None),
        ConfigEntry("alias.x", "!a\nb"),
    ]
    listed = b"file:/home/u/.gitconfig\0filter.lfs.clean\ngit-lfs clean\0"
    found = [ConfigEntry("filter.lfs.clean", "git-lfs clean", "/home/u/.gitconfig")]
    assert parse_list_with_origins(listed) == found


@pytest.mark.parametrize(
    "key",
    [
        "core.fsmonitor",
        "core.hookspath",
        "core.sshcommand",
        "core.pager",
        "core.editor",
        "core.worktree",
        "core.attributesfile",
        "core.alternaterefscommand",
        "include.path",
        "includeif.gitdir:/.path",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "alias.status",
        "diff.external",
        "diff.x.textconv",
        "merge.x.driver",
        "remote.origin.url",
        "remote.origin.uploadpack",
        "extensions.worktreeconfig",
        "extensions.partialclone",
        "uploadpack.packobjectshook",
        "credential.helper",
        "gpg.program",
        "trace2.eventtarget",
    ],
)
def test_of_a_repository_nothing_is_taken_that_names_a_command_or_a_place(key: str):
    assert fixed_config([ConfigEntry(key, "/evil")], []) == fixed_config([], [])


def test_what_says_how_contents_and_refs_are_written_is_taken():
    text = fixed_config(
        entries(core__autocrlf="input", extensions__objectformat="sha256", branch__main__merge="refs/heads/main"), []
    )
    assert 'autocrlf = "input"' in text
    assert 'objectformat = "sha256"' in text
    assert 'repositoryformatversion = "1"' in text
    assert '[branch "main"]' in text


@pytest.mark.parametrize(("path", "taken"), [("/home/u/attributes", True), ("/srv/work/a", False), ("a", False)])
def test_the_users_file_of_attributes_is_taken_if_it_is_none_of_the_checkout(path: str, taken: bool):
    text = fixed_config([], entries(core__attributesfile=path), [CHECKOUT])
    assert (f'attributesfile = "{path}"' in text) is taken


def test_the_repository_is_asked_before_the_user():
    text = fixed_config(entries(core__autocrlf="input"), entries(core__autocrlf="true"))
    assert text.index('autocrlf = "true"') < text.index('autocrlf = "input"')


@pytest.mark.parametrize(("key", "value"), [("core.eol", "/evil"), ("extensions.refstorage", "evil")])
def test_values_that_are_none_of_the_known_ones_are_left_out(key: str, value: str):
    assert "evil" not in fixed_config([ConfigEntry(key, value)], [])


def test_git_gets_no_filter():
    user = entries(filter__x__clean="upper", filter__lfs__process="git-lfs filter-process")
    assert "filter" not in fixed_config([], user)


def test_the_users_filters():
    user = [
        *entries(filter__x__clean="upper", filter__x__smudge="lower %f", filter__x__required="true"),
        ConfigEntry("filter.p.process", "many"),
        ConfigEntry("filter.p.required", None),
    ]
    assert known_filters([], user, [CHECKOUT]) == {
        "x": UserFilter("upper", "lower %f"),
        "p": UserFilter(None, None, "many"),
    }


@pytest.mark.parametrize("command", ["/srv/work/tools/upper", "sh -c 'cd /srv/work; make'", "x --with=/srv/work/x"])
def test_a_filter_that_names_a_path_of_the_checkout_is_refused_as_a_whole(command: str):
    user = entries(filter__x__clean="upper", filter__x__smudge=command, filter__y__clean="upper")
    found = known_filters([], user, [CHECKOUT])
    assert found["x"].refused == "names a path of a checkout"
    assert found["y"].refused is None


def test_a_file_of_the_checkout_that_the_user_includes_names_no_filter():
    names = {"filter.x.smudge": "upper", "filter.y.clean": "upper"}
    user = [ConfigEntry(key, value, "/srv/work/git.cfg") for key, value in names.items()]
    assert known_filters([], user, [CHECKOUT]) == {"x": UserFilter(refused="comes from a checkout")}


def test_a_filter_of_the_repository_is_refused_unless_the_user_has_one_of_that_name():
    repository = entries(filter__x__smudge="evil", filter__y__smudge="evil")
    found = known_filters(repository, entries(filter__y__smudge="own"), [CHECKOUT])
    assert found == {"x": UserFilter(refused="is not one of your own configuration"), "y": UserFilter(None, "own")}


def test_an_empty_value_forgets_the_folders_that_were_trusted():
    values = [ConfigEntry("safe.directory", text) for text in ("/a", "", "/b")]
    assert safe_directories(values) == {"/b"}


def test_remotes_and_partial_clones():
    found = entries(remote__up__fetch="+refs", remote__up__url="x", remote__origin__fetch="+refs")
    assert remotes_of(found) == ["up", "origin"]
    assert not is_partial(found)
    assert is_partial(entries(remote__origin__promisor="true"))


NAMES = st.text(st.characters(blacklist_characters="\0\n", blacklist_categories=("Cs",)), min_size=1, max_size=12)


@given(NAMES, NAMES)
def test_no_name_or_value_adds_a_line(name: str, value: str):
    text = fixed_config([ConfigEntry(f"branch.{name}.merge", value)], [])
    plain = fixed_config([], [])
    assert len(text.split("\n")) == len(plain.split("\n")) + 2
    assert text.endswith(plain)
