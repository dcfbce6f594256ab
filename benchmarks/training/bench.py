"""Training scripts as they are: what ``pipeprof run train.py`` says about each, and what it costs them.

* ``planted/KIND``: a script whose batches sleep 20 ms and whose steps sleep 10 ms, one for each kind of consumer
  (planted_cases.py). Each batch and step writes when it ran. Demanded: the interval within 1 % of the log's, the fetch
  between the logged sleep and what the step leaves of the interval, and ``n/a`` where the documentation's table has it.
* ``script/NAME``: a script in the shape of a public one, run unedited for 10 s of steps. Demanded: the command ends
  with 0; the verdict says input-bound if and only if plain runs do, and names a right stage (or none, where stored
  batches bring plain runs nothing).
* ``soak/planted/NAME``, ``soak/healthy/NAME``: a training whose memory grows by 1 MB in each epoch, and one whose
  memory does not (soak_cases.py). Demanded: growth with what grows, its rate and the end of memory within 20 %; of the
  healthy one a state that is no growth, and silence; of both that reading memory took 0.2 % of a core at most, inside
  of the process and from outside together. Too short a soak cannot tell.
* ``finding/NAME``: a script that shows what a rule about trainings judges, and a healthy twin (findings/pairs.toml),
  each to its end. Demanded: that one finding with its line, and none about the twin.
* ``hooks/loop``, ``hooks/fit``: what the hooks cost each step, in alternating blocks with and without them in one
  process (overhead.py). Demanded: the upper end of the interval is at most 10 µs, and 30 µs in `fit`.
* ``cost/NAME``: the same script to its own end, with pipeprof and without, in pairs ABBA, by the times that the script
  prints. Demanded: the lower end of the interval is at least 0.97 of its rate; where the interval has 0.97 inside,
  this machine cannot tell.

``--truth`` measures by plain runs what stored batches and the mend by hand bring in each script; that is kept for each
machine. A script without that truth, or whose library is not installed, is not measured. Needs two idle cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from cases import CASES as SCRIPT_CASES
from cases import SCRIPTS, WORTH, edited, is_input_bound
from finding_cases import CASES as FINDING_CASES
from finding_cases import FINDINGS
from finding_cases import judge as judge_findings
from overhead import LIMITS as HOOK_LIMITS
from overhead import outcome_of as hooks_outcome
from planted_cases import CASES as PLANTED_CASES
from planted_cases import PLANTED, judge, records_of
from run import (
    BROKEN,
    HOLDS,
    UNKNOWN,
    Benchmark,
    Json,
    NotMeasuredError,
    claimed,
    is_disturbed,
    main,
    outcome_of,
    read_json,
    store,
    truth_file,
    until_undisturbed,
    wants_truth,
)
from running import Ran, plain, prepare, profiled
from soak_cases import CASES as SOAK_CASES
from soak_cases import SECONDS as SOAK_SECONDS
from soak_cases import SOAK
from soak_cases import judge as judge_soak
from stopping import interval, until_decided

PLANTED_SECONDS, SCRIPT_SECONDS = "4", "10"
COST = 0.97
MOST_PAIRS = 5
COST_PAIRS = 12
"""Of a cost, whose limit is within a few per cent of no cost: five pairs decide it on a quiet machine alone."""
KEPT = ("verdict", "steps", "training", "warnings", "contention")


def require(library: str | None) -> None:
    """Raise if the case's library is not installed."""
    if library and find_spec(library) is None:
        msg = f"{library} is not installed"
        raise NotMeasuredError(msg)


def tell(name: str, figures: Json, claims: dict[str, bool], ran: Ran) -> tuple[Json, Json]:
    """Figures and raw values of one try; prints a line."""
    headline = (ran.profile.get("verdict") or {}).get("headline") or ran.output.strip()[-300:]
    raw = {"exit_code": ran.code, "times": ran.times} | {key: ran.profile.get(key) for key in KEPT}
    if not ran.profile:
        raw["output"] = ran.output[-2000:]
    told = claimed(name, headline, claims, disturbed=is_disturbed(ran.profile))
    return figures | {"headline": headline} | told, raw


def planted_once(name: str, folder: Path) -> tuple[Json, Json]:
    """Measure a planted script once."""
    ran = profiled(PLANTED / f"{name}.py", folder, "--seconds", PLANTED_SECONDS, "--no-verify")
    figures, claims = judge(PLANTED_CASES[name], ran.profile, records_of(ran.log))
    return tell(name, figures, claims, ran)


def script_once(name: str, folder: Path, truth: Json) -> tuple[Json, Json]:
    """Profile a script once."""
    case = SCRIPT_CASES[name]
    ran = profiled(SCRIPTS / f"{name}.py", folder, "--seconds", SCRIPT_SECONDS)
    verdict, stages = ran.profile.get("verdict") or {}, ran.profile.get("stages") or []
    stage = next((one for one in stages if one["id"] == verdict.get("stage")), None)
    named = json.dumps([stage.get(key) for key in ("name", "function", "op", "via", "library")]) if stage else ""
    bound, waits = verdict.get("bound"), is_input_bound(case, truth["stored"])
    claims = {
        "finished": ran.code == 0 and bool(ran.profile.get("complete")),
        "verdict": waits is None or (bound is not None and (bound == "input") == waits),
        # Where stored batches gain nothing, no stage limits the training.
        "stage": not case.stages or any(one in named for one in case.stages) or (waits is False and not named),
    }
    said = [[one["rule"], one["status"], one["title"]] for one in ran.profile.get("findings") or []]
    figures = {"bound": bound, "waits": waits, "stage": named, "said": said, "truth": truth}
    return tell(name, figures, claims, ran)


