"""Findings in the text report: goldens, headings by status, and what is said when there are none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from pipeprof.cli.formats.markdown import markdown
from pipeprof.cli.html.blocks import markup_of
from pipeprof.cli.html.parts import Idents
from pipeprof.cli.report.findings import EFFECTS, build_findings, build_further, describe_gain, effect_on_data
from pipeprof.cli.report.next_step import next_command
from pipeprof.cli.report.report import Selection, build_report, build_verdict
from pipeprof.cli.text.blocks import without
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style, in_ascii
from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetOption
from pipeprof.profiles.advise import check
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.order import ordered
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.document import findings as document
from pipeprof.profiles.document.findings import (
    Edit,
    Finding,
    Kept,
    NotTried,
    Predicted,
    Unfinished,
    Verdict,
    VerdictDetail,
    Verification,
)
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace
from pipeprof.profiles.document.store import encode
from pipeprof.profiles.document.subject import DataSize
from pipeprof.profiles.redaction.document import redact
from pipeprof.profiles.time.verdict import conclude
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import NOT_REPRODUCIBLE

Recorded = Callable[[str], Profile]
COPIED = re.compile(r" *(Next|Saved|try|why|Try) ")


WAITING = Proposal(
    "One call at a time waits for files",
    sentence=(
        '"decode" (map, stages.0) took 83.4 ms of each batch, one call after the other, while the worker '
        "computed on 0.21 of 8 cores: it waits."
    ),
    recommendation="Let 16 calls wait at the same time, on a pool of their own.",
    stage="stages.0",
    evidence={"ms_per_batch": 83.4, "worker_cores": 0.21},
    edits=(
        SetArgument("stages.0", "map", "num_parallel_calls", 16),
        SetOption("threading.private_threadpool_size", 16),
    ),
    predicted=Prediction("min(24.3 / 12.2 of the step, 16 calls) = 1.99", speedup=1.99),
)
LARGE = Proposal(
    "The shuffle's buffer holds decoded images",
    sentence="shuffle (stages.1) holds 500 elements of 588 KiB: 287 MiB of the peak's 841 MiB.",
    recommendation="Shuffle the names of the files, before they are read.",
    stage="stages.1",
    edits=(InsertStage("shuffle", {"buffer_size": 600, "reshuffle_each_iteration": True}, "source"),),
    predicted=Prediction("500 × 588 KiB − 600 × 177 B", peak_rss_delta_bytes=-300_800_000),
)
FROZEN = Proposal(
    "Random augmentation is cached",
    sentence="Every epoch sees the same crops.",
    recommendation="Cache before the random map.",
)
FAKES = (
    check.finding("parallel-calls", "speed", "same")(lambda _: [WAITING]),
    check.finding("shuffle-buffer-bytes", "memory", "order")(lambda _: [LARGE]),
    check.finding("cache-after-augment", "correctness", "values")(lambda _: [FROZEN]),
)


@pytest.fixture
def found(recorded: Recorded) -> Profile:
    """A measured profile with three suspicions."""
    profile = recorded("input-bound")
    stages = tuple(
        StageView(id=stage.id, op=stage.op, name=stage.name, location=stage.location, measured=stage)
        for stage in profile.stages or []
    )
    view = PipelineView("static", stages)
    profile.findings, _ = advise(view, checks=FAKES)
    return profile


@pytest.fixture
def tried(found: Profile) -> Profile:
    """The same after verification, one finding of each status."""
    waiting, large, frozen = sorted(found.findings or [], key=lambda finding: finding.family or "", reverse=True)
    effect = {"speedup": 1.93, "low": 1.88, "high": 1.97, "pairs": [], "peak_rss_delta_bytes": 4_194_304}
    none = {"speedup": 0.99, "low": 0.97, "high": 1.01, "pairs": [], "peak_rss_delta_bytes": 0}
    ceiling = Finding(rule="zip-side", title="One side is slow", status="ceiling", measured={"speedup": 1.4})
    found.findings = [
        waiting.model_copy(update={"status": "kept", "measured": effect, "reason": None}),
        ceiling,
        frozen.model_copy(update={"reason": "its fix changes values"}),
        Finding(rule="other", title="Another suspicion", status="unverified", reason="budget"),
        large.model_copy(update={"status": "rejected", "measured": none, "reason": "no gain"}),
    ]
    return found


def report(profile: Profile, selection: Selection | None = None, **style: object) -> str:
    return paint(build_report(profile, "pipeprof-out/x.json", selection), Style(**{"width": 80, **style}))


def test_a_finding_in_full_has_the_predicted_wait_of_the_step(found: Profile) -> None:
    first = next(finding for finding in found.findings or () if finding.predicted and finding.predicted.speedup)
    assert first.predicted is not None
    first.predicted.wait_ms = 2.5
    assert "the step waits 2.50 ms" in full(found, width=200)
    assert found.steps is not None
    found.steps.dispatch = None
    assert "the step waits" not in full(found, width=200)


def test_a_gain_in_a_step_of_unknown_length_is_a_bound_and_nothing_to_change(found: Profile) -> None:
    """As in a loop whose GPU is at work while it requests the next batch, and whose GPU's clock was not read."""
    assert found.steps is not None
    found.steps.wait_ms = found.steps.wait_share = None
    found.verification, found.headspace = None, None
    speed = Finding(rule="a", title="Run a map in parallel", status="unverified", predicted=Predicted(speedup=1.7))
    memory = Finding(rule="b", title="Keep less", status="unverified", predicted=Predicted(peak_rss_delta_bytes=-1024))
    found.findings = [speed, memory]
    shown = report(found, width=100)
    assert "Worth a try  at most, and nothing where the step sets the pace\n" in shown
    assert "1  Run a map in parallel  at most 1.7× faster\n" in shown
    assert shown.index("What to change") < shown.index("2  Keep less") < shown.index("Worth a try")
    assert "· steps in flight n/a\n" in report(found, Selection(sections=("steps",)), width=100)
    in_full = full(found, width=200)
    assert "Predicted at most 1.70× faster, and nothing where the step sets the pace\n" in in_full
    assert [one.title for one in ordered([speed, memory], PipelineView("measured", (), profile=found))] == [
        "Keep less",
        "Run a map in parallel",
    ]
    speed.measured = {"speedup": 1.02, "low": 0.9, "high": 1.1}
    assert "at most" not in report(found, width=100)
    memory.predicted = Predicted(speedup=1.002, peak_rss_delta_bytes=-1024)
    assert found.only_bounds(memory.model_copy(update={"family": "speed"}))
    assert not found.only_bounds(memory.model_copy(update={"family": "memory"}))


