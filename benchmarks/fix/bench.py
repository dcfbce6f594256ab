"""`pipeprof fix` against an exhaustive grid of the same edits, and against AUTOTUNE everywhere.

Usage: ``python benchmarks/fix/bench.py --out FILE [--only NAME …] [--data FOLDER]``. Each pipeline is given to
`pipeprof fix` with its default budget. Then its result, all pipelines of the grid, the one with AUTOTUNE in each
stage that takes it and the pipeline as it is run in one session: a process each, block by block, in rounds that run
forwards and backwards. The first rounds find the best of the grid. Then that one, the result, AUTOTUNE everywhere and
the pipeline as it is run in two new processes each, and these alone are compared: what was the fastest of many was also
lucky, and processes of the same pipeline differ. The grid is, with all maps and
interleaves outside of functions changed alike: their calls at a time (unset, 2, 16, AUTOTUNE, and 16 on a pool of 16
threads for each of them) or the map before a batch applied to whole batches, and then with AUTOTUNE calls or not; each
with and without a prefetch at the end. A pipeline of the grid that is not possible, or gives other data than its class
allows, is left out.

Demanded of each pipeline: the result of `fix` has 95 % of the rate of the grid's best, within 60 s of measuring, and is
not slower than AUTOTUNE everywhere by more than the interval. Where it has the same edits as the grid's best, the table
says so. ``--only`` measures some, and keeps the others of FILE; FILE is written after each pipeline.

Needs two idle cores. About 30 minutes; three for each pipeline.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

from cases import CASES, PUBLIC, Case

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.edits.edits import (
    InsertStage,
    PipelineEdit,
    SetArgument,
    SetOption,
    VectoriseMap,
    from_document,
)
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.same_data import check_data
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.fix.candidates import everywhere
from pipeprof.profiles.fix.laboratory import as_json
from pipeprof.profiles.fix.version import Version
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turn_messages import Built
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.verify.stages import main_line

BUDGET = 60.0
SHARE = 0.95
SELECTING_ROUNDS = 6
"""In them, the best of the grid is found."""
COMPARING_ROUNDS = 24
"""In them, the result is compared with it; twice as many where blocks are short."""
LEAST_STEPS = 6
WARM = TurnRequest("warm", 1.5)
SHORT_BLOCK, BLOCK_SECONDS, BLOCK_STEPS, SETTLE_SECONDS = 0.1, 0.25, 10, 0.05
"""A block has as many seconds as that many steps of the pipeline as it is take, between the first two numbers; of slow
ones it has six steps. The machine's speed wanders by 10 % within tenths of a second: short blocks tell more."""
PROCESSES = 2
"""Of each pipeline that is compared."""
PATIENCE = 600
FIXED, EVERYWHERE, AS_IT_IS = "fix", "AUTOTUNE everywhere", "as it is"
"""Names of the pipelines that are not of the grid; the last one runs twice, first and last in a round."""
BASES = ("A1", "A2")
COPY = " #"
"""Before the number of a process in its name."""


def fixed(case: Case, out: Path, folder: Path) -> dict[str, Any]:
    """Run `pipeprof fix`: its exit code, and how long it took."""
    words = ["fix", case.target, "--step", case.step, "--out", str(out), "--force", "--quiet", "--no-lock"]
    words += ["--budget", f"{BUDGET:g}", *(["--allow", ",".join(case.allow)] if case.allow else [])]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "from pipeprof.cli.main import main; main()", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return {"exit_code": done.returncode, "seconds": round(time.monotonic() - began, 1)}


def start_of(case: Case) -> Version:
    """The pipeline as it is."""
    target = parse_target(case.target)
    if target.kind != "spec":
        return Version()

    def reread(text: str, *, alone: bool = False) -> LoadedSpec:
        del alone
        return check_spec(target.path, content=text.encode())

    return Version((), check_spec(target.path), reread)


Steps: TypeAlias = "tuple[tuple[PipelineEdit, ...], ...]"
"""Edits, each step on the pipeline that the one before it made."""


