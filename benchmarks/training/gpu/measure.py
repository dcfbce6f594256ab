"""Run pipeprof on a GPU, and beside it what says the same without pipeprof: `python measure.py OUT [PART …]`.

Each part is a command in a process of its own; OUT gets what it printed, how it ended and how long it took
(`ran.json`), its profile, and the traces that pipeprof recorded in it, which are removed at its end otherwise.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIPEPROF = [sys.executable, "-m", "pipeprof"]
LOOPS = {
    "jax-slow": ("jax_loop.py", "--stall 20"),
    "jax-reads": ("jax_loop.py", "--stall 20 --reads"),
    "jax-fast": ("jax_loop.py", "--stall 4 --products 12"),
    "torch-slow": ("torch_loop.py", "--stall 20"),
    "torch-reads": ("torch_loop.py", "--stall 20 --reads"),
    "torch-fast": ("torch_loop.py", "--stall 4 --products 12"),
}
FUNCTION = ["jax_step.py:make_dataset", "--step", "jax:jax_step.py:train_step"]


def commands(out):
    """Return for each part its command and its limit in seconds."""
    found = {}
    for name, (script, words) in LOOPS.items():
        trace = str(out / f"{name}-plain-trace")
        found[f"{name}-plain"] = ([sys.executable, script, *words.split(), "--truth", trace], 60)
        saved = ["--seconds", "6", "--no-verify", "--out", str(out / f"{name}.json")]
        found[f"{name}-run"] = ([*PIPEPROF, "run", script, *saved, "--", *words.split()], 75)
    saved = ["--seconds", "6", "--no-verify", "--out", str(out / "function.json")]
    found["function-run"] = ([*PIPEPROF, "run", *FUNCTION, *saved], 75)
    saved = ["--budget", "45", "--out", str(out / "fix.json")]
    found["fix"] = ([*PIPEPROF, "fix", *FUNCTION, *saved], 170)
    found["function-plain"] = ([sys.executable, "jax_step.py"], 60)
    found["torch-planted"] = ([sys.executable, "torch_planted.py", str(out / "torch")], 120)
    found["jax-planted"] = ([sys.executable, "jax_planted.py", str(out / "jax")], 75)
    for library in ("jax", "torch"):
        saved = ["--seconds", "5", "--no-verify", "--out", str(out / f"memory-{library}.json")]
        found[f"memory-{library}"] = ([*PIPEPROF, "run", "out_of_memory.py", *saved, "--", library], 60)
    saved = ["--seconds", "5", "--no-verify", "--out", str(out / "memory-step.json")]
    step = ["out_of_memory.py:make_dataset", "--step", "jax:out_of_memory.py:train_step"]
    found["memory-step"] = ([*PIPEPROF, "run", *step, *saved], 60)
    return found


def kept(folder, out, over):
    """Link traces as soon as they are there: the folder goes when pipeprof has read them."""
    while not over.wait(0.005):
        for path in folder.rglob("*.xplane.pb"):
            linked = out / f"{path.parents[3].name}-{path.name}"
            if not linked.exists():
                os.link(path, linked)


def ran(name, command, limit, out):
    """Run a part to its end or limit."""
    folder, traces, over = out / f"{name}-tmp", out / f"{name}-traces", threading.Event()
    folder.mkdir()
    traces.mkdir()
    watcher = threading.Thread(target=kept, args=(folder, traces, over))
    watcher.start()
    began = time.monotonic()
    log = out / f"{name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=HERE,
            env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "120", "TF_CPP_MIN_LOG_LEVEL": "2"},
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            code = None
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
    over.set()
    watcher.join()
    shutil.rmtree(folder, ignore_errors=True)
    return {"code": code, "seconds": round(time.monotonic() - began, 1), "command": command[1:]}


def main(out, *names):
    """Run the parts, and say after each what came of it."""
    out.mkdir(parents=True, exist_ok=True)
    known = commands(out)
    results = {}
    for name in names or known:
        results[name] = ran(name, *known[name], out)
        (out / "ran.json").write_text(json.dumps(results, indent=1))
        print(f"== {name}: exit code {results[name]['code']} after {results[name]['seconds']} s", flush=True)
        print("\n".join((out / f"{name}.log").read_text(errors="replace").splitlines()[-6:])[-900:], flush=True)


main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
