"""`pipeprof fix` against an exhaustive grid of the same edits, and against AUTOTUNE everywhere.

Each pipeline is given to `pipeprof fix` with its default budget. Its result, the best pipeline of the grid, the one
with AUTOTUNE in each stage that takes it and the pipeline as it is then run in one session: two processes each, block
by block, in rounds that run forwards and backwards, until it is decided whether the claim holds.

Which pipeline of the grid is the best is a truth that is stored for each machine (truth/), and measured with
``--truth`` alone: in a session of its own all pipelines of the grid run in a process each. Other rounds compare, as
what was the fastest of many was also lucky, and processes of the same pipeline differ. The grid is, with all maps and
interleaves outside of functions changed alike: their calls at a time (unset, 2, 16, AUTOTUNE, and 16 on a pool of 16
threads for each of them) or the map before a batch applied to whole batches, and then with AUTOTUNE calls or not; each
with and without a prefetch at the end. A pipeline of the grid that is not possible, or gives other data than its class
allows, is left out.

Demanded of each pipeline: the result of `fix` has 95 % of the rate of the grid's best, within 60 s of measuring, and is
not slower than AUTOTUNE everywhere by more than the interval. Where it has the same edits as the grid's best, the table
says so.

Needs two idle cores. Two minutes for a pipeline, three with its grid.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from cases import CASES, PUBLIC, Case
from judging import AS_IT_IS, EVERYWHERE, FIXED, SELECTING_ROUNDS, as_one, best_of_grid, enough, judge, most_rounds
from run import (
    Benchmark,
    NotMeasuredError,
    machine_name,
    main,
    pipeprof,
    public_data,
    read_json,
    result,
    store,
    truth_file,
    wants_truth,
)

if TYPE_CHECKING:
    from session import Session, Version

BUDGET = 60.0
PATIENCE = 600


def fixed(case: Case, out: Path, folder: Path) -> dict[str, Any]:
    """Run `pipeprof fix`: its exit code, and how long it took."""
    words = ["fix", case.target, "--step", case.step, "--out", str(out), "--force", "--quiet"]
    words += ["--budget", f"{BUDGET:g}", *(["--allow", ",".join(case.allow)] if case.allow else [])]
    began = time.monotonic()
    code = pipeprof(*words, folder=folder, patience=PATIENCE).returncode
    return {"exit_code": code, "seconds": round(time.monotonic() - began, 1)}


def stored_best(name: str) -> dict[str, Any]:
    """Which pipeline of the grid is the best on this machine, with when it was measured."""
    stored = read_json(truth_file("fix"))
    if name not in stored:
        msg = f"no best pipeline of a grid is stored for {machine_name()}: run.py fix --truth measures it"
        raise NotMeasuredError(msg)
    return dict(stored[name])


def measure_best(name: str, one: Session, entered: Mapping[str, Version]) -> dict[str, Any]:
    """Find the best of the grid, and store it."""
    grid = {key: version for key, version in entered.items() if key not in {FIXED, EVERYWHERE}}
    rates, left_out = one.select(grid, SELECTING_ROUNDS)
    found = {
        "best": best_of_grid(as_one(rates)),
        "grid": len(grid) - len(left_out),
        "rates": rates,
        "left_out": left_out,
    }
    return store("fix", name, found)


def measured(name: str, folder: Path) -> dict[str, Any]:
    """One pipeline: `fix`, then its result against the best of the grid."""
    from session import is_same, session, start_of, versions

    from pipeprof.profiles.document.store import load_profile

    case, truth = CASES[name], None if wants_truth() else stored_best(name)
    if str(PUBLIC) in case.target:
        public_data(folder)
    os.chdir(folder)
    out = folder / "fix.json"
    out.unlink(missing_ok=True)
    run = fixed(case, out, folder)
    if run["exit_code"] or not out.exists():
        return result(False, {"exit_code": run["exit_code"]}, run)
    profile = load_profile(out)
    found = profile.fix
    assert found is not None
    start = start_of(case)
    entered = versions(start, profile)
    mean = profile.steps.interval_ms.mean if profile.steps is not None and profile.steps.interval_ms else None
    interval = (mean or 0.0) / 1e3
    with session(case, start, interval) as one:
        truth = truth or measure_best(name, one, entered)
        best, most = truth["best"], most_rounds(interval)
        if best != AS_IT_IS and best not in entered:
            msg = f"the best pipeline of the stored grid, {best}, cannot be made any more: run.py fix --truth"
            raise NotMeasuredError(msg)
        compared = {key: entered[key] for key in entered if key in {best, FIXED, EVERYWHERE}}
        rates = one.compare(compared, lambda so_far: enough(so_far, best, most))
    figures = {
        **judge(best, as_one(rates)),
        "grid": truth["grid"],
        "status": found.status,
        "speedup": (found.measured or {}).get("speedup"),
        "measuring_seconds": found.seconds,
        "wall_seconds": run["seconds"],
        "changes": [step.change for step in found.steps if step.result == "taken"],
        "same_as_best": FIXED in entered and best in entered and is_same(entered[FIXED], entered[best]),
    }
    late = found.seconds > BUDGET * 1.05
    outcome = "does not hold" if late else figures.pop("outcome")
    told = {key: figures[key] for key in ("gain", "best", "share_of_best", "over_autotune", "measuring_seconds")}
    print(f"{name}: {told}; {outcome}", flush=True)
    kept = {key: truth[key] for key in ("commit", "date", "machine")}
    raw = {"fix": found.model_dump(mode="json"), "rates": rates, "run": run}
    return {"outcome": outcome, "figures": figures, "raw": raw, "truth": kept}


BENCHMARK = Benchmark(
    claim="the result of fix has 95 % of the rate of the best of a grid within 60 s of measuring, and is not slower "
    "than AUTOTUNE everywhere",
    cases=tuple(CASES),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