def grid(profile: Profile) -> dict[str, Steps]:
    """The edits of every pipeline of the grid, by what it is in words."""
    stages = [stage for stage in profile.stages or () if stage.origin == "written"]
    maps = [stage for stage in stages if stage.op in {"map", "interleave"} and traits(stage.op).parallel]
    line = main_line(profile)

    def calls(number: int | str) -> tuple[PipelineEdit, ...]:
        return tuple(SetArgument(stage.id, stage.op, "num_parallel_calls", number) for stage in maps)

    pool = SetOption("threading.private_threadpool_size", 16 * max(1, len(maps)))
    bodies: dict[str, Steps] = {"": ()}
    if maps:
        bodies |= {f"calls={number}": (calls(number),) for number in (2, 16, AUTOTUNE)}
        bodies[f"calls=16, pool={pool.value}"] = ((*calls(16), pool),)
    for one, other in pairwise(line):
        if one.op == "map" and other.op == "batch":
            vectorised = (VectoriseMap(one.id, other.id),)
            bodies["vectorised"] = (vectorised,)
            # The map has the batch's place, and the batch the map's.
            parallel = SetArgument(other.id, one.op, "num_parallel_calls", AUTOTUNE)
            bodies[f"vectorised, calls={AUTOTUNE}"] = (vectorised, (parallel,))
    ends: dict[str, Steps] = {"": ()}
    if line and not traits(line[-1].op).prefetches:
        ends["prefetch"] = ((InsertStage("prefetch", {"buffer_size": AUTOTUNE}, None),),)
    found = {", ".join(filter(None, names)): names for names in product(bodies, ends)}
    return {name or AS_IT_IS: (*bodies[body], *ends[end]) for name, (body, end) in found.items() if body or end}


def versions(start: Version, profile: Profile) -> dict[str, Version]:
    """All pipelines of a session but the one as it is; those that no edit can make are left out."""
    edits = grid(profile)
    tuned = everywhere(profile)
    if tuned is not None:
        edits[EVERYWHERE] = (tuned.edits,)
    found = {}
    for name, steps in edits.items():
        try:
            found[name] = functools.reduce(Version.then, steps, start)
        except PipeprofError as error:
            print(f"  {name}: {error}", file=sys.stderr)
    best = start
    for step in profile.fix.edits if profile.fix is not None else ():
        best = best.then([edit for one in step if (edit := from_document(one.model_dump())) is not None])
    return {FIXED: best, **found} if best.steps else found


def session(case: Case, start: Version, entered: dict[str, Version], interval: float) -> dict[str, Any]:
    """Rates of all pipelines, round by round: of all in the first rounds, of those that are compared in the others."""
    target = parse_target(case.target)
    settings = RunSettings(target=target, loaded=start.loaded, step=parse_step(case.step), lock=False)
    maker = JobMaker(settings, None, memory_limit=None, digest_seconds=1.0, data_progress=lambda *_: None)
    jobs = maker.as_it_is()

    def made(name: str, version: Version) -> dict[str, Job]:
        steps = as_json(version.graph_steps) if version.loaded is None else []
        return maker.workers([name], version.loaded, steps, version.environment)

    for name, version in entered.items():
        jobs |= made(name, version)
    block = block_of(interval)
    left_out: dict[str, str] = {}
    with Signals().installed() as signals, Team(signals, None).closing() as team:
        started = team.start_each(jobs, seconds=180)
        built = {name: one for name, one in started.items() if isinstance(one, Built)}
        for name, one in started.items():
            if isinstance(one, MemberFailedError):
                left_out[name] = one.reason
            elif name in entered:
                check = check_data(built["A1"], built["A2"], one, "randomness" if case.allow else "same")
                if not check.same:
                    left_out[name] = check.words
                    team.end(name)

        def measured(names: Sequence[str], rounds: int) -> dict[str, list[float]]:
            for name in names:
                team.turn(name, WARM, seconds=180)
            rates: dict[str, list[float]] = {name: [] for name in names}
            for number in range(rounds):
                for name in names if number % 2 == 0 else names[::-1]:
                    ended = team.turn(name, block, seconds=180)
                    rates[name].append(round(ended.steps / ended.seconds, 4))
            return rates

        selecting = measured(
            [BASES[0], *(name for name in entered if name not in left_out), BASES[1]], SELECTING_ROUNDS
        )
        best = best_of_grid(as_one(selecting))
        team.end()
        compared = [name for name in entered if name in {best, FIXED, EVERYWHERE} and name not in left_out]
        again = maker.as_it_is()
        for name, number in product(compared, range(1, PROCESSES + 1)):
            again |= made(f"{name}{COPY}{number}", entered[name])
        failed = [one for one in team.start_each(again, seconds=180).values() if isinstance(one, MemberFailedError)]
        if failed:
            raise failed[0]
        order = [BASES[0], *(name for name in again if name not in BASES), BASES[1]]
        comparing = measured(order, COMPARING_ROUNDS * (2 if block.seconds < BLOCK_SECONDS else 1))
    return {"selecting": selecting, "comparing": comparing, "left_out": left_out}