def full(profile: Profile, **style: object) -> str:
    return report(profile, Selection(sections=("findings",)), **style)


def section(profile: Profile, **style: object) -> str:
    return "What to change" + report(profile, **style).partition("\nWhat to change")[2].partition("\nReliable")[0]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_golden(width: int, found: Profile, golden: Callable[[str, str], None]) -> None:
    golden(f"findings/predicted-{width}.txt", section(found, width=width))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_golden_of_every_status(width: int, tried: Profile, golden: Callable[[str, str], None]) -> None:
    golden(f"findings/tried-{width}.txt", section(tried, width=width))


@pytest.mark.parametrize("width", [80, 120])
def test_golden_in_full(width: int, tried: Profile, golden: Callable[[str, str], None]) -> None:
    golden(f"findings/full-{width}.txt", full(tried, width=width))


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [40, 57, 80, 120])
def test_fits(width: int, unicode: bool, tried: Profile) -> None:
    for text in (report(tried, width=width, unicode=unicode), full(tried, width=width, unicode=unicode)):
        wide = [line for line in text.splitlines() if cell_len(line) > width and not COPIED.match(line)]
        code = "\n".join(f"{one.python}\n{one.patch}" for one in tried.findings or ())
        code = code if unicode else in_ascii(code)
        lines = [re.sub("^ *(YAML|Python)?", "", line).strip() for line in wide]
        assert [line for line in lines if line not in re.sub("; (?=options|dataset)", "\n", code)] == []
        assert unicode or text.isascii()


def test_colour_adds_nothing_but_escapes(tried: Profile) -> None:
    for selection in (None, Selection(verbose=True)):
        colored = report(tried, selection, color=True)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
        assert colored != plain
        assert [line.rstrip() for line in plain.splitlines()] == report(tried, selection).splitlines()


