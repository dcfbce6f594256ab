"""Made-up processes in a folder that stands for /proc."""

STATUS = """\
Name:\tpython
VmPeak:\t  900000 kB
VmHWM:\t  204800 kB
VmRSS:\t  102400 kB
RssShmem:\t    2000 kB
Threads:\t3
voluntary_ctxt_switches:\t{voluntary}
nonvoluntary_ctxt_switches:\t{involuntary}
"""


def stat_line(pid, *, parent=1, name="python", state="S", cpu=(150, 50), reaped=(20, 10), threads=3, start=777):
    return (
        f"{pid} ({name}) {state} {parent} {pid} {pid} 0 -1 4194560 1 2 3 4 "
        f"{cpu[0]} {cpu[1]} {reaped[0]} {reaped[1]} 20 0 {threads} 0 {start} 123456 999 184467440\n"
    )


def make_process(proc, pid, *, pages=1000, threads=2, **stat):
    """Process `pid` with threads from `pid` on."""
    folder = proc / str(pid)
    for thread in range(pid, pid + threads):
        task = folder / "task" / str(thread)
        task.mkdir(parents=True)
        (task / "schedstat").write_text(f"{thread}000 {thread} 9\n")
        (task / "status").write_text(STATUS.format(voluntary=10, involuntary=3))
    (folder / "stat").write_text(stat_line(pid, threads=threads, **stat))
    (folder / "statm").write_text(f"5000 {pages} 300 1 0 400 0\n")
    (folder / "status").write_text(STATUS.format(voluntary=10, involuntary=3))
    (folder / "io").write_text("rchar: 99\nwchar: 1\nread_bytes: 8192\nwrite_bytes: 5\n")
    (folder / "smaps_rollup").write_text(
        "00-ff ---p 0 00:00 0 [rollup]\nRss:  4000 kB\nPss:  3000 kB\nPss_Anon: 1200 kB\nPss_File: 800 kB\n"
        "Pss_Shmem: 1000 kB\nPrivate_Clean: 300 kB\nPrivate_Dirty: 2700 kB\n"
    )
    return proc
