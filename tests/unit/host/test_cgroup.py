"""Limits, counters and kills of control groups, on made-up folders."""

import pytest

from pipeprof.profiles.host.limits import Cgroup, CgroupWatch, OomReport

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


def test_limits_and_counters_of_a_group_and_its_ancestors(v2):
    cgroup = v2.cgroup()
    assert cgroup.folders == (v2.root / "pod/worker", v2.root / "pod", v2.root)
    assert (cgroup.memory_limit(), cgroup.cpu_quota(), cgroup.cpuset()) == (512 * MIB, 1.5, {0, 1, 2, 3, 8})
    assert cgroup.memory_held() == 200 * MIB, "that of the group with the limit"
    v2.belongs("0::/docker/0123/pod/worker\n")
    assert v2.cgroup().folders == cgroup.folders, "of the host's path the tail that is there"
    assert cgroup.throttled_seconds() == pytest.approx(2.0)
    v2.write("pod/worker", memory__max=f"{64 * MIB}\n", cpu__max="max 100000\n")
    assert (cgroup.memory_limit(), cgroup.cpu_quota()) == (64 * MIB, 4.0)
    for group in ("pod", "pod/worker"):
        v2.write(group, memory__max="max\n", cpu__max="max 100000\n")
    assert (cgroup.memory_limit(), cgroup.cpu_quota()) == (None, None)


@pytest.mark.parametrize("path", ["/", "/../../other"])
def test_a_container_sees_the_mount_in_place_of_its_path(path, tree):
    tree.belongs(f"0::{path}\n")
    tree.write(".", cgroup__controllers="memory\n", memory__max=f"{MIB}\n", memory__current="5\n")
    assert (tree.cgroup().memory_limit(), tree.cgroup().memory_held()) == (MIB, 5)


@pytest.mark.parametrize("text", [None, "", "nonsense\n", "0::\n", "4:memory:/docker/abc\n0::/\n"])
def test_nothing_to_be_known(tree, text):
    if text is not None:
        tree.belongs(text)
    cgroup = tree.cgroup()
    found = (cgroup.memory_limit(), cgroup.memory_held(), cgroup.cpu_quota(), cgroup.cpuset())
    assert (cgroup.folders, found, cgroup.throttled_seconds()) == ((), (None,) * 4, None)
    assert tree.watch().report() == OomReport(None)


HIT, KILLED = "max 9\noom 2\noom_kill 2\n", "oom 0\noom_kill 1\n"


@pytest.mark.parametrize(
    ("before", "after", "report"),
    [
        ({}, {}, OomReport(False)),
        ({}, {"pod": HIT, "pod/worker": KILLED}, OomReport(True, "cgroup", 512 * MIB)),
        # Its ancestors count the hits of its own limit too.
        ({"pod/worker": {"memory__max": f"{64 * MIB}\n"}}, {"pod": HIT, "pod/worker": "max 4\noom 1\noom_kill 1\n"},
         OomReport(True, "cgroup", 64 * MIB)),
        # A neighbour under the same ancestor was killed.
        ({}, {"pod": HIT}, OomReport(False)),
        ({}, {"pod/worker": KILLED}, OomReport(True, "machine")),
        ({"pod": {"memory__max": "max\n"}}, {"pod/worker": "oom 0\noom_kill 3\n"}, OomReport(True, "machine")),
        ({"pod/worker": {"memory__events": "oom 7\noom_kill 7\n"}}, {}, OomReport(False)),
    ],
)  # fmt: skip
def test_whose_limit_was_hit_since_the_watch_began(before, after, report, v2):
    for group, files in before.items():
        v2.write(group, **files)
    watch = v2.watch()
    for group, events in after.items():
        v2.write(group, memory__events=events)
    assert watch.report() == report


def test_without_a_group_the_machine_counts_and_of_one_that_vanishes_nothing_is_known(tree, v2):
    watch = v2.watch()
    (v2.root / "pod/worker/memory.events").unlink()
    assert watch.report() == OomReport(None)
    tree.belongs("")
    vmstat = tree.proc / "vmstat"
    vmstat.write_text("oom_kill 4\n")
    watch = tree.watch()
    assert watch.report() == OomReport(False)
    vmstat.write_text("oom_kill 5\n")
    assert watch.report() == OomReport(True, "machine")
