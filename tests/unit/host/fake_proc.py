"""Made-up processes in a folder that stands for /proc, also for psutil."""

import psutil
import pytest


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """An empty one."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    (tmp_path / "stat").write_text("cpu 0 0 0 0 0 0 0 0 0 0\nbtime 1700000000\n")
    return tmp_path


def make_process(proc, pid, *, parent=1, name="python", state="S", cpu=(150, 50), reaped=(20, 10), start=777, **memory):
    """Process `pid` with threads from `pid` on."""
    folder = proc / str(pid)
    for thread in (pid, pid + 1):
        task = folder / "task" / str(thread)
        task.mkdir(parents=True, exist_ok=True)
        (task / "schedstat").write_text(f"{thread}000 {thread} 9\n")
    (folder / "stat").write_text(
        f"{pid} ({name}) {state} {parent} {pid} {pid} 0 -1 4194560 1 2 3 4 "
        f"{cpu[0]} {cpu[1]} {reaped[0]} {reaped[1]} 20 0 2 0 {start} 123456 999 184467440"
        " 1 1 0 0 0 0 0 4096 0 0 0 0 17 3 0 0 0 0 0\n"
    )
    (folder / "status").write_text(f"Name:\tpython\nVmHWM:\t  204800 kB\nTgid:\t{pid}\nThreads:\t2\n")
    (folder / "io").write_text("rchar: 99\nwchar: 1\nread_bytes: 8192\nwrite_bytes: 5\n")
    holds(proc, pid, **memory)


def holds(proc, pid, *, pages=1000, alone=1000, share=1000):
    """Set what a process holds, in pages of 4 KiB: altogether, alone, and proportionally."""
    folder = proc / str(pid)
    (folder / "statm").write_text(f"5000 {pages} 300 1 0 400 0\n")
    (folder / "smaps_rollup").write_text(
        f"00-ff ---p 0 00:00 0 [rollup]\nRss:  {4 * pages} kB\nPss:  {4 * share} kB\nPss_Anon:  1 kB\n"
        f"Private_Clean:  4 kB\nPrivate_Dirty:  {4 * alone - 4} kB\nSwap:  0 kB\n"
    )


def end(proc, pid):
    """Leave an ended process that waits to be reaped."""
    make_process(proc, pid, state="Z", pages=0, alone=0, share=0)