def test_predictions_are_never_called_measured(tried: Profile) -> None:
    assert tried.findings is not None
    assert "What to change  measured" in report(tried)
    assert "Not verified  not measured" in report(tried)
    tried.findings[3].predicted = Predicted(speedup=1.5)
    assert "Not verified  predicted only" in report(tried)
    first, *others = (finding for finding in tried.findings if finding.status == "unverified")
    assert others
    first.measured, first.reason = {"speedup": 1.17, "low": 0.98, "high": 1.4}, "cannot tell: 1.17×"
    assert "measured, not decided" in report(tried, Selection(verbose=True))
    assert "Not verified  predicted only, or measured and undecided" in report(tried)
    for finding in others:
        finding.measured = first.measured
    assert "Not verified  measured, not decided" in report(tried)
    tried.findings = tried.findings[:2]
    assert "What to change  measured" in report(tried)
    for finding in tried.findings:
        finding.status, finding.measured = "unverified", None
    assert "What to change  predicted, not verified" in report(tried)
    assert "What to change  measured" not in report(tried)


def test_numbers_are_those_of_the_list_and_of_show_finding(tried: Profile) -> None:
    assert re.findall(r"^ +(\d+)  ", section(tried), re.MULTILINE) == ["1", "2", "3", "4"]
    assert re.findall(r"^(\d+)\. ", full(tried), re.MULTILINE) == ["1", "2", "3", "4", "5"]
    assert "No gain: The shuffle's buffer holds decoded images" in " ".join(report(tried).split())
    for number, finding in enumerate(tried.findings or [], 1):
        text = report(tried, Selection(finding=number))
        assert text.startswith(f"{number}. {finding.title}")


def waiting(found: Profile) -> tuple[int, Finding]:
    return next((number, one) for number, one in enumerate(found.findings or (), 1) if one.rule == "parallel-calls")


def test_each_finding_has_its_command(found: Profile) -> None:
    assert found.findings is not None
    for finding in found.findings:
        finding.in_spec = False
    assert re.findall(r"^ +(try|why) ", report(found), re.MULTILINE) == ["why", "why", "why"]
    number, first = waiting(found)
    first.in_spec = True
    assert sorted(re.findall(r"^ +(try|why) ", report(found), re.MULTILINE)) == ["try", "why", "why"]
    assert f"try   pipeprof run spec.yaml --change {number}\n" in report(found)
    found.target.kind = "function"
    assert f"try   pipeprof run spec.yaml --change {number}\n" in report(found)
    first.edit = Edit.model_validate({"kind": "HandWritten", "yaml": "", "arguments": {}})
    assert "try " not in report(found)


def test_a_change_of_a_profile_that_is_saved_elsewhere_names_its_file(found: Profile) -> None:
    number, first = waiting(found)
    first.in_spec = True
    found.command = ["pipeprof", "run", "spec.yaml", "--out", "a.txt", "--out", "b.json"]
    assert f"try   pipeprof run spec.yaml --change {number} --from b.json\n" in report(found)


def test_the_fix_is_in_the_language_of_the_target(found: Profile) -> None:
    number = next(n for n, one in enumerate(found.findings or [], 1) if one.rule == "parallel-calls")
    one = (found.findings or [])[number - 1]
    one.patch, one.diff = "--- a/spec.yaml\n", "--- a/train.py\n"
    in_spec = report(found, Selection(finding=number))
    assert ("a/spec.yaml" in in_spec, "a/train.py" in in_spec) == (True, False)
    found.target.kind = "function"
    assert "a/train.py" in report(found, Selection(finding=number))
    both = report(found, Selection(finding=number, verbose=True))
    assert ("a/spec.yaml" in both, "a/train.py" in both) == (True, True)


def test_everything_is_in_the_json_and_comes_back(found: Profile) -> None:
    document = json.loads(encode(found))
    assert Profile.model_validate(document) == found
    waiting = next(one for one in document["findings"] if one["rule"] == "parallel-calls")
    assert waiting["evidence"] == {"ms_per_batch": 83.4, "worker_cores": 0.21}
    assert waiting["edit"][0]["kind"] == "SetArgument"
    assert waiting["edit"][0]["value"] == 16
    assert waiting["predicted"]["speedup"] == 1.99
    assert {"sentence", "patch", "python", "recommendation", "semantics", "status", "reason"} <= set(waiting)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.012, "Nothing to change"),
        (0.4, "No change found  up to 40 % of the time could be saved, but no finding and no idea fits"),
        (None, "No change found  no finding and no idea fits what was measured"),
    ],
)
def test_without_findings_one_line_says_so(share: float | None, expected: str, recorded: Recorded) -> None:
    profile = recorded("step-bound")
    assert expected.partition("  ")[0] not in report(profile, width=120)
    profile.findings = []
    profile.verdict = Verdict(sentence="A sentence.", headspace_share=share)
    assert profile.steps is not None
    profile.steps.busy_ms = None
    assert expected in report(profile, width=120)
    assert expected in full(profile, width=120)


