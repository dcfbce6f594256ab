"""The sampler on planted readings, with a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.host.run_family import FamilyReading
from pipeprof.profiles.host.sampler import FAST_INTERVAL, INTERVAL, MEASURE_INTERVAL, SOAK_INTERVAL, Sampler, slope

MB = 1_000_000


class Planted:
    """A worker whose memory the test sets, on a clock of its own."""

    def __init__(self):
        self.now = 1000.0
        self.reading = FamilyReading(bytes=100 * MB)

    def read(self):
        return self.reading

    def sampler(self, **options):
        return Sampler(self, lambda: self.now, **options)


@pytest.fixture
def planted():
    return Planted()


def run(planted, sampler, rss, *, children=0):
    """One sample for each value of ``rss``, 0.05 s apart."""
    for value in rss:
        planted.now += 0.05
        planted.reading = FamilyReading(bytes=value, children=children)
        sampler.sample()


def test_a_sample_says_what_was_read_and_when_and_a_worker_that_has_ended_leaves_the_last(planted):
    sampler = planted.sampler()
    assert sampler.last is None
    planted.now += 2.5
    sampler.enter_phase("build")
    sample = sampler.sample()
    assert (sample.t, sample.used_bytes, sample.phase) == (2.5, 100 * MB, "build")
    planted.reading = None
    assert sampler.sample() is None
    assert (sampler.last, sampler.elapsed(), len(sampler.series().seconds)) == (sample, 2.5, 1)


def test_peaks_and_ends_by_phase(planted):
    sampler = planted.sampler()
    run(planted, sampler, [100, 300, 200])
    sampler.enter_phase("data")
    run(planted, sampler, [150, 120])
    sampler.enter_phase("build")
    assert sampler.peaks() == {"import": 300, "data": 150}
    assert sampler.ends() == {"import": 200, "data": 120}


class TestSeries:
    def test_it_is_bounded_and_keeps_the_largest_memory_and_phases(self, planted):
        sampler = planted.sampler(max_points=20)
        rss = [MB] * 500
        rss[321] = 9 * MB
        run(planted, sampler, rss)
        series = sampler.series()
        assert len(series.seconds) <= 21
        assert series.rss_bytes.count(max(series.rss_bytes)) == series.rss_bytes.count(9 * MB) == 1
        near = series.seconds[series.rss_bytes.index(9 * MB)]
        assert near == pytest.approx(0.05 * 322, abs=32 * 0.05)
        assert series.seconds[-1] == pytest.approx(25.0)
        sampler.enter_phase("measure")
        run(planted, sampler, [2 * MB] * 40)
        coarse = sampler.series(most=10)
        assert len(coarse.seconds) <= 10 < len(sampler.series().seconds)
        assert (max(coarse.rss_bytes), coarse.phase[0], coarse.phase[-1]) == (9 * MB, "import", "measure")
        assert {rss for rss, name in zip(coarse.rss_bytes, coarse.phase, strict=True) if name == "measure"} == {2 * MB}
        assert len(sampler.series(most=1).seconds) == 2

    @given(
        st.lists(st.tuples(st.integers(1, 1000), st.sampled_from(["import", "warmup", "measure"])), max_size=300),
        st.integers(2, 12),
    )
    def test_all_columns_have_one_length_and_nothing_is_lost(self, samples, max_points):
        planted = Planted()
        sampler = planted.sampler(max_points=max_points)
        changes = 0
        for rss, phase in samples:
            changes += sampler.series().phase[-1:] != [phase]
            sampler.enter_phase(phase)
            run(planted, sampler, [rss])
        series = sampler.series()
        columns = {len(getattr(series, name)) for name in ("rss_bytes", "phase")}
        assert columns == {len(series.seconds)}
        assert len(series.seconds) <= max_points + changes + 1
        assert series.seconds == sorted(series.seconds)
        assert max(series.rss_bytes, default=0) == max((rss for rss, _ in samples), default=0)
        assert sampler.peaks() == {
            phase: max(rss for rss, other in samples if other == phase) for phase in {phase for _, phase in samples}
        }


class TestGrowth:
    def test_the_slope_of_the_last_three_seconds(self, planted):
        sampler = planted.sampler(limit_bytes=1000 * MB)
        run(planted, sampler, [100 * MB] * 200)
        assert sampler.growth() == pytest.approx(0.0)
        assert sampler.seconds_to_limit() is None
        run(planted, sampler, [100 * MB + index * MB for index in range(80)])
        assert sampler.growth() == pytest.approx(20 * MB)
        assert sampler.seconds_to_limit() == pytest.approx((1000 - 179) / 20)
        run(planted, sampler, [1001 * MB])
        assert sampler.seconds_to_limit() == 0.0

    def test_no_time_without_a_limit_nor_for_few_samples_noise_or_shrinking(self, planted):
        for limit, rss, growth in (
            (None, range(MB, 2 * MB, 10_000), True),
            (1000 * MB, [100 * MB + index for index in range(60)], True),
            (1000 * MB, range(200 * MB, 100 * MB, -MB), False),
            (1000 * MB, [MB, 2 * MB, 3 * MB], None),
            (1000 * MB, [], None),
        ):
            sampler = planted.sampler(limit_bytes=limit)
            run(planted, sampler, rss)
            found = sampler.growth()
            assert (found is not None and found > 0 if growth is not None else found) is growth
            assert sampler.seconds_to_limit() is None

    def test_slope_is_that_of_a_fit_not_of_two_ends(self):
        assert slope([(0.0, 0), (0.1, 10), (0.2, 0), (0.3, 10)]) == pytest.approx(20.0)
        assert slope([(0.0, 0), (1.0, 10)]) is None


class TestLimit:
    @pytest.mark.parametrize(("rss", "over"), [(99, False), (100, False), (101, True)])
    def test_over(self, planted, rss, over):
        sampler = planted.sampler(limit_bytes=100)
        assert sampler.over_limit() is False
        run(planted, sampler, [rss])
        assert sampler.over_limit() is over
        assert sampler.over_limit(sampler.last) is over

    def test_never_over_without_a_limit(self, planted):
        sampler = planted.sampler()
        run(planted, sampler, [1 << 50])
        assert (sampler.over_limit(), sampler.next_interval()) == (False, INTERVAL)

    @pytest.mark.parametrize(("calm", "interval"), [(MEASURE_INTERVAL, INTERVAL), (SOAK_INTERVAL, SOAK_INTERVAL)])
    def test_the_warm_up_of_a_soak_is_as_calm_as_the_rest(self, planted, calm, interval):
        sampler = planted.sampler(calm=calm)
        sampler.enter_phase("warmup")
        assert sampler.next_interval() == interval
        sampler.enter_phase("build")
        assert sampler.next_interval() == INTERVAL

    @pytest.mark.parametrize(
        ("rss", "phase", "interval"),
        [
            ([], "import", INTERVAL),
            ([400 * MB] * 10, "import", INTERVAL),
            ([401 * MB] * 10, "import", FAST_INTERVAL),
            ([100 * MB] * 10, "measure", MEASURE_INTERVAL),
            ([401 * MB] * 10, "measure", FAST_INTERVAL),
            # After five steps of 0.05 s at s MB each, ten more are 0.5 s: 200 + 15 s against 500.
            ([200 * MB] * 100 + [200 * MB + 19 * MB * index for index in range(1, 6)], "import", INTERVAL),
            ([200 * MB] * 100 + [200 * MB + 21 * MB * index for index in range(1, 6)], "import", FAST_INTERVAL),
            # Slower again when the growth ends.
            ([100 * MB, 200 * MB, 300 * MB], "import", FAST_INTERVAL),
            ([100 * MB, 200 * MB] + [300 * MB] * 6, "import", INTERVAL),
        ],
    )
    def test_samples_are_faster_near_the_limit_and_where_it_would_be_reached_in_half_a_second(
        self, rss, phase, interval, planted
    ):
        sampler = planted.sampler(limit_bytes=500 * MB)
        sampler.enter_phase(phase)
        run(planted, sampler, rss)
        assert sampler.next_interval() == interval


def test_phases_that_ended_with_a_child_of_which_what_watches_the_trace_is_none(planted):
    sampler = planted.sampler()
    sampler.enter_phase("trace")
    run(planted, sampler, [200 * MB], children=1)
    assert not sampler.had_children
    sampler.enter_phase("measure")
    run(planted, sampler, [200 * MB], children=1)
    assert sampler.had_children
    assert sampler.ended_with_children() == {"trace", "measure"}
    run(planted, sampler, [200 * MB])
    assert sampler.ended_with_children() == {"trace"}
