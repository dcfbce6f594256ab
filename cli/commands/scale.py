"""``pipeprof scale``: how many workers of a tf.data service a pipeline needs, and whether they pay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.scaling.options import PROCESSING_MODES, ScaleOptions

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.findings import Better
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.scale.rates import Price
    from pipeprof.profiles.scale.scale import ScalePlan

DEFAULT_BUDGET = 60.0
"""Seconds of measuring with workers."""
VERIFY_SHARE = 0.5
"""Of the budget that trying changes without workers takes at most."""
RUN_SECONDS = 4.0
"""Length of the measurement of the pipeline as it is."""
WARM_SECONDS = 4.0
"""Of it, before: what counts later is measured by turns."""
MOST_WORKERS = 1024
"""More are a slip."""
_LINK = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<prefix>[kMGT])(?P<unit>bit|B)(?:/s)?")
_PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_PRICE = re.compile(r"(?P<name>host|worker)=(?P<number>[0-9]+(?:\.[0-9]+)?)")

EPILOG = epilog(
    "pipeprof scale spec.yaml --step simulate:20ms",
    "pipeprof scale train.py:make_dataset --worker-cores 4 --price host=3.06,worker=0.17 --link 10Gbit",
    "pipeprof scale spec.yaml --predict-only",
)


def scale(given: ScaleOptions) -> None:
    """Predict and measure how many workers of a tf.data service a pipeline needs.

    For each place where the pipeline can be cut: what is sent for a batch, and what it costs both sides. For the best
    one, numbers of workers are measured by turns, as processes on this machine, scaled down together with the step.
    """
    import sys
    import time
    from contextlib import ExitStack
    from functools import partial

    from pipeprof.cli import options, output, streams
    from pipeprof.cli.commands.run import Measuring, finish, make_writer, notes_on, read_target, refuse, verify_findings
    from pipeprof.cli.targets.settings import settings_of
    from pipeprof.cli.text.progress import progress_for
    from pipeprof.profiles.harness.harness import run_undisturbed
    from pipeprof.profiles.scale.scale import scale as measure

    options.choice("--color", given.color, options.COLORS)
    plan = plan_of(given)
    settings = partial(settings_of(given), seconds=options.duration("--seconds", given.seconds) or RUN_SECONDS)
    outputs = output.plan_outputs(
        given.out, given.form, json=given.json, force=given.force, command="scale", redact=given.redact
    )
    selection = output.select(outputs, verbose=given.verbose)
    if (read := read_target(given, outputs, "scale")) is None:
        return
    changes, parsed, loaded = read
    _check_target(given, parsed, loaded)
    verifies = not given.no_verify and not given.predict_only
    warm = None if _has_warm_up(loaded) else WARM_SECONDS
    chosen = settings(target=parsed, loaded=loaded, warmup_seconds=warm, calibrate=verifies)
    for note in notes_on(chosen, tries=verifies):
        streams.say(f"pipeprof: note: {note}")
    writer = make_writer(parsed, loaded, outputs)
    end_at = time.monotonic() + chosen.max_time if chosen.max_time is not None else None
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    with ExitStack() as ending:
        try:
            profile, _ = run_undisturbed(chosen, writer, progress, budget=plan.budget, end_at=end_at)
            # What was measured is reported, whatever ends what follows.
            ending.callback(finish, profile, writer, outputs, selection, color=given.color)
            if not profile.exit_code:
                _refuse_service(profile)
                earlier = _earlier(parsed, loaded, profile)
                better = known_change(earlier, profile) if earlier is not None else None
                if verifies and (earlier is None or earlier.verification is None):
                    run = Measuring(chosen, writer, progress, end_at)
                    verify_findings(profile, run, VERIFY_SHARE * plan.budget, changes)
                    better = best_change(profile)
            if not profile.exit_code:
                save = partial(writer.write, profile)
                try:
                    measure(profile, chosen, plan, progress, better=better, end_at=end_at, save=save)
                finally:
                    writer.write(profile, final=True)
        finally:
            progress.close()
    refuse(profile, loaded)
    raise typer.Exit(profile.exit_code or 0)


def plan_of(given: ScaleOptions) -> ScalePlan:
    """Parse what is asked.

    Raises:
        UsageError: A value is wrong, or options contradict each other.
    """
    from pipeprof.cli import options
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.scale.scale import MOST_MEASURED, ScalePlan

    default = ScalePlan()
    measured, most = options.whole("--measure", given.measure), options.whole("--workers", given.workers)
    cores = options.whole("--worker-cores", given.worker_cores)
    if most is not None and most > MOST_WORKERS:
        raise UsageError(f"--workers: got {most:,}, expected at most {MOST_WORKERS:,}")
    if measured is not None and given.predict_only:
        raise UsageError("--measure is about what --predict-only leaves out: remove one of them")
    if measured is not None and measured > MOST_MEASURED:
        raise UsageError(
            f"--measure: got {measured:,}, expected at most {MOST_MEASURED}: all of them take turns on this machine"
        )
    if measured is not None and most is not None and measured > most:
        raise UsageError(f"--measure {measured} is more than --workers {most}: raise --workers, or remove it")
    return ScalePlan(
        most=most or max(default.most, measured or 0),
        measure=measured,
        worker_cores=float(cores) if cores is not None else None,
        processing_mode=options.choice("--processing-mode", given.mode or PROCESSING_MODES[0], PROCESSING_MODES),
        link=link_of(given.link),
        price=price_of(given.price),
        predict_only=given.predict_only,
        budget=options.duration("--budget", given.budget) or DEFAULT_BUDGET,
    )


def link_of(text: str | None) -> float | None:
    """Parse ``--link`` into bytes per second.

    Raises:
        UsageError: It is no bandwidth above 0.

    Example:
        >>> link_of("10Gbit"), link_of("1.5 GB/s")
        (1250000000.0, 1500000000.0)
    """
    from pipeprof.pipelines.errors import UsageError

    if text is None:
        return None
    found = _LINK.fullmatch(text.strip())
    number = float(found["number"]) if found is not None else 0.0
    if found is None or number <= 0:
        raise UsageError(
            f"--link: got {text[:30]!r}, expected a bandwidth above 0 with its unit, e.g. 10Gbit or 1.25GB"
        )
    return number * _PREFIXES[found["prefix"]] / (8 if found["unit"] == "bit" else 1)


def price_of(text: str | None) -> Price | None:
    """Parse ``--price``.

    Raises:
        UsageError: It does not name both prices once, or the host costs nothing.

    Example:
        >>> price_of("host=3.06,worker=0.17")
        Price(host=3.06, worker=0.17)
    """
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.scale.rates import Price

    if text is None:
        return None
    parts = [_PRICE.fullmatch(part.strip()) for part in text.split(",")]
    known = {part["name"]: float(part["number"]) for part in parts if part is not None}
    if len(known) != 2 or len(parts) != 2 or not known["host"] > 0:
        raise UsageError(
            f"--price: got {text[:40]!r}, expected host=X,worker=Y, what an hour of each costs, e.g. "
            "host=3.06,worker=0.17"
        )
    return Price(**known)


def best_change(profile: Profile) -> Better | None:
    """The change of a profile that was measured to gain most without workers; None where none holds."""
    from pipeprof.profiles.document.findings import Better

    found = [
        Better(title=one.title, speedup=one.measured["speedup"], low=one.measured.get("low"))
        for one in profile.findings or ()
        if one.status == "kept" and one.measured and one.measured.get("speedup")
    ]
    return max((one for one in found if one.speedup > 1), key=lambda one: one.speedup, default=None)


def _has_warm_up(loaded: LoadedSpec | None) -> bool:
    """Whether a spec states how long its warm-up is."""
    return loaded is not None and "warmup_seconds" in loaded.spec.measure.model_fields_set


def _earlier(parsed: ParsedTarget, loaded: LoadedSpec | None, profile: Profile) -> Profile | None:
    """The latest saved run of the same pipeline with the same step; None without one."""
    from pipeprof.cli.targets.saved import latest_run
    from pipeprof.profiles.fix.earlier import have_same_step

    found = latest_run(parsed, loaded, profile.target)
    return found[1] if found is not None and have_same_step(found[1], profile) else None


def known_change(earlier: Profile, profile: Profile) -> Better | None:
    """The change that an earlier run of the same pipeline measured to gain most; None where none holds."""
    from pipeprof.profiles.document.findings import Better
    from pipeprof.profiles.fix.earlier import proven_changes

    for one in proven_changes(earlier, profile):
        if one.measured is not None and one.measured[0] > 1:
            return Better(title=one.title, speedup=one.measured[0], low=one.measured[1])
    return None


def _check_target(given: ScaleOptions, parsed: ParsedTarget, loaded: LoadedSpec | None) -> None:
    """Refuse what cannot be cut, before anything is measured.

    Raises:
        UsageError: It is a script, or a spec that reads from a service.
    """
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.ops.traits import traits

    if parsed.kind == "script":
        raise UsageError(f"scale cuts a pipeline in two, and {given.target} is a training script: name its function")
    if loaded is None:
        return
    remote = next((placed for placed in loaded.spec.placed() if traits(placed.op.op).remote), None)
    if remote is not None:
        raise UsageError(f"{given.target} {_HAS_SERVICE.format(remote.op.op)}")


_HAS_SERVICE = (
    "reads from a tf.data service already ({}): remove that stage, scale finds its place and the number of workers"
)


def _refuse_service(profile: Profile) -> None:
    """Refuse a function whose pipeline reads from a service.

    Raises:
        UsageError: It does.
    """
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.scale.cuts import reads_from_service
    from pipeprof.profiles.wording import stage_label

    stage = reads_from_service(profile)
    if stage is not None:
        profile.exit_code = UsageError.exit_code
        raise UsageError(f"{profile.target.text} {_HAS_SERVICE.format(stage_label(stage))}")