def cost_of(name: str, folder: Path) -> Json:
    """Rates with pipeprof over those without, in pairs: the interval must not have a lower end under the limit."""
    script = SCRIPTS / f"{name}.py"
    text, raw = script.read_text(encoding="utf-8"), []

    def pair(number: int) -> float:
        sides = {
            "plain": lambda: plain(text, folder).rate,
            "profiled": lambda: profiled(script, folder, "--to-end", "--no-verify").rate,
        }
        order = list(sides)[:: 1 if number % 2 == 0 else -1]
        rates = {side: sides[side]() for side in order}
        raw.append(rates)
        return rates["profiled"] / rates["plain"]

    ratios = until_decided(pair, [COST], COST_PAIRS)
    _, low, high = interval(ratios)
    found = HOLDS if low >= COST else BROKEN if high < COST else UNKNOWN
    figures = {"ratio": [round(one, 4) for one in interval(ratios)]}
    print(f"{name}: with pipeprof {figures['ratio']} of the plain rate; {found}", flush=True)
    return {"outcome": found, "figures": figures, "raw": {"pairs": raw}}


def truth_of(name: str, folder: Path) -> Json:
    """What stored batches and the mend bring, by plain runs: measured again, or as kept for this machine."""
    kept = read_json(truth_file("training")).get(name, {})
    if wants_truth():
        case, kept = SCRIPT_CASES[name], {}
        for side, edits in (("stored", case.stored), ("mend", case.mend)):
            if not edits:
                continue
            texts = [edited(name, ()), edited(name, edits)]

            def pair(number: int, texts: list[str] = texts) -> float:
                rates = {text: plain(text, folder).rate for text in texts[:: 1 if number % 2 == 0 else -1]}
                return rates[texts[1]] / rates[texts[0]]

            kept[side] = [round(one, 3) for one in interval(until_decided(pair, [WORTH], MOST_PAIRS))]
            print(f"{name}: {side} {kept[side]}", flush=True)
        store("training", name, kept)
    return kept


def soak_once(name: str, folder: Path) -> tuple[Json, Json]:
    """Soak a training once."""
    length = SOAK_SECONDS[name.partition("/")[0]]
    ran = profiled(SOAK / f"{name}.py", folder, "--soak", length)
    figures, claims = judge_soak(name, ran.profile, ran.log.decode("ascii"), float(length.rstrip("s")))
    return tell(name, figures, claims, ran)


def finding_once(name: str, folder: Path) -> tuple[Json, Json]:
    """Run a script and its twin to their ends once."""
    from pipeprof.profiles.advise.findings.training import TRAINING

    ran, twin = (profiled(FINDINGS / f"{one}.py", folder, "--to-end", "--no-verify") for one in (name, f"{name}_twin"))
    about = {check.name for check in TRAINING}
    figures, claims = judge_findings(name, ran.profile, twin.profile, about)
    return tell(name, figures, claims, twin if is_disturbed(twin.profile) else ran)


def hooks_cost(name: str) -> Json:
    """What the hooks cost each step, in a process of its own."""
    command = [sys.executable, str(HERE / "overhead.py"), name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Json = json.loads(done.stdout.splitlines()[-1])
    found = hooks_outcome(name, figures)
    print(f"hooks in {name}: {figures}; {found}", flush=True)
    return {"outcome": found, "figures": figures, "raw": {}}


def measured(case: str, folder: Path) -> Json:
    """Measure a case, again while the machine was disturbed."""
    kind, name = case.split("/", 1)
    if kind == "soak":
        # What memory grows by does not depend on what else runs; a soak that was too short tells nothing.
        figures, raw = soak_once(name, folder)
        found = outcome_of(figures | {"disturbed": figures["undecided"]})
        return {"outcome": found, "figures": figures, "raw": raw}
    if kind == "hooks":
        return hooks_cost(name)
    if kind == "planted":
        require(PLANTED_CASES[name].library)
        return until_undisturbed(partial(planted_once, name, folder))
    if kind == "finding":
        return until_undisturbed(partial(finding_once, name, folder))
    require(SCRIPT_CASES[name].library)
    prepare(folder)
    if kind == "cost":
        return cost_of(name, folder)
    truth = truth_of(name, folder)
    if "stored" not in truth:
        msg = "this machine has no truth of it: --truth measures what stored batches bring"
        raise NotMeasuredError(msg)
    return until_undisturbed(partial(script_once, name, folder, truth))


KINDS = {
    "planted": PLANTED_CASES,
    "script": SCRIPT_CASES,
    "finding": FINDING_CASES,
    "soak": SOAK_CASES,
    "hooks": HOOK_LIMITS,
    "cost": SCRIPT_CASES,
}
BENCHMARK = Benchmark(
    claim="of planted training scripts the interval is right within 1 %, the fetch lies within its bounds and what the "
    "table calls n/a is n/a; of training scripts in the shapes of public ones the verdict and the stage are right, and "
    "with pipeprof they reach 97 % of their rate; the hooks cost a step at most 10 µs in a loop and 30 µs in fit; of "
    "six trainings whose memory grows a soak says whether stages, Python's heap or the rest does and the end of memory "
    "within 20 %, and of ten healthy ones none, for 0.2 % of a core; each planted flaw of a training has its finding "
    "and its line, and its healthy twin none",
    cases=tuple(f"{kind}/{name}" for kind, names in KINDS.items() for name in names),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
