"""PyTorch loops whose GPU idles for a known reason: `python torch_planted.py FOLDER [NAME …]`.

Each is timed by CUDA's events without a profiler first: the time of a step, and of a step whose reason is taken away.
Then it runs under `torch.profiler`, which writes `FOLDER/NAME.json.gz`.
"""

import gzip
import sys
import time
from functools import partial
from pathlib import Path

import feed
import torch

STEPS = 20
STALL = 0.015

gpu = torch.device("cuda")
side = torch.randn(8192, 8192, device=gpu, dtype=torch.bfloat16) / 8192**0.5
small = torch.randn(64, 64, device=gpu)
host = torch.randn(64 << 20)


class Slow(torch.utils.data.Dataset):
    """Rows that take a while."""

    def __len__(self):
        return 10_000

    def __getitem__(self, _index):
        time.sleep(STALL)
        return torch.zeros(8)


def products(count):
    """Keep the GPU busy; 1.4 ms each on an H200."""
    product = side
    for _ in range(count):
        product = product @ side
    return product


def tiny(count):
    """Many small kernels."""
    value = small
    for _ in range(count):
        value = value * 1.0001 + 0.5
    return value


def layer(value):
    """What is compiled."""
    return torch.nn.functional.gelu(value * 2 + 1).sum(-1).sin()


def loops():
    """Return each loop's step, and the same without what makes the GPU idle."""
    rows = iter(torch.utils.data.DataLoader(Slow(), batch_size=1))
    recompiled = torch.compile(layer, dynamic=False)
    shapes = iter(range(64, 10_000))
    graph = torch.cuda.CUDAGraph()
    tiny(100)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        tiny(400)

    def loader():
        next(rows).to(gpu)
        products(4)

    def python():
        products(4).sum().item()
        feed.spin(STALL)

    def item():
        for _ in range(10):
            products(1)[0, 0].item()

    def shape():
        recompiled(torch.zeros(next(shapes), 128, device=gpu))
        products(4)

    def pageable():
        host.to(gpu)
        products(2)

    return {
        "input": (loader, partial(products, 4), STEPS),
        "python": (python, lambda: products(4).sum(), STEPS),
        "sync": (item, partial(products, 10), STEPS),
        "compile": (shape, partial(products, 4), 4),
        "copy": (pageable, partial(products, 2), STEPS),
        "launch": (partial(tiny, 400), graph.replay, STEPS),
        "healthy": (partial(products, 20), partial(products, 20), STEPS),
    }


def timed(step, count):
    """Return the milliseconds of a step by the GPU's events."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    for _ in range(count):
        step()
    end.record()
    torch.cuda.synchronize()
    return round(begin.elapsed_time(end) / count, 4)


def traced(step, count, path):
    """Write a trace of the steps."""
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    schedule = torch.profiler.schedule(wait=0, warmup=2, active=count)
    written = path.with_suffix("")
    with torch.profiler.profile(
        activities=kinds, schedule=schedule, on_trace_ready=lambda one: one.export_chrome_trace(str(written))
    ) as profiler:
        for _ in range(count + 2):
            step()
            profiler.step()
    path.write_bytes(gzip.compress(written.read_bytes(), 6))
    written.unlink()


def main(folder, *names):
    """Time and trace each of the loops."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (step, without, count) in loops().items():
        if names and name not in names:
            continue
        for _ in range(3):
            without()
        step()
        alone, interval = timed(without, count), timed(step, count)
        traced(step, count, folder / f"{name}.json.gz")
        feed.say(name=name, alone_ms=alone, interval_ms=interval, idle=round(1 - alone / interval, 4))


main(Path(sys.argv[1]), *sys.argv[2:])