@pytest.mark.parametrize("name", ["out-of-memory", "interrupted"])
def test_a_run_that_did_not_end_well_is_not_declared_healthy(name: str, recorded: Recorded) -> None:
    profile = recorded(name)
    profile.findings = []
    assert "No change found" not in report(profile)
    assert "Nothing to change" not in report(profile)


@pytest.mark.parametrize("hostile", ["\x1b[31mred", "a\nb", "a\rb", "\u202eevil", "[bold]x[/bold]", "\x07"])
def test_texts_cannot_do_anything(hostile: str, found: Profile) -> None:
    assert found.findings is not None
    for finding in found.findings:
        finding.title = finding.sentence = finding.recommendation = finding.reason = finding.rule = hostile
        finding.change = hostile
        finding.patch = finding.python = hostile.replace("\n", " ")
    for text in (report(found), full(found)):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_a_diff_keeps_its_lines(found: Profile) -> None:
    assert found.findings is not None
    diff = "--- a/spec.yaml\n+++ b/spec.yaml\n@@ -1,2 +1,3 @@\n a: 1\n \n+b: x; dataset = 2\n"
    diff = diff.replace("a: 1", f"a: 1  # {'a long line ' * 9}")
    found.findings[0].patch = diff
    lines = full(found, width=80).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("--- a/spec.yaml"))
    assert lines[start - 1] == "    Diff"
    assert lines[start : start + 6] == [line if line.strip() else "" for line in diff.splitlines()]


def test_redaction_reaches_every_text_of_a_finding(found: Profile) -> None:
    assert found.findings is not None
    secret = "/home/alice/photos"
    finding = found.findings[0]
    for name in ("title", "sentence", "recommendation", "patch", "python", "reason"):
        setattr(finding, name, f"in {secret}")
    finding.evidence = {"file": secret}
    finding.predicted = document.Predicted(formula=secret)
    finding.edit = document.Edit.model_validate(
        {"kind": "HandWritten", "yaml": secret, "arguments": {"filename": secret}}
    )
    assert secret in encode(found).decode()
    assert "alice" not in encode(redact(found)).decode()


def without_gain(found: Profile) -> Profile:
    found.findings = []
    found.verification = Verification(
        seconds=50.0,
        budget_seconds=60.0,
        mode="alternating",
        tried=2,
        without_gain=["insert prefetch after decode: no gain: 0.99×", "move decode after shuffle: no gain: 1.01×"],
        bounds=["even without decode no gain: 1.00× (0.99 to 1.01, 12 pairs)"],
        block_seconds=0.35,
    )
    found.headspace = Headspace.of(20.0, 10.0, 4)
    assert found.verdict is not None
    found.verdict.headspace_share = 0.5
    return found


def test_edits_that_could_not_be_decided_are_not_said_to_be_no_help(found: Profile) -> None:
    verified = without_gain(found)
    assert verified.verification is not None
    verified.verification.undecided = ["num_parallel_calls: 1 → 8: cannot tell: 1.30× (0.98 to 1.72, 30 pairs)"]
    assert "3 further edits tried:" in full(verified)
    assert "1.30×" in full(verified)
    verified.verification.without_gain = []
    assert "1 further edit tried:" in full(verified)
    assert "Undecided: num_parallel_calls: 1 → 8: cannot tell: 1.30×" in report(verified)


