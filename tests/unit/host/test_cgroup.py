"""Limits, counters and kills of control groups, on made-up folders."""

import pytest

from pipeprof.profiles.host.cgroup import Cgroup, CgroupWatch, OomReport, parse_cpus

MIB = 1 << 20


class Tree:
    """Made-up /proc and /sys/fs/cgroup."""

    def __init__(self, folder):
        self.proc = folder / "proc"
        self.root = folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.root.mkdir()

    def belongs(self, text):
        (self.proc / "self" / "cgroup").write_text(text)

    def write(self, group, **files):
        folder = self.root / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return folder

    def cgroup(self):
        return Cgroup(proc=self.proc, root=self.root)

    def watch(self):
        return CgroupWatch(self.cgroup(), self.proc)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def v2(tree):
    """The group /pod/worker: the pod allows less memory, the worker's own folder less CPU."""
    tree.belongs("0::/pod/worker\n")
    tree.write(".", cgroup__controllers="cpuset cpu memory\n")
    tree.write(
        "pod",
        memory__max=f"{512 * MIB}\n",
        memory__current=f"{300 * MIB}\n",
        memory__stat=f"anon 5\ninactive_file {100 * MIB}\nactive_file 7\n",
        memory__events="low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n",
        cpu__max="400000 100000\n",
        cpu__stat="usage_usec 5\nnr_throttled 1\nthrottled_usec 1500000\n",
    )
    tree.write(
        "pod/worker",
        memory__max="max\n",
        memory__current=f"{200 * MIB}\n",
        memory__stat="inactive_file 0\n",
        memory__events="low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
        cpu__max="150000 100000\n",
        cpu__stat="throttled_usec 500000\n",
        cpuset__cpus__effective="0-3,8\n",
    )
    return tree


class TestValues:
    def test_the_smallest_limit_of_all_ancestors(self, v2):
        cgroup = v2.cgroup()
        assert cgroup.folders == (v2.root / "pod/worker", v2.root / "pod", v2.root)
        assert cgroup.memory_limit() == 512 * MIB
        v2.write("pod/worker", memory__max=f"{64 * MIB}\n")
        assert cgroup.memory_limit() == 64 * MIB

    def test_what_is_held_is_that_of_the_group_with_the_limit(self, v2):
        assert v2.cgroup().memory_held() == 200 * MIB

    def test_cpu(self, v2):
        cgroup = v2.cgroup()
        assert cgroup.cpu_quota() == 1.5
        assert cgroup.cpuset() == {0, 1, 2, 3, 8}
        assert cgroup.throttled_seconds() == pytest.approx(2.0)

    def test_no_limits(self, v2):
        v2.write("pod", memory__max="max\n", cpu__max="max 100000\n")
        v2.write("pod/worker", cpu__max="max 100000\n")
        assert v2.cgroup().memory_limit() is None
        assert v2.cgroup().cpu_quota() is None

    def test_a_container_with_a_name_space_of_its_own(self, tree):
        tree.belongs("0::/\n")
        tree.write(".", cgroup__controllers="memory\n", memory__max=f"{MIB}\n", memory__current="5\n")
        assert tree.cgroup().memory_limit() == MIB

    def test_a_path_outside_of_the_name_space(self, tree):
        tree.belongs("0::/../../other\n")
        tree.write(".", cgroup__controllers="memory\n", memory__max=f"{MIB}\n")
        assert tree.cgroup().memory_limit() == MIB


@pytest.mark.parametrize("text", [None, "", "nonsense\n", "0::\n", "4:memory:/docker/abc\n0::/\n"])
def test_nothing_to_be_known(tree, text):
    if text is not None:
        tree.belongs(text)
    cgroup = tree.cgroup()
    assert cgroup.folders == ()
    assert cgroup.memory_limit() is None
    assert cgroup.memory_held() is None
    assert cgroup.cpu_quota() is None
    assert cgroup.cpuset() is None
    assert cgroup.throttled_seconds() is None
    assert tree.watch().report() == OomReport(None)
    assert tree.watch().report().killed is None


@pytest.mark.parametrize(
    ("text", "cores"),
    [("0", {0}), ("0-1,4\n", {0, 1, 4}), ("", None), (None, None), ("a-b", None), ("1-", {1}), ("3-1", None)],
)
def test_parse_cpus(text, cores):
    assert parse_cpus(text) == cores


class TestWatch:
    def test_nothing_happened(self, v2):
        report = v2.watch().report()
        assert report == OomReport(False)
        assert report.killed is False

    def test_killed_for_an_ancestors_limit(self, v2):
        watch = v2.watch()
        v2.write("pod", memory__events="max 9\noom 2\noom_kill 2\n")
        v2.write("pod/worker", memory__events="max 0\noom 0\noom_kill 1\n")
        report = watch.report()
        assert report == OomReport(True, "cgroup", 512 * MIB)
        assert report.killed is True

    def test_killed_for_its_own_limit_which_its_ancestors_count_too(self, v2):
        v2.write("pod/worker", memory__max=f"{64 * MIB}\n")
        watch = v2.watch()
        v2.write("pod", memory__events="max 9\noom 2\noom_kill 2\n")
        v2.write("pod/worker", memory__events="max 4\noom 1\noom_kill 1\n")
        assert watch.report() == OomReport(True, "cgroup", 64 * MIB)

    def test_a_neighbour_under_the_same_ancestor_was_killed(self, v2):
        watch = v2.watch()
        v2.write("pod", memory__events="max 9\noom 2\noom_kill 2\n")
        assert watch.report() == OomReport(False)

    def test_killed_while_no_limit_was_hit(self, v2):
        watch = v2.watch()
        v2.write("pod/worker", memory__events="max 0\noom 0\noom_kill 1\n")
        assert watch.report() == OomReport(True, "machine")

    def test_killed_without_any_limit(self, v2):
        v2.write("pod", memory__max="max\n")
        watch = v2.watch()
        v2.write("pod/worker", memory__events="oom 0\noom_kill 3\n")
        assert watch.report() == OomReport(True, "machine")

    def test_earlier_kills_do_not_count(self, v2):
        v2.write("pod/worker", memory__events="oom 7\noom_kill 7\n")
        assert v2.watch().report() == OomReport(False)

    def test_without_a_group_the_machine_counts(self, tree):
        vmstat = tree.proc / "vmstat"
        vmstat.write_text("oom_kill 4\n")
        watch = tree.watch()
        assert watch.report() == OomReport(False)
        vmstat.write_text("oom_kill 5\n")
        assert watch.report() == OomReport(True, "machine")

    def test_a_group_that_vanishes(self, v2):
        watch = v2.watch()
        (v2.root / "pod/worker/memory.events").unlink()
        assert watch.report() == OomReport(None)
