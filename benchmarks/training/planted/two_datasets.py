"""Two datasets in one loop."""

from log import OTHER, batches, step

labelled, unlabelled = batches(100), batches(100, kind=OTHER)
for _ in range(50):
    for _pair in zip(labelled, unlabelled):  # noqa: B905
        step()
