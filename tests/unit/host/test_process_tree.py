"""What a family of processes holds: each page once, at a walk over the pages and between two of them."""

import itertools
from typing import ClassVar

import pytest

from pipeprof.profiles.host.process_tree import FamilyMemory, family_bytes
from pipeprof.profiles.host.procfs import Pages, Shares

MB = 1_000_000
PARENT, CHILD, OTHER = 10, 20, 30


def pages(anonymous, mapped=0):
    return Pages((anonymous + mapped) * MB, mapped * MB)


def shares(private=0, **values):
    return Shares(private=private * MB, **{name: value * MB for name, value in values.items()})


class TestEachPageOnce:
    def held(self, pages_, shares_):
        return family_bytes(PARENT, pages_, shares_) / MB

    def test_a_fork_that_touched_nothing_adds_nothing(self):
        found = {PARENT: shares(anonymous=250), CHILD: shares(anonymous=250)}
        assert self.held({PARENT: pages(500, 80), CHILD: pages(500, 2)}, found) == 580

    def test_a_forks_own_memory_is_added(self):
        found = {PARENT: shares(anonymous=250), CHILD: shares(private=105, anonymous=355)}
        assert self.held({PARENT: pages(500, 80), CHILD: pages(605, 2)}, found) == 685

    def test_what_the_parent_let_go_of_its_children_may_still_share(self):
        found = {PARENT: shares(private=100, anonymous=100), CHILD: shares(anonymous=200), OTHER: shares(anonymous=200)}
        assert self.held({PARENT: pages(100), CHILD: pages(400), OTHER: pages(400)}, found) == 500

    def test_libraries_that_other_processes_map_too_are_the_parents(self):
        found = {PARENT: shares(anonymous=100), CHILD: shares(private=30, anonymous=30)}
        assert self.held({PARENT: pages(100, 360), CHILD: pages(30, 90)}, found) == 490

    def test_files_that_only_a_child_maps_are_added(self):
        found = {PARENT: shares(anonymous=100), CHILD: shares(private=70, anonymous=30, private_files=40)}
        assert self.held({PARENT: pages(100, 360), CHILD: pages(30, 90)}, found) == 530

    @pytest.mark.parametrize(("parents", "held"), [(0, 300), (200, 300), (50, 300)])
    def test_shared_memory_is_there_once_whoever_maps_it(self, parents, held):
        each = 200 / 3 if parents == 200 else 100 if parents == 0 else None
        divided = (
            (each, each, each) if parents == 200 else (0, 100, 100) if parents == 0 else (50 / 3, 275 / 3, 275 / 3)
        )
        own = {"resident_shared_memory": parents}
        found = {
            PARENT: shares(anonymous=80, shared_memory=divided[0], **own),
            CHILD: shares(anonymous=10, shared_memory=divided[1]),
            OTHER: shares(anonymous=10, shared_memory=divided[2]),
        }
        mapped = {PARENT: pages(80, parents), CHILD: pages(10, 200), OTHER: pages(10, 200)}
        assert self.held(mapped, found) == pytest.approx(held)

    def test_shared_memory_that_strangers_map_too_is_still_all_the_parents(self):
        found = {
            PARENT: shares(anonymous=80, shared_memory=50, resident_shared_memory=200),
            CHILD: shares(anonymous=10, shared_memory=50),
        }
        assert self.held({PARENT: pages(80, 200), CHILD: pages(10, 200)}, found) == 290

    def test_old_kernels_that_tell_private_pages_only(self):
        found = {PARENT: shares(private=100), CHILD: shares(private=105)}
        assert self.held({PARENT: pages(500, 80), CHILD: pages(605, 2)}, found) == 685

    def test_a_process_whose_shares_are_forbidden_counts_with_all_it_has(self):
        found = {PARENT: shares(anonymous=500), CHILD: shares(private=5, anonymous=5)}
        assert self.held({PARENT: pages(500, 80), CHILD: pages(5), OTHER: pages(60, 2)}, found) == 647
        assert self.held({PARENT: pages(500, 80), CHILD: pages(5, 1)}, {}) == 586


