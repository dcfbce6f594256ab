"""Whether workers of a tf.data service pay, and how many: from a measured run to the result in its profile."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from statistics import median

from pipeprof.pipelines.edits.edits import to_document
from pipeprof.pipelines.errors import PipeprofError, UsageError
from pipeprof.profiles.document.findings import Better, Scale, ScaleCut, ScaleRow, ScaleStatus, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.team import InterruptedVerificationError, MemberFailedError, Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.lock import measuring_lock, waiting_note
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import machine_memory
from pipeprof.profiles.host.system_faults import system_fault
from pipeprof.profiles.lines import written_ops
from pipeprof.profiles.model.calibration import costs_of, keep, measured_alone, measured_costs
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import TurnEnded
from pipeprof.profiles.scale import words
from pipeprof.profiles.scale.cuts import Cut, cuts_of, most_alone
from pipeprof.profiles.scale.proof import (
    Alone,
    MeasuredNumbers,
    Scaled,
    factor_of,
    first_factor,
    largest_share_error,
    measure_numbers,
    numbers_to_measure,
    stretched,
)
from pipeprof.profiles.scale.rates import WORTH, Load, Price, Seen, Setting, calibrated, enough, number_of, rate_of
from pipeprof.profiles.scale.transport import NAMES, measure_transport
from pipeprof.profiles.verify.plan import cannot_verify
from pipeprof.profiles.wording import stage_name

EXIT_FAILED = 1
MOST_CUTS = 3
"""That are tried where TensorFlow refuses one that looked possible."""
MOST_MEASURED = 16
"""Workers that are measured at most: a round has one block for each number."""
ALIKE = 0.03
"""Part of the rate by which two cuts may differ and count as equally fast."""
SMALLEST_WAIT = 0.03
"""Part of the device's time that it waits, below which there is nothing to gain."""
DIGEST_SECONDS = 0.2


@dataclass(frozen=True)
class ScalePlan:
    """What is asked.

    Attributes:
        most: Workers that are considered at most.
        measure: Numbers of workers that are measured, all up to it; None for those that decide.
        worker_cores: Of each worker; None for as many as the host has.
        link: Bytes per second to the host; None for any number.
        budget: Seconds that measuring with workers may take.
    """

    _: KW_ONLY
    most: int = 8
    measure: int | None = None
    worker_cores: float | None = None
    processing_mode: str = "distributed_epoch"
    link: float | None = None
    price: Price | None = None
    predict_only: bool = False
    budget: float = 60.0


def scale(
    profile: Profile,
    settings: RunSettings,
    plan: ScalePlan,
    progress: RunProgress,
    *,
    better: Better | None = None,
    end_at: float | None = None,
    save: Callable[[], object] = lambda: None,
) -> None:
    """Predict and measure a pipeline with workers, and write the result into the profile of its run.

    Args:
        profile: A complete one of the pipeline as it is; its `scale` is set, and its exit code where a signal came.
        better: The best change without a worker that was measured.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.

    Raises:
        UsageError: So many workers cannot be measured on this machine.
    """
    with Signals().installed() as signals:
        scaling = _Scaling(profile, settings, plan, progress, better, end_at, save, signals)
        profile.scale = scaling.result
        try:
            with (
                measuring_lock(settings.command, limit=settings.lock_patience, waiting=scaling.waiting)
                if settings.lock and not plan.predict_only
                else contextlib.nullcontext()
            ):
                scaling.run()
        except InterruptedVerificationError:
            scaling.end("interrupted before it was measured")
        except UsageError as error:
            scaling.end(str(error), error.exit_code)
            raise
        except (PipeprofError, OSError) as error:
            fault = system_fault(error) or error
            scaling.end(str(fault), fault.exit_code if isinstance(fault, PipeprofError) else EXIT_FAILED)
        finally:
            progress.close()
        if signals.exit_code is not None and not profile.exit_code:
            profile.exit_code = signals.exit_code