@pytest.mark.parametrize(
    ("without", "undecided", "bounds", "words"),
    [
        (["a: no gain: 0.99×"], [], [], "nothing that was tried helps"),
        (["a: no gain: 0.99×"], [], ["even without decode no gain: 1.00×"], "nothing that was tried helps"),
        ([], [], ["decode: no upper bound: the budget of 20 s has no time for it"], "no change could be tried"),
        ([], ["a: cannot tell: 1.30×"], [], "the trials are undecided"),
        (["b: no gain"], ["a: cannot tell: 1.30×"], [], "some of the trials are undecided"),
        (
            ["b: no gain"],
            [],
            ["decode: no upper bound: the budget of 20 s has no time for it"],
            "some of the trials are",
        ),
    ],
)
def test_only_what_was_decided_is_said_not_to_help(
    found: Profile, without: list[str], undecided: list[str], bounds: list[str], words: str
) -> None:
    verification = without_gain(found).verification
    assert verification is not None
    verification.without_gain, verification.undecided, verification.bounds = without, undecided, bounds
    verification.tried = len(without) + len(undecided)
    text = " ".join(report(found).split())
    assert words in text
    assert ("nothing that was tried helps" in text) == (words == "nothing that was tried helps")


def test_a_gain_that_lacks_rounds_is_not_finished_and_next_decides_about_it(found: Profile) -> None:
    without_gain(found)
    measured = {"speedup": 1.7, "low": 1.61, "high": 1.78, "pairs": [1.7] * 8}
    found.findings = [
        Finding(
            rule="measured",
            title="Cache decode's output",
            family="speed",
            status="unverified",
            measured=measured,
            in_spec=True,
            reason="too few rounds: 1.70× (1.61 to 1.78, 8 rounds): --budget 40",
            unfinished=Unfinished(pairs=8, needed=12, budget_seconds=40),
        )
    ]
    text = " ".join(report(found).split())
    assert "Not finished a larger budget decides" in text
    assert text.count("1.70× so far after 8 of 12 rounds") == 1
    assert "No change found" not in text
    assert "Next pipeprof run spec.yaml" in text
    assert "--budget 40 decides about Cache decode's output" in text
    assert "not finished: 1.70× so far after 8 of 12 rounds" in full(found)
    found.findings[0].status, found.findings[0].unfinished = "kept", None
    assert "--budget 40 decides" not in " ".join(report(found).split())


def test_edits_without_gain_are_named_and_all_of_them_on_request(found: Profile) -> None:
    short, complete = " ".join(report(without_gain(found)).split()), full(found)
    tried = "No gain: insert prefetch after decode; move decode after shuffle"
    assert f"{tried} Reliable" in short
    assert found.verification is not None
    found.verification.without_gain += ["a third: the edit changes the data", "a fourth: no gain: 1.00×"]
    rejected = Finding(rule="measured", title="Make it cheaper", status="rejected", reason="no gain: 1.00×")
    found.findings = [Finding(rule="measured", title="Make it cheaper", status="ceiling"), rejected]
    more = "No gain: Make it cheaper; insert prefetch after decode; move decode after shuffle; 2 more changes: pipeprof"
    assert more in " ".join(report(found).split())
    assert "a third: the edit changes the data" in full(found)
    assert "Even without decode no gain: 1.00× (0.99 to 1.01, 12 pairs)" in short
    assert "but nothing that was tried helps" in short
    assert "insert prefetch after decode: no gain: 0.99×" in complete
    assert "move decode after shuffle: no gain: 1.01×" in complete


def cached(found: Profile, **parts: object) -> Profile:
    """Half as fast again without a cache, 96 times with one, from the second epoch on."""

    def kept(title: str, speedup: float, **more: object) -> Finding:
        measured = {"speedup": speedup, "low": 0.9 * speedup, "high": 1.1 * speedup, "pairs": [speedup] * 12}
        data = {"rule": "measured", "title": title, "family": "speed", "status": "kept", "measured": measured}
        return Finding.model_validate({**data, **more})

    one = kept("Run decode in parallel", 1.5)
    cache = kept("Cache decode's output", 96.0, cache=Kept(sample_bytes=456_000_000), semantics="same")
    made = found.model_copy(deep=True, update=parts)
    made.findings = ordered([cache, one])
    made.verdict = conclude(made)
    return made


def test_a_cache_stands_apart_below_the_best_change_without_one(found: Profile) -> None:
    text = report(cached(found), width=100)
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if "Run decode in parallel  1.50×" in line)
    assert next(number for number, line in enumerate(lines) if line.startswith("From the second epoch on")) > first
    # Once on a screen: the findings have both gains.
    assert "faster with change 1" not in text
    assert not any(line.startswith(("  cache ", "  measured ")) for line in lines)
    told = " ".join(text.split())
    assert "keeps 435 MiB in memory if your data is no larger than this sample" in told