def block_of(interval: float) -> TurnRequest:
    """A measured turn of a pipeline whose steps are so many seconds apart."""
    short = min(BLOCK_SECONDS, max(SHORT_BLOCK, BLOCK_STEPS * interval))
    return TurnRequest("block", max(short, LEAST_STEPS * interval), LEAST_STEPS, max(SETTLE_SECONDS, interval))


def as_one(rates: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """The processes of each pipeline as one: the geometric mean of each round."""
    processes: dict[str, list[list[float]]] = {}
    for name, found in rates.items():
        processes.setdefault(AS_IT_IS if name in BASES else name.partition(COPY)[0], []).append(found)
    return {
        name: [math.exp(fmean(map(math.log, each))) for each in zip(*found, strict=True)]
        for name, found in processes.items()
    }


def best_of_grid(rates: Mapping[str, list[float]]) -> str:
    """The fastest pipeline of the grid, or the one as it is: pure."""
    names = [name for name in rates if name not in {FIXED, EVERYWHERE}]
    return max(names, key=lambda name: math.fsum(map(math.log, rates[name])))


def over(rates: dict[str, list[float]], one: str, other: str) -> Interval | None:
    """Rate of a pipeline over that of another one, round by round."""
    return estimate([math.log(first / second) for first, second in zip(rates[one], rates[other], strict=True)])


def judge(selecting: Mapping[str, list[float]], rates: dict[str, list[float]]) -> dict[str, Any]:
    """What the rates of a session say: pure.

    Of many that are about as fast, the one that seems fastest was lucky: what it is worth, other rounds tell.

    Args:
        selecting: Rates by pipeline, of each round in which the best of the grid is found.
        rates: The same of those in which it is compared; the pipeline as it is under `AS_IT_IS`, the result under
            `FIXED`.
    """
    best = best_of_grid(selecting)
    grid = [name for name in selecting if name not in {FIXED, EVERYWHERE, AS_IT_IS}]
    own = FIXED if FIXED in rates else AS_IT_IS
    # Where all that can be tuned is, that is the pipeline as it is.
    share, tuned = over(rates, own, best), over(rates, own, EVERYWHERE if EVERYWHERE in rates else AS_IT_IS)
    gain = over(rates, own, AS_IT_IS)
    found: dict[str, Any] = {"best": best, "grid": len(grid)}
    for name, ratio in (("gain", gain), ("share_of_best", share), ("over_autotune", tuned)):
        found[name] = [round(one, 3) for one in (ratio.value, ratio.low, ratio.high)] if ratio is not None else None
    near = share is None or share.value >= SHARE
    found["holds"] = near and (tuned is None or tuned.high >= 1.0)
    found["cannot_tell"] = not found["holds"] and share is not None and share.high >= SHARE
    return found


def is_same(one: Version, other: Version) -> bool:
    """Whether two pipelines have the same edits: what they differ by is then their processes alone."""
    return one.environment == other.environment and [*flat(one)] == [*flat(other)]


def flat(version: Version) -> Iterator[PipelineEdit]:
    """The edits of all steps."""
    for step in version.steps:
        yield from step


def measure(case: Case, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures and raw measurements of one pipeline."""
    out = folder / "fix.json"
    run = fixed(case, out, folder)
    if run["exit_code"] or not out.exists():
        return {"holds": False, "cannot_tell": False, "exit_code": run["exit_code"]}, run
    profile = load_profile(out)
    found = profile.fix
    assert found is not None
    start = start_of(case)
    entered = versions(start, profile)
    mean = profile.steps.interval_ms.mean if profile.steps is not None and profile.steps.interval_ms else None
    measured = session(case, start, entered, (mean or 0.0) / 1e3)
    figures = {
        **judge(as_one(measured["selecting"]), as_one(measured["comparing"])),
        "status": found.status,
        "speedup": (found.measured or {}).get("speedup"),
        "measuring_seconds": found.seconds,
        "wall_seconds": run["seconds"],
        "changes": [step.change for step in found.steps if step.result == "taken"],
    }
    best = figures["best"]
    figures["same_as_best"] = FIXED in entered and best in entered and is_same(entered[FIXED], entered[best])
    figures["holds"] = figures["holds"] and found.seconds <= BUDGET * 1.05
    return figures, {"fix": found.model_dump(mode="json"), "session": measured, "run": run}


def line_of(name: str, figures: dict[str, Any]) -> str:
    """A line of the table."""
    if "share_of_best" not in figures:
        return f"{name}: fix ended with {figures.get('exit_code')}; DOES NOT HOLD"
    share, tuned = figures["share_of_best"], figures["over_autotune"]
    against = f", {tuned[0]}× ({tuned[1]}–{tuned[2]}) of AUTOTUNE everywhere" if tuned else ""
    outcome = "holds" if figures["holds"] else "cannot tell" if figures["cannot_tell"] else "DOES NOT HOLD"
    same = " the same pipeline as" if figures.get("same_as_best") else " of"
    return (
        f"{name}: {figures['gain'][0]}×, {share[0]:.0%} ({share[1]:.0%}–{share[2]:.0%}){same} the best of "
        f"{figures['grid']} ({figures['best']}){against}; {figures['measuring_seconds']:.0f} s of measuring, "
        f"{figures['wall_seconds']:.0f} s in all; {outcome}"
    )


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--only", choices=CASES, action="append", help="default: all; others in OUT stay")
    parser.add_argument("--data", type=Path, help="a folder to make the inputs in, and to find them in next time")
    options = parser.parse_args()
    out = options.out.resolve()
    before = json.loads(out.read_text(encoding="utf-8")) if options.only and out.exists() else {}
    figures, raw = dict(before.get("figures", {})), dict(before.get("raw", {}))
    code = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.data or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        names = options.only or list(CASES)
        if any(str(PUBLIC) in CASES[name].target for name in names) and not (folder / "data").exists():
            subprocess.run([sys.executable, PUBLIC / "data.py", folder / "data"], check=True)
        os.chdir(folder)
        for name in names:
            figures[name], raw[name] = measure(CASES[name], folder)
            print(line_of(name, figures[name]), flush=True)
            code = write(out, figures, raw)
    return code


def write(out: Path, figures: dict[str, Any], raw: dict[str, Any]) -> int:
    """Write the result so far; return the exit code that it means."""
    complete = all(name in figures for name in CASES)
    holds = complete and all(found["holds"] for found in figures.values())
    unclear = complete and all(found["holds"] or found["cannot_tell"] for found in figures.values())
    result = {
        "claim": "the result of fix has 95 % of the rate of the best of a grid within 60 s of measuring, and is not "
        "slower than AUTOTUNE everywhere",
        "holds": holds,
        **({"outcome": "cannot tell"} if unclear and not holds else {}),
        "figures": {name: figures[name] for name in CASES if name in figures},
        "raw": raw,
    }
    text = json.dumps(result, indent=1).replace(f"{PUBLIC.parents[1]}{os.sep}", "")
    out.write_text(f"{text}\n", encoding="utf-8")
    return 0 if holds else 3 if unclear else 1


if __name__ == "__main__":
    sys.exit(main())
