"""A PyTorch loop on a GPU, fed by tf.data: `python torch_loop.py --truth -` times it by events, without pipeprof."""

import statistics
import time
from itertools import repeat

import feed
import torch

given = feed.arguments()

gpu = torch.device("cuda")
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 32, 7, 4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
).to(gpu)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
weights = torch.randn(8192, 8192, device=gpu, dtype=torch.bfloat16) / 8192**0.5


def step(batch):
    """Train on a batch, and give the GPU more to do."""
    loss = model(torch.from_numpy(batch).to(gpu).permute(0, 3, 1, 2)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    product = weights
    for _ in range(given.products):
        product = product @ weights
    if given.reads:
        loss.item()


def marked():
    """Return a mark of the GPU's time."""
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def timed(count, batches):
    """Take so many steps; returns the milliseconds of one, and those in which the GPU waited for its batch."""
    waits, began = [], time.perf_counter()
    for _ in range(count):
        before = marked()
        batch = next(batches)
        waits.append((before, marked()))
        step(batch)
    torch.cuda.synchronize()
    interval = 1e3 * (time.perf_counter() - began) / count
    return round(interval, 2), round(statistics.median(before.elapsed_time(after) for before, after in waits), 4)


if given.truth:
    fed = feed.batches(given.stall).repeat().as_numpy_iterator()
    timed(10, fed)
    copied, _ = timed(50, repeat(feed.picture()))
    with feed.nvml() as utilisation:
        interval, wait = timed(200, fed)
        nvml = utilisation()
    feed.say(copied_ms=copied, interval_ms=interval, wait_ms=wait, nvml=nvml)
else:
    for _ in range(50):
        for batch in feed.batches(given.stall).as_numpy_iterator():
            step(batch)