def test_a_gain_has_the_length_of_an_epoch_of_the_whole_data_set(found: Profile) -> None:
    text = " ".join(report(cached(found, data_size=DataSize(elements=3_200_000)), width=100).split())
    # 100,000 batches of 32 in 24.3 ms each.
    assert "an epoch takes 27 instead of 40 minutes" in text
    assert "an epoch takes 0.42 instead of 40 minutes from the second one on" in text
    assert "an epoch takes" not in report(cached(found))


def test_what_was_not_tried_has_its_reason_and_its_number(found: Profile) -> None:
    made = without_gain(found)
    assert made.verification is not None
    made.verification.without_gain, made.verification.bounds, made.verification.tried = [], [], 0
    made.verification.not_tried = [NotTried(reason="the pipeline writes files", changes=["a", "b", "c"])]
    text = report(made, width=100)
    assert "Not finished  no change could be tried" in text
    assert "No change found" not in text
    late = NotTried(reason="the budget was too short", changes=["d"], out_of_budget=True)
    made.verification.not_tried.append(late)
    # What a larger budget can try comes first.
    assert "Not tried: d (the budget was too short); 3 more changes: pipeprof show -v" in report(made, width=100)
    made.verification.without_gain = ["e: no gain"]
    assert "Not finished  there was no time for every change" in report(made, width=100)
    made.verification.not_tried.pop()
    made.verification.without_gain = []
    # Their names are what a reader can make of it by hand.
    assert "Not tried: a; b (the pipeline writes files); 1 more change: pipeprof show -v" in text
    assert "3 changes could not be tried: the pipeline writes files" in full(made, width=100)
    assert "\n    c\n" in full(made, width=100)
    # Alone, a change would read as advice.
    blocks = list(build_further(made, complete=True))
    words = "3 changes could not be tried: the pipeline writes files"
    assert f"<p>{words}</p><ul><li>a</li><li>b</li><li>c</li></ul>" in markup_of(blocks, Idents())
    assert f"{words}\n\n- a\n- b\n- c\n" in markdown(blocks)


def test_a_bound_that_is_not_decided_decides_nothing(found: Profile) -> None:
    made = without_gain(found)
    assert made.verification is not None
    made.verification.without_gain, made.verification.tried = [], 0
    made.verification.bounds = ["without decode at most 1.02×"]
    assert "Not finished" not in report(made, width=100)
    made.verification.bounds = ["decode: no upper bound: of the time without decode, most is that of its replay"]
    assert "Not finished  no change could be tried" in report(made, width=100)
    made.verification.bounds = ["unknown upper bound of decode: too few rounds: 3.08× in 4 rounds"]
    made.verification.not_tried = [NotTried(reason="no time", changes=["spec.yaml:9 num_parallel_calls: 1 → 8"])]
    text = report(made, width=100)
    assert "Not finished" in text
    assert "No change found" not in text
    assert "Not tried: spec.yaml:9 num_parallel_calls: 1 → 8 (no time)" in text


def test_a_budget_that_holds_no_try_is_next(found: Profile) -> None:
    made = without_gain(found)
    assert made.verification is not None
    made.verification.without_gain, made.verification.bounds, made.verification.tried = [], [], 0
    made.verification.needs_seconds = 130
    text = " ".join(report(made, width=100).split())
    assert "Not finished" in text
    assert "Next pipeprof run" in text
    assert "--budget 130 gives time for what was not measured" in text


def test_an_upper_bound_states_what_was_tried_and_what_the_machine_allows(found: Profile) -> None:
    conclusion = "then the cores are the limit: with a step of 4.00 ms the rest needs 5.2 cores; this machine has 2"
    measured = {"speedup": 4.0, "low": 3.9, "high": 4.1, "pairs": [4.0] * 12, "conclusion": conclusion}
    sentence = "3 changes tried at decode, none helped. Inside: EagerPyFunc 30.0 ms per batch"
    found.findings = [
        Finding(rule="measured", title="Make decode cheaper", status="ceiling", measured=measured, sentence=sentence)
    ]
    text = " ".join(report(found, width=120).split())
    assert "If the stage cost nothing measured, no edit is known 1 Make decode cheaper 4.00×" in text
    assert conclusion in text
    assert "What to change" not in text
    found.findings[0].measured = {**measured, "at_least": True}
    assert "1 Make decode cheaper at least 3.90×" in " ".join(report(found, width=120).split())
    # The ops of the stage are below the table of stages.
    assert "Inside" not in text
    assert sentence in " ".join(full(found, width=120).split())


