"""Planted memory: the ledger of ``pipeprof run`` against controlled experiments, and the prediction against both.

Each case of memory_pipelines.py is run by pipeprof, in a plain loop, and in that loop without each planted owner, each
in a process of its own. A plain loop tells two peaks: while it is made, until the first batch is out, and while it
runs. The truth of an owner is the difference of the peaks in that one of the two in which pipeprof's worker had the
peak of the ledger: of peaks wherever each lies the shuffle of `several` came out at 130 MB, which holds 250 elements of
1 MB, as without it the peak is where the array is made.

A plain loop is run three times, and its peaks are the medians: which free pieces the pool gives to whom differs, and of
single runs the truth of that shuffle came out between 201 and 249 MB. Two loops run side by side.

Demanded, and written down before the first run:

* of every owner whose truth is 100 MB or more, the ledger says within 25 % of the truth; batches on their way are one
  owner, that in the step among them;
* an alias is counted with 0 bytes, and so listed;
* the rest, which is nobody's, is at most 15 % of the peak, in each of ten runs of `prefetch_batches`, whose allocators
  keep more in one run than in another; what Python holds in `python_table` is the rest's;
* where all element specs are static, the prediction is within 20 % of that rise.

Without TensorFlow's pool (`TF_ENABLE_ONEDNN_OPTS=0`) tensors lie in glibc's heap, whose freed blocks may break a case.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run import pipeprof

HERE = Path(__file__).resolve().parent
PIPELINES = HERE / "memory_pipelines.py"
OWNER_BYTES = 100_000_000
OWNER, REST, PREDICTION = 0.25, 0.15, 0.20
SECONDS = 3
PATIENCE = 300
LOOPS, TOGETHER = 3, 2
MB = 1e6
MAKING = ("import", "data", "build", "first_element")
"""Phases of a profile until the first batch is out."""


@dataclass(frozen=True)
class Case:
    """What is planted.

    Attributes:
        owners: The owners that can be left out.
        static: All element specs are static, so that the prediction is judged.
        aliases: Owners whose tensors are another's.
        rest: The rest is judged.
        step_ms: How long a step takes; 0 for none.
        runs: How often pipeprof runs it; of several runs only what is unexplained is demanded, of each.
    """

    owners: tuple[str, ...]
    static: bool = True
    aliases: tuple[str, ...] = ()
    rest: bool = True
    step_ms: int = 0
    runs: int = 1


CASES = {
    "array_eager": Case(("source",)),
    "array_in_graph": Case(("source",)),
    "array_captured": Case(("source",)),
    "array_captured_large": Case(("source",)),
    "shuffle_images": Case(("shuffle",)),
    "shuffle_scalars": Case(("shuffle",)),
    "shuffle_slices": Case(("shuffle",)),
    "cache_features": Case(("cache",)),
    "prefetch_deep": Case(("prefetch",), step_ms=20),
    "prefetch_batches": Case((), static=False, runs=10),
    "interleave_shuffles": Case(("shuffle",)),
    "padded_batches": Case(("parallel",), static=False),
    "shuffle_ragged": Case(("shuffle",), static=False),
    "shuffle_strings": Case(("shuffle",), static=False),
    "several": Case(("source", "shuffle", "prefetch"), step_ms=10),
    "shuffle_of_views": Case(("shuffle",), aliases=("shuffle",)),
    "python_table": Case((), static=False, rest=False),
    "cache_of_views": Case(("cache",), aliases=("cache",)),
}


def rise(name: str, case: Case, without: str = "") -> dict[str, int]:
    """The plain loop's peaks above TensorFlow's own, while made and while running, and the bytes of a batch."""
    words = (PIPELINES, name, without, str(case.step_ms / 1e3))
    with tempfile.TemporaryDirectory() as folder:
        done = pipeprof(*words, folder=folder, patience=PATIENCE, program=[sys.executable])
    done.check_returncode()
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def median_of(runs: list[dict[str, int]]) -> dict[str, int]:
    """Each number's median."""
    return {key: round(statistics.median(one[key] for one in runs)) for key in runs[0]}