class World:
    """Processes whose pages the test sets; a walk takes the seconds that it says."""

    forked: ClassVar = {PARENT: pages(500, 80), CHILD: pages(500, 2)}

    def __init__(self):
        self.now = 100.0
        self.took = 0.0
        self.walks = 0
        self.looked = []
        self.own = {PARENT: shares(anonymous=250), CHILD: shares(anonymous=250)}
        self.used = 0.0
        self.libs = {PARENT: {"tf": 80 * MB}}
        self.family = FamilyMemory(self, lambda: self.now, lambda: self.used)

    def shares(self, pid):
        self.walks += pid == PARENT
        self.used += self.took / 2
        return self.own.get(pid)

    def libraries(self, pid):
        self.used += self.took / 2
        self.looked.append(pid)
        return self.libs.get(pid, {})

    def held(self, pages_, *, after=0.05, limit=None):
        self.now += after
        return self.family.bytes(PARENT, pages_, limit) / MB


@pytest.fixture
def world():
    """A parent with 580 MB and an idle fork of it, after the first walk."""
    made = World()
    made.held(made.forked)
    assert made.held(made.forked) == 580
    assert made.walks == 1
    return made


class TestBetweenWalks:
    def test_a_child_that_grows_is_seen_at_once(self, world):
        assert world.held({**world.forked, CHILD: pages(800, 2)}) == 880
        assert world.walks == 1

    def test_so_is_the_parent(self, world):
        assert world.held({**world.forked, PARENT: pages(600, 80)}) == 680
        assert world.walks == 1

    def test_what_ended_took_its_own_with_it(self, world):
        world.own[OTHER] = shares(private=100, anonymous=100)
        both = {**world.forked, OTHER: pages(100)}
        world.held(both)
        assert world.held(both) == 680
        assert world.walks == 2
        world.own.pop(OTHER)
        assert world.held(world.forked) == 580
        assert world.walks == 2

    def test_a_new_child_is_walked_at_once_where_it_may_share_much(self, world):
        world.own = {
            PARENT: shares(anonymous=500 / 3),
            CHILD: shares(anonymous=500 / 3),
            OTHER: shares(anonymous=500 / 3),
        }
        three = {**world.forked, OTHER: pages(500, 2)}
        world.held(three)
        assert world.held(three) == pytest.approx(580)
        assert world.walks == 2

    def test_a_small_one_is_not(self, world):
        three = {**world.forked, OTHER: pages(10, 2)}
        world.held(three)
        assert world.held(three) == 580
        assert world.walks == 1

    def test_until_its_second_sample_a_child_may_run_in_its_parents_memory(self, world):
        world.own[OTHER] = shares(private=580, anonymous=500)
        assert world.held({**world.forked, OTHER: pages(500, 80)}) == 580
        assert world.held(world.forked) == 580
        assert world.walks == 1

    @pytest.mark.parametrize(
        "changed", [{CHILD: pages(480, 2)}, {CHILD: pages(500, 22)}, {PARENT: pages(480, 80), CHILD: pages(500, 2)}]
    )
    def test_what_may_have_been_shared_is_walked_at_once(self, world, changed):
        assert world.held({**world.forked, **changed}) >= 560
        assert world.walks == 2

    def test_what_a_write_unshares_is_seen_at_the_next_walk(self, world):
        world.own = {PARENT: shares(private=300, anonymous=400), CHILD: shares(private=300, anonymous=400)}
        assert world.held(world.forked) == 580
        assert world.held(world.forked, after=0.5) == 880

    def test_never_below_the_parents_own(self, world):
        world.own = {PARENT: shares(anonymous=10), CHILD: shares(anonymous=10)}
        assert world.held(world.forked, after=1.0) == 580

    def test_nor_when_more_ended_than_there_was(self, world):
        world.own = {PARENT: shares(anonymous=10), CHILD: shares(anonymous=10), OTHER: shares(private=50, anonymous=10)}
        three = {**world.forked, OTHER: pages(50)}
        world.held(three)
        world.held(three)
        assert world.walks == 2
        assert world.held(world.forked) == 580
        assert world.walks == 2

    def test_what_an_ended_child_shared_with_another_is_walked_at_once(self, world):
        world.own = {PARENT: shares(anonymous=500), CHILD: shares(anonymous=50), OTHER: shares(anonymous=50)}
        two = {PARENT: pages(500), CHILD: pages(100), OTHER: pages(100)}
        world.held(two, after=1.0)
        assert world.held(two) == 600
        before, world.own[CHILD] = world.walks, shares(private=100, anonymous=100)
        assert world.held({PARENT: pages(500), CHILD: pages(100)}) == 600
        assert world.walks == before + 1

    def test_what_was_shared_is_not_given_back_by_one_of_them(self, world):
        world.took = 1.0
        world.own[OTHER] = shares(private=100, anonymous=100)
        three = {**world.forked, OTHER: pages(100)}
        world.held(three)
        assert world.held(three) == 680
        assert world.held({**three, CHILD: pages(100, 2)}) == 680
        assert world.walks == 2

    def test_without_children_it_is_what_the_process_has(self, world):
        assert world.held({PARENT: pages(480, 80)}) == 560
        assert world.walks == 1