@pytest.mark.parametrize("advice", ["bound", "other", ""])
def test_no_edit_is_known_only_where_nothing_says_what_to_do(found: Profile, advice: str) -> None:
    bound = Finding(rule="measured", title="Make it cheaper", status="ceiling", stage="stages.1")
    bound.measured = {"speedup": 4.0, "low": 3.9, "high": 4.1, "replayed": ["stages.1"]}
    other = Finding(rule="a", title="Filter first", status="unverified", stage="stages.1")
    if advice:
        (bound if advice == "bound" else other).recommendation = "store the pictures as they are used"
    found.findings = [bound, other]
    assert ("no edit is known" in report(found, width=120)) == (not advice)


def test_other_last_digits_are_named_as_that() -> None:
    rounded = {"data": "the first 8 batches are equal but for the last digits of floating-point numbers"}
    assert effect_on_data("values", rounded)[1] == "other last digits"
    assert effect_on_data("values", {"data": "the first batch has the same types"}) == EFFECTS["values"]
    assert effect_on_data("values", None) == EFFECTS["values"]
    assert effect_on_data("order", rounded) == EFFECTS["order"]
    assert effect_on_data(None, rounded) == ("", "")


@pytest.mark.parametrize("python", [True, False])
@pytest.mark.parametrize("alone", [True, False])
def test_advice_below_a_bound_outlives_the_table_of_the_steps(found: Profile, python: bool, alone: bool) -> None:
    made = without_gain(found)
    assert made.verification is not None
    advice = "unknown upper bound of decode: too few rounds\nwrite decode as TensorFlow ops"
    made.verification.bounds = [f"{advice}\ndataset = dataset.map(other)" if python else advice]
    if not alone:
        made.findings = [Finding(rule="measured", title="Make it cheaper", status="ceiling")]
    blocks = list(build_further(made))
    for spare in range(1, 5):
        blocks = without(blocks, spare)
    assert "write decode as TensorFlow ops" in paint(blocks, Style(width=100))
    for spare in (5, 6):
        blocks = without(blocks, spare)
    text = paint(blocks, Style(width=100))
    assert ("write decode as TensorFlow ops" in text) == (alone or python)
    assert ("dataset = dataset.map(other)" in text) == python


def test_why_a_bound_is_not_known_is_no_sentence_above_its_advice(found: Profile) -> None:
    made = without_gain(found)
    assert made.verification is not None
    for why in ("filter after it depends on the values", "decode costs less than a replay of it, 0.587×"):
        made.verification.bounds = [f"no upper bound: {why}"]
        assert "upper bound" not in report(made, width=120)
    made.verification.bounds = ["decode: no upper bound: filter after it depends on the values\nstore what it makes"]
    assert "no upper bound" not in report(made, width=120)
    assert "\n  decode   store what it makes" in report(made, width=120)
    assert "decode: no upper bound: filter after it" in full(made, width=120)


def test_a_disturbed_run_has_no_word_on_what_could_be_saved(found: Profile) -> None:
    made = without_gain(found)
    assert made.verdict is not None
    made.verdict.disturbed = True
    text = report(made, width=120)
    assert "Nothing found  the run was disturbed: measure again" in text
    assert "could be saved" not in text


def test_the_warning_of_a_verdict_stays_on_a_full_screen(found: Profile) -> None:
    assert found.verdict is not None
    found.verdict.headline, found.verdict.details = (
        "INPUT-BOUND",
        [VerdictDetail(label="warning", text="measure again")],
    )
    blocks = list(build_verdict(found))
    for spare in range(1, 7):
        blocks = without(blocks, spare)
    assert "measure again" in paint(blocks, Style(width=100))


def correctness(number: int) -> Finding:
    return Finding(
        rule="cache-after-augment", title=f"Crops {number} are frozen", family="correctness", status="unverified",
        reason=None, change=f"cache before map {number}", sentence=f"Every epoch sees the same crops {number}.",
    )  # fmt: skip


def fullest(profile: Profile) -> str:
    """The list of findings on a screen that has room for nothing that may go."""
    blocks = list(build_findings(profile))
    for spare in range(1, 11):
        blocks = without(blocks, spare)
    return paint(blocks, Style(width=100))