def profile(name: str, case: Case) -> dict[str, Any]:
    """What pipeprof says."""
    step = f"simulate:{case.step_ms}ms" if case.step_ms else "none"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "profile.json")
        options = ["--step", step, "--seconds", str(SECONDS), "--no-verify", "--quiet", "--out", str(out)]
        pipeprof("run", f"{PIPELINES}:{name}", *options, folder=folder, patience=PATIENCE).check_returncode()
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def judge(
    case: Case, memory: dict[str, Any], whole: dict[str, int], parts: dict[str, dict[str, int]]
) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was expected and said, and which of the demands hold."""
    above = memory["peak_bytes"] - memory["baseline_bytes"]
    stretch = "making" if memory["peak_phase"] in MAKING else "running"
    rose = f"{stretch}_bytes"
    ledger: dict[str, int] = {}
    for entry in memory["ledger"]:
        ledger[entry["owner"]] = ledger.get(entry["owner"], 0) + entry["bytes"]
    owners, claims = {}, {}
    for owner, part in parts.items():
        truth = whole[rose] - part[rose]
        said = ledger.get(owner, 0)
        owners[owner] = {"truth_mb": round(truth / MB, 1), "ledger_mb": round(said / MB, 1)}
        if owner in case.aliases:
            listed = [one for one in memory["ledger"] if one["owner"] == owner]
            claims[owner] = [one["how"] for one in listed] == ["alias"] and said == 0
        elif truth >= OWNER_BYTES:
            owners[owner]["off"] = round(said / truth - 1, 4)
            claims[owner] = abs(said - truth) <= OWNER * truth
    rest = memory["unexplained_bytes"] / memory["peak_bytes"]
    predicted = memory["predicted_bytes"]
    figures = {
        "owners": owners,
        "rise_mb": round(above / MB, 1),
        "peak_while": stretch,
        "plain_rise_mb": round(whole[rose] / MB, 1),
        "rest_share": round(rest, 4),
        "predicted_mb": round(predicted / MB, 1) if predicted is not None else None,
        "prediction_off": round(predicted / above - 1, 4) if predicted is not None else None,
    }
    if case.rest:
        claims["rest"] = 0 <= rest <= REST
    if case.static:
        claims["prediction"] = predicted is not None and abs(predicted - above) <= PREDICTION * above
    return figures, claims


def run_case(name: str) -> dict[str, Any]:
    """Measure and judge one case."""
    case = CASES[name]
    variants = ("", *case.owners)
    with ThreadPoolExecutor(TOGETHER) as pool:
        rises = list(
            pool.map(lambda without: rise(name, case, without), [one for one in variants for _ in range(LOOPS)])
        )
    loops = {without: rises[LOOPS * n : LOOPS * (n + 1)] for n, without in enumerate(variants)}
    whole, parts = median_of(loops[""]), {owner: median_of(loops[owner]) for owner in case.owners}
    found = profile(name, case)
    figures, claims = judge(case, found["memory"], whole, parts)
    if case.runs > 1:
        more = [judge(case, profile(name, case)["memory"], whole, parts)[0] for _ in range(case.runs - 1)]
        shares = [one["rest_share"] for one in (figures, *more)]
        figures["rest_shares"] = shares
        claims = {"rest": all(0 <= share <= REST for share in shares)}
    broken = [claim for claim, holds in claims.items() if not holds]
    said = ", ".join(f"{o} {v['ledger_mb']} of {v['truth_mb']} MB" for o, v in figures["owners"].items())
    print(
        f"memory/{name}, while {figures['peak_while']}: {said}; rest {figures['rest_share']:.1%}, "
        f"predicted {figures['predicted_mb']} of {figures['rise_mb']} MB; "
        + (f"DOES NOT HOLD: {', '.join(broken)}" if broken else "holds"),
        flush=True,
    )
    memory = {key: value for key, value in found["memory"].items() if key != "series"}
    return {
        "figures": figures | {"claims": claims, "holds": not broken},
        "raw": {"whole": loops.pop(""), "without": loops, "memory": memory, "warnings": found["warnings"]},
    }
