"""What small tensors take in buffers: ``python benchmarks/attribution/memory_constants.py --owner shuffle``.

A buffered element is a ``std::vector<Tensor>``, and for each component a ``Tensor``, its ``TensorBuffer`` and an
aligned block of glibc's heap. Measured are glibc's blocks in use (``mallinfo2``, all arenas, mapped blocks too) before
and after a buffer was filled, over element sizes and numbers of components that no case of memory_cases.py has.

``--turned SIZE --elements N`` fills one shuffle with elements of that size (0: numbers of ``range``), takes N elements
three times over, and prints after each turn what an element has added to resident memory, to blocks in use and to free
ones: those remain between elements that were replaced at random. One process for each size.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import tensorflow as tf

Dataset = tf.data.Dataset
SIZES = (1, 8, 32, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536)
COMPONENTS = (2, 3, 5, 8)
LETTERS = (8, 40, 200, 1000)
FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)
BATCH, TURNS = 4, 3
MOST_BYTES, MOST, LEAST = 48_000_000, 40_000, 600


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


def used() -> tuple[int, int]:
    """Bytes of glibc's blocks in use, and bytes of free ones."""
    function = ctypes.CDLL(None).mallinfo2
    function.restype = _MallInfo
    found = function()
    return found.uordblks + found.hblkhd, found.fordblks


def numbers(elements: int, size: int, components: int) -> Dataset:
    """Elements of ``components`` tensors of ``size`` bytes, each newly made by an op."""

    def make(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        value = tf.cast(number, tf.uint8)
        return tuple(tf.fill([size], value + number_of) for number_of in range(components))

    return Dataset.range(elements).map(make)


def texts(elements: int, letters: int) -> Dataset:
    """Scalar strings."""
    return Dataset.range(elements).map(
        lambda number: tf.strings.as_string(number, width=letters, fill="0"), num_parallel_calls=2
    )


def names(elements: int, letters: int, *, labels: bool) -> Dataset:
    """Strings of an array, alone or with a number each."""
    given = [f"{number:0{letters}}" for number in range(elements)]
    return Dataset.from_tensor_slices((given, list(range(elements))) if labels else given)


def cost(owner: str, dataset: Dataset, elements: int) -> dict[str, float]:
    """Bytes in use, and free ones more than before, of an element in a full buffer."""
    gc.collect()
    before, free = used()
    held = dataset.shuffle(elements) if owner == "shuffle" else dataset.cache()
    iterator = iter(held)
    if owner == "shuffle":
        next(iterator)
    else:
        for _ in iterator:
            pass
    after, later = used()
    return {"in_use": (after - before) / elements, "free": (later - free) / elements}


def sweep(owner: str) -> list[dict[str, object]]:
    """All sizes, numbers of components and lengths."""
    found: list[dict[str, object]] = []

    def add(make: Callable[[int], Dataset], size: int, components: int, kind: str) -> None:
        elements = max(LEAST, min(MOST, MOST_BYTES // (size * components)))
        seen = cost(owner, make(elements + 1 if owner == "shuffle" else elements), elements)
        payload = {"range": 8, "names": 0}.get(kind, size * components)
        found.append(
            {"kind": kind, "size": size, "components": components, "elements": elements}
            | {key: round(value, 1) for key, value in seen.items()}
            | {"beside": round(seen["in_use"] - payload, 1)}
        )
        print(json.dumps(found[-1]), flush=True)

    add(Dataset.range, 8, 1, "range")
    for size in SIZES:
        add(lambda n, size=size: numbers(n, size, 1), size, 1, "op")
    for components in COMPONENTS:
        add(lambda n, components=components: numbers(n, 8, components), 8, components, "op")
    for letters in LETTERS:
        add(lambda n, letters=letters: texts(n, letters), letters, 1, "text")
        for labels in (False, True):
            made = partial(names, letters=letters, labels=labels)
            add(made, letters, 1 + labels, "names")
    return found


def resident() -> int:
    """Resident memory of this process."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def turned(size: int, elements: int) -> None:
    """Print what an element takes in a shuffle when it is full, and after each of three turns."""
    source = numbers(20 * elements, size, 1) if size else Dataset.range(20 * elements)
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    dataset = source.shuffle(elements).batch(BATCH).with_options(options)
    for _ in source.take(3).shuffle(2).batch(2):
        pass
    before, (in_use, free) = resident(), used()
    iterator = iter(dataset)
    next(iterator)
    for turn in range(TURNS + 1):
        after, later = used()
        seen = {"resident": resident() - before, "in_use": after - in_use, "free": later - free}
        print(json.dumps({"size": size, "turn": turn} | {key: round(one / elements, 1) for key, one in seen.items()}))
        for _ in range(elements // BATCH):
            next(iterator)


def main() -> None:
    """Print the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owner", choices=("shuffle", "cache"), default="shuffle")
    parser.add_argument("--turned", type=int, metavar="SIZE", help="bytes of an element; 0 for numbers of range")
    parser.add_argument("--elements", type=int, default=50_000)
    asked = parser.parse_args()
    next(iter(numbers(1, 8, 1)))
    if asked.turned is not None:
        turned(asked.turned, asked.elements)
    else:
        sweep(asked.owner)


if __name__ == "__main__":
    main()