@dataclass
class _Scaling:
    profile: Profile
    settings: RunSettings
    plan: ScalePlan
    progress: RunProgress
    better: Better | None
    end_at: float | None
    save: Callable[[], object]
    signals: Signals

    def __post_init__(self) -> None:
        self._note_waiting = waiting_note(self.progress.note, self.settings.lock_patience)
        self._began = time.monotonic()
        self._cores = self.profile.host.cores or 1.0
        steps = self.profile.steps
        self._busy_ms = (steps.busy_ms.mean or 0.0) if steps is not None and steps.busy_ms is not None else 0.0
        plan = self.plan
        ahead = steps is not None and steps.dispatch not in (None, "sync", 0)
        self.setting = Setting(self._cores, plan.worker_cores or self._cores, self._busy_ms, plan.link, ahead)
        self._cuts: list[Cut] = []
        machine = limits.memory_limit(None, limits.cgroup_memory(Cgroup()), machine_memory())
        self._memory = machine.bytes if machine is not None else None
        self.result = Scale(
            status="interrupted",
            sentence="not finished",
            worker_cores=self.setting.worker_cores,
            processing_mode=plan.processing_mode,
            step_ms=self._busy_ms or None,
            link_bytes_per_second=plan.link,
            price_of_host=plan.price.host if plan.price is not None else None,
            price_of_worker=plan.price.worker if plan.price is not None else None,
            better=self.better,
        )

    def waiting(self, pid: int | None, seconds: float) -> None:
        """Note who is waited for, and let a signal end the wait for another command that measures.

        Raises:
            InterruptedVerificationError: One came.
        """
        if self.signals.asked is not None:
            raise InterruptedVerificationError
        self._note_waiting(pid, seconds)

    def end(self, reason: str, exit_code: int = EXIT_FAILED) -> None:
        """Write into the result what there is where something ended the command."""
        self.result.status, self.result.sentence = "interrupted", reason
        self.profile.exit_code = self.profile.exit_code or self.signals.exit_code or exit_code

    def run(self) -> None:
        """Predict, and measure unless that is not wanted or cannot change the answer."""
        reason = cannot_verify(self.profile)
        if reason is not None:
            self._conclude("not-proven", f"not measured: {reason}")
            return
        with Team(self.signals, self._memory).closing() as team:
            costs = costs_of(self.profile)
            if not self.plan.predict_only and not self._is_settled():
                costs = replace(costs, **self._transport(team))
            self._cuts = cuts_of(self.profile, costs)
            best = self._best()
            self._list_cuts()
            if best is None or best.load is None:
                self._conclude("no", self._no_cut())
                return
            self._predict(best, best.load, "run")
            if self.plan.predict_only:
                self._conclude("predicted", words.predicted_text(self.result, self._recommended(best.load)))
                return
            if (why := self._without_measuring(best.load)) is not None and self.plan.measure is None:
                self._conclude("no", why)
                return
            self._prove(team, best)

    def _is_settled(self) -> bool:
        """Whether nothing that is measured with workers can change the answer."""
        return self.plan.measure is None and self._no_wait() is not None

    def _no_wait(self) -> float | None:
        """The share of the time that the device waits, where it is too small for anything to gain; else None."""
        steps = self.profile.steps
        share = steps.wait_share if steps is not None and self._busy_ms else None
        return share if share is not None and share < SMALLEST_WAIT else None

    def _without_measuring(self, load: Load) -> str | None:
        """Why workers are no answer, in words, from what was measured without any; None where they may be one."""
        if (share := self._no_wait()) is not None:
            return words.because_of_step(share)
        gain = max(self._rates(load)) / self._alone
        if self.better is not None and (self.better.low or self.better.speedup) * (1 + WORTH) >= gain:
            return words.because_of_fix(self.better)
        return None

    @property
    def _alone(self) -> float:
        """Batches per second without a service: measured by turns, before that by the run."""
        first = next(iter(self.result.rows), None)
        if first is not None and first.batches_per_second:
            return first.batches_per_second
        throughput = self.profile.throughput
        return (throughput.batches_per_second or 0.0) if throughput is not None else 0.0

    @property
    def _alone_run(self) -> Alone:
        """What the pipeline takes and gives without a service."""
        cpu = self.profile.cpu
        return Alone(cpu.total_ms if cpu is not None else 0.0, self._alone, most_alone(self.profile))

    def _rates(self, load: Load) -> list[float]:
        numbers = range(1, self.plan.most + 1)
        return [self._alone, *(rate_of(load, self.setting, number).batches_per_second for number in numbers)]

    def _recommended(self, load: Load) -> int:
        return number_of(self._rates(load), self.plan.price)

    def _to_measure(self, number: int) -> list[int]:
        """The numbers that decide about a recommended one."""
        return numbers_to_measure(max(number, 1), min(self.plan.most, MOST_MEASURED), self.plan.measure)

    def _transport(self, team: Team) -> Mapping[str, float]:
        """What an element costs both sides on this machine: measured, unless that is known; empty where it failed."""
        host, version = self.profile.host, self.profile.versions.get("tensorflow")
        self.result.costs_known_by = "measured"
        if set(NAMES) <= set(measured_costs(host, version)):
            return {}
        self.progress.phase("measuring what the service costs on this machine, once", None)
        measured = None
        with contextlib.suppress(MemberFailedError):
            measured = measure_transport(team, self._timeout, self._tick)
        if measured is None:
            self.result.costs_known_by = "constants"
            return {}
        if measured_alone(self.profile):
            keep(host, version, measured)
        return measured

    @property
    def _timeout(self) -> float:
        return self.settings.timeout if self.settings.timeout is not None else 60.0

    def _tick(self, done: int, total: int) -> None:
        self.progress.tick(None, float(done), float(total))

    def _best(self) -> Cut | None:
        """The cut that gives most, of those alike the one with the fewest workers, then with the least to receive."""
        known = [(cut, cut.load) for cut in self._cuts if cut.load is not None]
        if not known:
            return None
        reached = {cut.stage.id: self._reached(load) for cut, load in known}
        most = max(rate for _, rate in reached.values())
        alike = [(cut, load) for cut, load in known if reached[cut.stage.id][1] >= (1 - ALIKE) * most]
        return min(alike, key=lambda one: (reached[one[0].stage.id][0], one[1].client_ms))[0]

    def _reached(self, load: Load) -> tuple[int, float]:
        """The number of workers that is enough, and the rate with them; the largest where none pays."""
        rates = self._rates(load)
        number = number_of(rates, self.plan.price)
        return (number, rates[number]) if number else (len(rates), max(rates[1:]))

    def _list_cuts(self) -> None:
        self.result.cuts = [self._as_cut(cut) for cut in self._cuts]

    def _as_cut(self, cut: Cut) -> ScaleCut:
        found = ScaleCut(stage=cut.stage.id, name=stage_name(cut.stage), refused=cut.why)
        if cut.load is not None:
            rates = self._rates(cut.load)
            number = number_of(rates, self.plan.price)
            found.messages_per_batch, found.bytes_per_batch = cut.messages, cut.sent
            found.worker_ms, found.client_ms = cut.load.worker_ms, cut.load.client_ms
            found.workers, found.batches_per_second = number, rates[number] if number else max(rates[1:])
        return found

    def _no_cut(self) -> str:
        reasons = list(dict.fromkeys(cut.why for cut in self._cuts if cut.why is not None))
        return f"no: no part of the pipeline can run on workers: {'; '.join(reasons) or 'its stages are not known'}"

    def _predict(self, cut: Cut, load: Load, by: str) -> None:
        """Write the predicted rates of a cut into the rows; what was measured stays."""
        edit = cut.edit(self.plan.processing_mode)
        self.result.stage, self.result.edit = cut.stage.id, documents_of([edit])
        self.result.lines = words.lines_of(self.plan.processing_mode, spec=self.settings.loaded is not None)
        known = {row.workers: row for row in self.result.rows}
        first = known.get(0, ScaleRow(workers=0, predicted=self._alone, predicted_by="run"))
        rows = [first]
        for number in range(1, self._last_row(load) + 1):
            found = rate_of(load, self.setting, number)
            row = known.get(number, ScaleRow(workers=number))
            row.predicted, row.limit = found.batches_per_second, found.limit
            row.predicted_by = "worker" if by == "worker" else "run"
            rows.append(row)
        self.result.rows = rows
        self._add_prices()

    def _last_row(self, load: Load) -> int:
        """The number of workers up to which there are rows: one more than is recommended, and all that is measured."""
        measured = [row.workers for row in self.result.rows if row.batches_per_second is not None]
        return max(min(self._recommended(load) + 1, self.plan.most), self.plan.measure or 1, *measured)

    def _largest(self) -> ScaleRow | None:
        """The prediction for the largest number of workers; None where that was measured."""
        return self._predicted(self.plan.most)

    def _promised(self) -> ScaleRow | None:
        """The prediction for the number that one measured worker recommends; None where that is none, or measured."""
        load = self._chosen_load()
        return self._predicted(self._recommended(load)) if load is not None else None

    def _predicted(self, number: int) -> ScaleRow | None:
        """The prediction for more workers than were measured; None for others."""
        load, rows = self._chosen_load(), self.result.rows
        measured = max((row.workers for row in rows if row.batches_per_second is not None), default=0)
        if load is None or measured >= number:
            return None
        found = rate_of(load, self.setting, number)
        return ScaleRow(workers=number, predicted=found.batches_per_second, limit=found.limit)

    def _chosen_load(self) -> Load | None:
        """The costs of the best cut, as far as they are known by now."""
        return next((cut.load for cut in self._cuts if cut.stage.id == self.result.stage), None)

    def _add_prices(self) -> None:
        price = self.plan.price
        for row in self.result.rows if price is not None else ():
            rate = row.batches_per_second or row.predicted
            rate = self._carried(rate) if rate and row.workers else rate
            row.price = price.of_million(row.workers, rate) if price is not None and rate else None

    def _prove(self, team: Team, best: Cut) -> None:
        """Measure one worker, then the numbers that decide; another cut where TensorFlow refuses this one."""
        jobs, cut = self._jobs(), best
        for _ in range(MOST_CUTS):
            try:
                first = self._numbers(team, jobs, cut, [0, 1], "one worker")
            except MemberFailedError as error:
                if error.crowded or error.outside or error.name != "1":
                    self._failed(error)
                    return
                self._cuts = [one.refused(error.reason) if one.stage is cut.stage else one for one in self._cuts]
                self._list_cuts()
                following = self._best()
                if following is None or following.load is None:
                    break
                cut = following
                self._predict(cut, following.load, "run")
                continue
            self._judge(team, jobs, cut, first)
            return
        self._conclude("no", self._no_cut())

    def _judge(self, team: Team, jobs: JobMaker, cut: Cut, first: MeasuredNumbers) -> None:
        """Predict from one worker, and measure the numbers that decide."""
        found = first.rate(1)
        if found is None or first.rate(0) is None:
            self._conclude("not-proven", "not measured: no step came in time")
            return
        self._take(first)
        worker_ms, client_ms, loop_ms = (self._cpu_ms(first, 1, read) for read in (_workers, _own, _loop))
        seen = Seen(found.value, worker_ms, client_ms, loop_ms)
        assert cut.load is not None  # noqa: S101 - for the type checker
        # In the proof there is no link.
        load = calibrated(cut.load, replace(self.setting, link=None), seen)
        seen_cut = replace(cut, load=load)
        self._cuts = [seen_cut if one.stage is cut.stage else one for one in self._cuts]
        cut = seen_cut
        self._predict(cut, load, "worker")
        self.save()
        number = self._recommended(load)
        if not number and self.plan.measure is None:
            self._conclude("no", self._no(self._rates(load)))
            return
        measured = first
        for _ in range(2):
            numbers = self._to_measure(number)
            if numbers != [0, 1]:
                try:
                    measured = self._numbers(team, jobs, cut, numbers, f"up to {numbers[-1]} workers")
                except MemberFailedError as error:
                    self._failed(error)
                    return
                self._take(measured)
                self.save()
            rates = self._measured_rates(measured)
            number = number_of(rates, self.plan.price)
            last = numbers[-1] >= min(self.plan.most, MOST_MEASURED) or self.plan.measure is not None
            if number < numbers[-1] or last or self._is_late():
                break
        self._decide(number, rates)

    def _decide(self, number: int, rates: Sequence[float]) -> None:
        """Conclude from what was measured.

        Args:
            rates: Batches per second by the number of workers, as far as the link carries them.
        """
        row = next((row for row in self.result.rows if row.workers == number), None)
        carried = rates[number] / row.batches_per_second if row is not None and row.batches_per_second else 1.0
        holds = row is not None and row.speedup_low is not None and row.speedup_low * carried > 1 + ALIKE
        promised = self._promised()
        if not number and promised is not None:
            self._conclude("not-proven", f"not proven: {words.promised_text(self.result, promised)}")
        elif not number or row is None:
            self._conclude("no", self._no(rates))
        elif self.better is not None and self.better.speedup * (1 + WORTH) >= (row.speedup or 1.0) * carried:
            self._conclude("no", words.because_of_fix(self.better))
        elif not holds:
            gain = words.gain_text(row)
            said = words.workers_text(number, self.setting.worker_cores)
            self._conclude("not-proven", f"not proven: {said}: {gain}, too little to be certain")
        else:
            self.result.workers = number
            added = rates[number + 1] / rates[number] if number + 1 < len(rates) else None
            self._conclude("workers", words.recommended(number, self.setting.worker_cores, added))

    def _no(self, rates: Sequence[float]) -> str:
        """Why no number of workers is recommended, in words, from the rates by their number."""
        carried = self._carried(math.inf)
        if carried < (1 + WORTH) * rates[0]:
            return words.because_of_link(carried, rates[0])
        if self.plan.price is not None and enough(rates):
            return words.because_of_price(self.plan.price, rates, self.setting.worker_cores)
        return words.because_of_measure(self.result, self._largest())

    def _carried(self, rate: float) -> float:
        """A rate that was measured on this machine, or what the link carries where that is less."""
        load = self._chosen_load()
        sent = load.bytes_per_batch if load is not None else 0.0
        return min(rate, self.plan.link / sent) if self.plan.link is not None and sent else rate

    def _measured_rates(self, measured: MeasuredNumbers) -> list[float]:
        """Rates by the number of workers, from 0 on, as far as they go without a gap, and as the link carries them."""
        rates: list[float] = []
        for row in self.result.rows:
            found = measured.rate(row.workers)
            if found is None:
                break
            rates.append(self._carried(found.value) if row.workers else found.value)
        return rates

    def _failed(self, error: MemberFailedError) -> None:
        number = int(error.name)
        what = words.workers_text(number, self.setting.worker_cores) if number else "the pipeline without workers"
        self._conclude("not-proven", f"not measured: {what}: {error.reason}")

    def _conclude(self, status: ScaleStatus, sentence: str) -> None:
        self.result.status, self.result.sentence = status, sentence
        if status == "no":
            self.result.workers = 0
        self.result.seconds = round(time.monotonic() - self._began, 2)

    def _is_late(self) -> bool:
        """Whether the time for measuring is over."""
        now = time.monotonic()
        return now - self._began > self.plan.budget or (self.end_at is not None and now > self.end_at)

    def _jobs(self) -> JobMaker:
        return JobMaker(
            replace(self.settings, memory_limit=None),
            None,
            memory_limit=self._memory,
            digest_seconds=DIGEST_SECONDS,
            data_progress=self.progress.data,
            sha256=self.profile.target.sha256,
            ops=written_ops(self.profile),
        )

    def _numbers(self, team: Team, jobs: JobMaker, cut: Cut, numbers: Sequence[int], what: str) -> MeasuredNumbers:
        """Measure numbers of workers.

        Raises:
            MemberFailedError: A process failed.
            InterruptedVerificationError: The user wants an end.
            UsageError: So many do not fit into this machine, also scaled down.
        """
        load = cut.load
        assert load is not None  # noqa: S101 - for the type checker
        alone, expected = self._alone_run, self._to_measure(self._recommended(load))
        before = self.result.factor or first_factor(load, self.setting, expected, alone, cores=self._cores)
        factor = factor_of(load, self.setting, numbers, alone, cores=self._cores, before=before)
        scaled = Scaled(factor, self._cores, self.setting)
        if (why := largest_share_error(scaled, load, numbers)) is not None:
            raise UsageError(why)
        self.result.factor = factor
        real = stretched(jobs.planned.step, factor, self._busy_ms)
        self.result.simulated_step = real.kind != jobs.planned.step.kind
        edit = [json.dumps(to_document(cut.edit(self.plan.processing_mode)))]
        pinned = math.ceil(scaled.worker_share(load))
        made: Mapping[int, Job] = {
            number: jobs.on_workers(
                edit if number else (),
                number,
                scaled.shares(load, number, alone),
                pinned if pinned < self._cores else None,
                real,
            )
            for number in numbers
        }
        self.progress.phase(f"measuring {what}{'' if factor == 1 else f', scaled down to {factor:.2g}'}", None)
        if (name := jobs.changed_file()) is not None:
            raise PipeprofError(f"{name} has changed since it was measured")
        return measure_numbers(
            team, made, factor=factor, timeout=self._timeout, out_of_time=self._is_late, tick=self._tick
        )

    def _cpu_ms(
        self, measured: MeasuredNumbers, workers: int, read: Callable[[TurnEnded], float | None]
    ) -> float | None:
        """CPU time per batch; None where it was not read."""
        timed = [(read(block), block.steps) for block in measured.blocks(workers)]
        known = [1e3 * seconds / steps for seconds, steps in timed if seconds is not None and steps]
        return median(known) if known else None

    def _take(self, measured: MeasuredNumbers) -> None:
        """Write what was measured into the rows."""
        known = {row.workers: row for row in self.result.rows}
        for number in sorted({number for blocks in measured.rounds for number in blocks}):
            row, found = known.get(number), measured.rate(number)
            if row is None or found is None:
                continue
            row.batches_per_second, row.low, row.high = found.value, found.low, _finite(found.high)
            row.wait_share = measured.wait_share(number)
            row.worker_cores = measured.cores(number, _workers) if number else None
            row.client_cores = measured.cores(number, _own)
            row.memory_bytes = measured.memory(number)
            over = measured.over(number, 0) if number else None
            if over is not None:
                row.speedup, row.speedup_low, row.speedup_high = over.value, over.low, _finite(over.high)
            up = measured.over(number, number - 1) if number else None
            if up is not None:
                row.step_up, row.step_up_low, row.step_up_high = up.value, up.low, _finite(up.high)
        self._add_prices()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _workers(block: TurnEnded) -> float | None:
    return block.workers_cpu_seconds


def _own(block: TurnEnded) -> float | None:
    return block.counted_cpu_seconds


def _loop(block: TurnEnded) -> float | None:
    return block.loop_cpu_seconds