class TestLibraries:
    """Pages of libraries that only children map."""

    def test_each_is_there_once(self, world):
        world.libs |= {CHILD: {"tf": 30 * MB, "cv": 40 * MB}, OTHER: {"cv": 50 * MB}}
        world.own[OTHER] = shares(private=10, anonymous=10)
        three = {PARENT: pages(500, 80), CHILD: pages(500, 70), OTHER: pages(10, 50)}
        world.held(three, after=1.0)
        assert world.held(three, after=1.0) == 640

    def test_those_of_a_small_parent_are_not_its_childrens(self):
        made = World()
        made.libs = {PARENT: {"c": 8 * MB}, CHILD: {"c": 8 * MB, "cv": 40 * MB}}
        both = {PARENT: pages(500, 10), CHILD: pages(500, 48)}
        made.held(both)
        assert made.held(both) == 550

    def test_they_are_looked_at_after_imports_only(self, world):
        world.looked.clear()
        for _ in range(10):
            world.held(world.forked, after=1.0)
        assert world.looked == []
        for _ in range(10):
            world.held({**world.forked, CHILD: pages(500, 30)}, after=1.0)
        assert world.looked == [CHILD]

    def test_what_ended_has_none(self, world):
        world.libs = {CHILD: {"cv": 40 * MB}, OTHER: {"cv": 50 * MB}}
        world.own[OTHER] = shares(private=10, anonymous=10)
        three = {**world.forked, OTHER: pages(10, 50)}
        world.held(three, after=1.0)
        assert world.held(three, after=1.0) == 640
        assert world.held(world.forked, after=1.0) == 580


class TestCost:
    def walks(self, world, seconds, pages_=None, limit=None):
        world.walks = 0
        end = world.now + seconds
        while world.now < end:
            world.held(pages_ or world.forked, after=0.0625, limit=limit)
        return world.walks

    def test_short_walks_twice_a_second(self, world):
        assert self.walks(world, 10.0) == 20

    def test_long_ones_a_hundredth_of_the_time(self, world):
        world.took = 0.05
        self.walks(world, 1.0)
        assert self.walks(world, 100.0) * world.took == pytest.approx(1.0, abs=0.1)

    @pytest.mark.parametrize(("limit", "took"), [(None, 0.3), (500 * MB, 40.0)])
    def test_over_hours_they_are_rare_but_near_the_limit(self, limit, took):
        world = World()
        world.family = FamilyMemory(world, lambda: world.now, lambda: world.used, rarely=True)
        world.took = 0.1
        changing = ({PARENT: pages(500, 80), CHILD: pages(size, 2)} for size in itertools.cycle((500, 480)))
        end = world.now + 1000.0
        while world.now < end:
            world.held(next(changing), after=0.5, limit=limit)
        assert world.walks * world.took == pytest.approx(took, rel=0.35)

    def test_near_the_limit_four_times_a_second(self, world):
        assert self.walks(world, 10.0, limit=500 * MB) == 40

    def test_children_that_come_and_go_cost_no_more_than_a_25th(self, world):
        world.took = 0.05
        world.walks, end, child = 0, world.now + 100.0, 1000
        while world.now < end:
            child += 1
            for _ in range(2):
                world.held({PARENT: pages(500, 80), child: pages(500, 2)}, after=0.0625)
            world.held({PARENT: pages(500, 80)}, after=0.0625)
        assert 1.0 < world.walks * world.took <= 4.1
