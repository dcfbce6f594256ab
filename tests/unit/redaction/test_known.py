"""What is hidden of a text and of a document: paths, names, secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.private import private_of
from pipeprof.pipelines.changes.edits import NewStage, ReplaceStages, to_document
from pipeprof.profiles.document.findings import Edit
from pipeprof.profiles.git.calls import repository_root
from pipeprof.profiles.redaction.document import redact
from pipeprof.profiles.redaction.known import HIDDEN, Hider, Private, is_secret_name

HOME, ROOT = "/srv/people/ada", "/srv/people/ada/work/app"
PRIVATE = Private(
    root=ROOT,
    folder=f"{ROOT}/training",
    home=HOME,
    names=("ada", "lab-7", "lab-7.example.org"),
    values={"HF_TOKEN": "tok-0123456789"},
)
PIECES = st.sampled_from((
    HOME, ROOT, "/", "//", " ", ":", "=", "ada", "lab-7", "tok-0123456789", "file://", "https://",
    "me:pw@", "api_key=", "/home/grace", "/root", "~", "…", HIDDEN, "x.py", "data", "\n", "'", '"', ",",
))  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"{ROOT}/training/spec.yaml:3", "spec.yaml:3"),
        (f"--out={ROOT}/reports/a.md", "--out=../reports/a.md"),
        (f"in {HOME}/sets/flowers/*.jpg", "in ~/…/*.jpg"),
        ("/home/grace/x and /Users/joan/a/b/c.py", "~/x and ~/…/c.py"),
        ("'/mnt/acme/records/train-*.tfrecord'", "'…/train-*.tfrecord'"),
        ("file:///mnt/acme/a.bin", "file:…/a.bin"),
        ("/usr/lib/python3/site-packages/keras/src/utils.py:7", "…/keras/src/utils.py:7"),
        ("/proc/self/status", "/proc/self/status"),
        ("20 ms/step, 3 / 4, gs://bucket/a/b, B/A", "20 ms/step, 3 / 4, gs://bucket/a/b, B/A"),
        ("https://me:pw@host.org/a/b", f"https://{HIDDEN}@host.org/a/b"),
        ("https://host.org/a?sig=abc&b=1", f"https://host.org/a?sig={HIDDEN}&b=1"),
        ("--arg api_key=abc --arg max_tokens=128", f"--arg api_key={HIDDEN} --arg max_tokens=128"),
        ('{"password": "a b"}', f'{{"password": {HIDDEN}}}'),
        ("ghp_0123456789abcdefghij0123", HIDDEN),
        ("Bearer abcdefgh0123", f"Bearer {HIDDEN}"),
        ("it says tok-0123456789", f"it says {HIDDEN}"),
        ("on lab-7.example.org as ada", f"on {HIDDEN} as {HIDDEN}"),
        ("Canada, lab-70, adapt", "Canada, lab-70, adapt"),
    ],
)
def test_what_is_hidden_of_a_text(text, hidden):
    assert Hider(PRIVATE).text(text) == hidden


@given(TEXTS)
def test_what_is_hidden_stays_as_it_is(text):
    hider = Hider(PRIVATE)
    once = hider.text(text)
    assert hider.text(once) == once


@given(TEXTS)
def test_no_path_below_the_home_folder_and_no_secret_survives(text):
    hidden = Hider(PRIVATE).text(f"{text} {HOME}/{text} {text}")
    rest = hidden.replace(HOME, "", hidden.count(f"{HOME}-") + hidden.count(f"{HOME}."))
    assert f"{HOME}/" not in rest
    assert " tok-0123456789 " not in Hider(PRIVATE).text(f"{text} tok-0123456789 {text}")


def test_names_of_secrets():
    names = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "db.password", "PWD", "max_tokens", "tokenizer", "key_func")
    assert [name for name in names if is_secret_name(name)] == list(names[:3])


def test_a_path_with_spaces_is_one():
    hider = Hider(PRIVATE)
    assert hider.path("/mnt/My Data/acme/a b.yaml") == "…/a b.yaml"
    assert hider.path(f"{ROOT}/my specs/a.yaml") == "../my specs/a.yaml"
    assert hider.path("specs/ada/a.yaml") == "specs/ada/a.yaml"


def test_a_whole_document(recorded):
    profile = recorded("input-bound")
    profile.command = ["pipeprof", "run", f"{ROOT}/a.yaml", "--password", "hunter2", "--arg", "token=t0k"]
    profile.target.variables = {"BUCKET": "acme-internal", "SIZE": "12"}
    profile.target.arguments = {"api_key": "k", "size": "12"}
    profile.output = "reading acme-internal"
    profile.host.name = "machine-9"
    profile.verdict.headline = "Input-bound on machine-9: 12 ms"
    found = redact(profile, PRIVATE)
    assert found.command == ["pipeprof", "run", "../a.yaml", "--password", HIDDEN, "--arg", f"token={HIDDEN}"]
    assert found.target.variables == {"BUCKET": None, "SIZE": None}
    assert found.target.arguments == {"api_key": HIDDEN, "size": "12"}
    assert found.output == f"reading {HIDDEN}"
    assert found.verdict.headline == f"Input-bound on {HIDDEN}: 12 ms"
    assert found.host.name is None
    assert redact(found, PRIVATE) == found


def test_texts_among_numbers_are_looked_at(recorded):
    profile = recorded("jpeg-folder")
    profile.findings[0].evidence = {"pairs": [1.5, f"{HOME}/a/b.py"], "numbers": [1.5, None, 2], "deep": {"1": ["ada"]}}
    found = redact(profile, PRIVATE).findings[0].evidence
    assert found == {"pairs": [1.5, "~/…/b.py"], "numbers": [1.5, None, 2], "deep": {"1": [HIDDEN]}}


WHOLE = Edit(**to_document(ReplaceStages(("stages.0",), (NewStage("map", {"deterministic": False}),))))
WITH_A_PATH = Edit(kind="SetArgument", stage="stages.0", name="filename", value=f"{HOME}/cache")


@pytest.mark.parametrize(("edit", "left"), [(WHOLE, WHOLE), (WITH_A_PATH, Edit(kind="SetArgument"))])
def test_an_edit_stays_whole_or_is_its_kind_alone(edit, left, recorded):
    """With a part of it hidden, it would be another edit."""
    profile = recorded("jpeg-folder")
    profile.findings[0].edit = edit
    assert redact(profile, PRIVATE).findings[0].edit == left


def test_the_repository_of_a_folder(tmp_path):
    inside = tmp_path / "app" / "training"
    inside.mkdir(parents=True)
    assert repository_root(inside) is None or not repository_root(inside).is_relative_to(tmp_path)
    (tmp_path / "app" / ".git").mkdir()
    assert repository_root(inside) == tmp_path / "app"
    private = private_of(inside, tmp_path, {"A_TOKEN": "x" * 9, "B": "y"}, ("ada",))
    assert (private.root, private.folder, private.values) == (str(tmp_path / "app"), str(inside), {"A_TOKEN": "x" * 9})
    # A home folder that is a work tree says too much.
    (tmp_path / ".git").mkdir()
    other = tmp_path / "other"
    assert private_of(other, tmp_path, {}, ()).root == str(other)
    assert private_of(tmp_path, tmp_path, {}, ()).root is None


def test_a_long_text_without_spaces_is_read_once():
    # Hours, were a search to begin anew at each of its characters.
    assert Hider(PRIVATE).text("/a" * 100_000) == "…/a"


def test_fixed_vocabularies_keys_and_versions_stay(recorded):
    profile = recorded("input-bound")
    profile.target.variables = {"KIND": "projectx1", "B": "function"}
    profile.stages[0].id = "stages.projectx1"
    profile.versions = {"opencv": "4.11.0.86"}
    profile.verdict.limit = "serial-stage"
    before = profile.model_dump()
    words = {"A_PASSWORD": profile.stages[0].origin, "B_KEY": profile.target.kind + "s", "C_KEY": "serial-stage"}
    found = redact(profile, Private(values=words))
    assert found.stages[0].origin == before["stages"][0]["origin"]
    assert found.stages[0].id == f"stages.{HIDDEN}"
    assert found.verdict.limit == "serial-stage"
    assert found.versions == {"opencv": "4.11.0.86"}
    assert found.target.kind == before["target"]["kind"]
    assert profile.model_dump() == before


def test_a_value_that_a_message_cuts_is_hidden():
    hider = Hider(Private(values={"PLACE": "projectx-9931-and-more"}))
    assert hider.text("got 'projectx-99…', expected a number") == f"got '{HIDDEN}…', expected a number"
    assert hider.text("got a projectx-9931-and..., too") == f"got a {HIDDEN}..., too"
    assert hider.text("reading…, projects…") == "reading…, projects…"