def test_what_is_wrong_with_the_data_stays_on_a_full_screen(found: Profile) -> None:
    data = f"the first batch differs, which this change cannot cause: {NOT_REPRODUCIBLE}"
    kept = Finding(rule="measured", title="Prefetch", status="kept", measured={"speedup": 2.0, "data": data})
    other = Finding(rule="other", title="Another suspicion", status="unverified")
    found.findings = [kept, correctness(2), other]
    text = " ".join(fullest(found).split())
    for words in ("2 Crops 2 are frozen", "cache before map 2", "Every epoch sees the same crops 2.", data):
        assert words in text
    assert "Another suspicion" not in text
    assert "1 change: pipeprof show -v" in text


def test_a_finding_in_full_has_what_its_measurement_means_for_the_run(found: Profile) -> None:
    made = cached(found, data_size=DataSize(elements=3_200_000))
    memory = {"speedup": 0.9, "low": 0.89, "high": 0.91, "peak_rss_delta_bytes": -(1024**3)}
    made.findings = [
        *(made.findings or []),
        Finding(rule="measured", title="Hold less", family="memory", status="kept", measured=memory),
    ]
    text = " ".join(full(made, width=120).split())
    for effect in (
        "an epoch takes 27 instead of 40 minutes",
        "an epoch takes 0.42 instead of 40 minutes from the second one on",
        "keeps 435 MiB in memory",
        "saves 1.00 GiB, costs 10 % of the steps per second.",
    ):
        assert f"Effect {effect}" in text


def written(status: str, title: str) -> Finding:
    edit = {"kind": "HandWritten", "stages": ["stages.1"], "yaml": "", "python": title}
    measured = {"speedup": 2.0} if status != "unverified" else None
    return Finding.model_validate(
        {"rule": "a", "title": title, "status": status, "edit": edit, "python": f"{title} = 1", "measured": measured}
    )


def test_the_lines_that_next_speaks_of_stay_on_a_full_screen(found: Profile) -> None:
    found.target.kind = "function"
    plain = Finding(rule="measured", title="Prefetch", status="kept", measured={"speedup": 3.0})
    found.findings = [plain, written("kept", "first"), written("kept", "second"), written("ceiling", "third")]
    assert next_command(found, None) is not None
    assert "the lines of finding 2" in str(next_command(found, None))
    text = fullest(found)
    assert "first = 1" in text
    assert "second = 1" not in text
    assert "third = 1" not in text


@pytest.mark.parametrize("lines", [{"python": "x = 1"}, {"patch": "- map: f"}, {}])
def test_a_bound_with_lines_to_write_has_a_known_edit(found: Profile, lines: dict[str, str]) -> None:
    found.findings = [Finding(rule="a", title="Cheaper", status="ceiling", measured={"speedup": 2.0}, **lines)]
    text = " ".join(full(found, width=120).split())
    assert ("no edit is known" in text) == (not lines)
    assert ("1. Cheaper measured as if the stage cost nothing" in text) == bool(lines)


@pytest.mark.parametrize(
    ("family", "predicted", "gain", "stated"),
    [
        ("speed", Predicted(speedup=4.48), "predicted 4.5× faster", True),
        ("speed", Predicted(speedup=150.0), "110× (93.9–128, 6 rounds)", False),
        ("speed", None, "110× (93.9–128, 6 rounds)", False),
        ("memory", Predicted(peak_rss_delta_bytes=-(1 << 20)), "predicted up to −1.00 MiB", False),
    ],
)
def test_the_upper_bound_of_a_stage_is_not_what_a_change_of_a_part_of_it_gains(
    found: Profile, family: str, predicted: Predicted | None, gain: str, stated: bool
) -> None:
    measured = {"speedup": 110.0, "low": 93.9, "high": 128.0, "pairs": [110.0] * 6, "conclusion": "the cores"}
    reason = "110× (93.9 to 128, 6 rounds) if decode cost nothing"
    change = Finding(rule="a", title="Build it once", status="ceiling", python="x = 1", reason=reason)
    change.family, change.predicted, change.measured = family, predicted, measured  # type: ignore[assignment]
    found.findings = [change]
    assert describe_gain(change, short=True) == gain
    text = " ".join(report(found, width=120).split())
    assert (reason in text) is stated
    assert ("the cores" in text) is (family == "speed")
