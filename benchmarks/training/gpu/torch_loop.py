"""A PyTorch loop on a GPU, fed by tf.data: `python torch_loop.py --truth` times it by events, without pipeprof."""

import statistics
import time

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


if given.truth:
    iterator = feed.batches(given.stall).repeat().as_numpy_iterator()
    for _ in range(10):
        step(next(iterator))
    waits, began = [], time.perf_counter()
    for _ in range(100):
        before = marked()
        batch = next(iterator)
        waits.append((before, marked()))
        step(batch)
    torch.cuda.synchronize()
    wait = statistics.median(before.elapsed_time(after) for before, after in waits)
    print(f"a step takes {10 * (time.perf_counter() - began):.1f} ms, in which the GPU waits {wait:.3f} ms for data")
else:
    for _ in range(50):
        for batch in feed.batches(given.stall).as_numpy_iterator():
            step(batch)
