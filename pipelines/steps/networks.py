"""Networks that stand for a real training step: a convnet, a block of a transformer, products of matrices.

Each trains in one compiled function: forward, gradients and the update of its weights. Labels are not looked at; the
loss is the mean square of the results, with a learning rate so small that all steps do the same work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BACKWARD = 3
"""Operations of forward and gradients over those of forward alone."""
LEARNING_RATE = 1e-7
CHANNELS = (16, 32, 64)
WIDTH, HEADS, VOCABULARY, MOST_TOKENS = 128, 4, 1024, 512
IMAGES, TOKENS = (32, 64, 64, 3), (32, 64)
"""Shapes of the data that a network has where the batches have none of its form."""
LARGEST_MATRIX = 512


@dataclass(frozen=True)
class MadeNetwork:
    """A step on TensorFlow."""

    step: Callable[[Any], object]
    words: str


def made(name: str, element_spec: Any, device: str, flops: float | None = None) -> MadeNetwork:
    """Make a network for batches of this form on a device of TensorFlow's."""
    import tensorflow as tf

    with tf.device(device):
        if name == "matmul":
            return _matmul(flops or 1e9, device)
        return (_convnet if name == "convnet" else _transformer)(element_spec, device)


def products(flops: float) -> tuple[int, int]:
    """Return side of the matrices and number of their products that take so many operations, within a few percent.

    Example:
        >>> products(2 * 512**3), products(2 * 64**3), products(20 * 512**3)
        ((512, 1), (64, 1), (512, 10))
    """
    count = max(1, round(flops / (2 * LARGEST_MATRIX**3)))
    return max(1, round((flops / (2 * count)) ** (1 / 3))), count


def _matmul(flops: float, device: str) -> MadeNetwork:
    import tensorflow as tf

    from pipeprof.pipelines.ops.values.units import flops_text

    side, count = products(flops)
    # A rotation keeps the numbers as large as they are, however often it is applied.
    rotation = tf.linalg.qr(tf.random.stateless_normal((side, side), seed=(1, 2))).q
    start = tf.eye(side)

    def multiply() -> Any:
        with tf.device(device):
            return tf.while_loop(
                lambda n, _: n < count, lambda n, product: (n + 1, tf.matmul(rotation, product)), (0, start)
            )[1]

    times = f"{count:,} products" if count > 1 else "one product"
    words = f"{times} of {side}×{side} matrices per batch: {flops_text(2.0 * count * side**3)}"
    compiled = tf.function(multiply)
    return MadeNetwork(lambda _batch: compiled(), words)


def _convnet(element_spec: Any, device: str) -> MadeNetwork:
    import tensorflow as tf

    place = _place(element_spec, lambda spec: spec.shape.rank == 4 and None not in spec.shape[1:])
    height, width, depth = place.shape[1:] if place is not None else IMAGES[1:]
    scale = 1 / 255 if place is not None and place.dtype.is_integer else 1.0
    sizes = list(zip((depth, *CHANNELS), CHANNELS, strict=False))
    filters = [_weights((3, 3, before, after)) for before, after in sizes]
    head = _weights((CHANNELS[-1], 10))

    def forward(images: Any) -> Any:
        values = tf.cast(images, tf.float32) * scale
        for kernel in filters:
            values = tf.nn.relu(tf.nn.conv2d(values, kernel, strides=2, padding="SAME"))
        return tf.reduce_mean(values, (1, 2)) @ head

    flops, rows, columns = 0.0, height, width
    for before, after in sizes:
        rows, columns = -(-rows // 2), -(-columns // 2)
        flops += 2.0 * 9 * before * after * rows * columns
    own = tf.random.stateless_uniform(IMAGES, seed=(3, 4)) if place is None else None
    words = _words(
        "a convnet of three layers", "images of", (height, width, depth), flops, "image", own=own is not None
    )
    return MadeNetwork(_training(forward, [*filters, head], place, own, device), words)


def _transformer(element_spec: Any, device: str) -> MadeNetwork:
    import tensorflow as tf

    def takes(spec: Any) -> bool:
        tokens = spec.shape.rank == 2 and spec.dtype.is_integer
        return tokens or (spec.shape.rank == 3 and spec.shape[2] is not None)

    place = _place(element_spec, takes)
    depth = place.shape[2] if place is not None and place.shape.rank == 3 else None
    enter = _weights((depth or VOCABULARY, WIDTH))
    attend, leave = _weights((WIDTH, 3 * WIDTH)), _weights((WIDTH, WIDTH))
    widen, narrow = _weights((WIDTH, 4 * WIDTH)), _weights((4 * WIDTH, WIDTH))

    def normal(values: Any) -> Any:
        mean, variance = tf.nn.moments(values, (-1,), keepdims=True)
        return (values - mean) * tf.math.rsqrt(variance + 1e-5)

    def heads(values: Any) -> Any:
        shape = tf.shape(values)
        return tf.transpose(tf.reshape(values, (shape[0], shape[1], HEADS, WIDTH // HEADS)), (0, 2, 1, 3))

    def forward(tokens: Any) -> Any:
        tokens = tokens[:, :MOST_TOKENS]
        if depth is None:
            values = tf.gather(enter, tf.math.floormod(tf.cast(tokens, tf.int32), VOCABULARY))
        else:
            values = tf.cast(tokens, tf.float32) @ enter
        query, key, value = (heads(part) for part in tf.split(normal(values) @ attend, 3, axis=-1))
        weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * (WIDTH // HEADS) ** -0.5)
        values += tf.reshape(tf.transpose(tf.matmul(weights, value), (0, 2, 1, 3)), tf.shape(values)) @ leave
        return values + tf.nn.gelu(normal(values) @ widen) @ narrow

    length = place.shape[1] if place is not None else TOKENS[1]
    own = tf.random.stateless_uniform(TOKENS, seed=(5, 6), maxval=VOCABULARY, dtype=tf.int32) if place is None else None
    # The attention of sequences of unknown length is not counted.
    flops = 2.0 * 12 * WIDTH * WIDTH + 4.0 * min(length or 0, MOST_TOKENS) * WIDTH
    shape = (length,) if depth is None else (length, depth)
    name = f"a transformer block of width {WIDTH} and {HEADS} heads"
    cut = "" if length is not None and length <= MOST_TOKENS else f", {MOST_TOKENS} tokens of each at most,"
    words = _words(name, f"sequences{cut} of", shape, flops, "token", own=own is not None)
    return MadeNetwork(_training(forward, [enter, attend, leave, widen, narrow], place, own, device), words)


def _weights(shape: tuple[int, ...]) -> Any:
    import tensorflow as tf

    return tf.Variable(tf.random.stateless_normal(shape, seed=(7, len(shape))) * 0.05)


def _place(element_spec: Any, takes: Callable[[Any], bool]) -> Any:
    import tensorflow as tf

    parts = tf.nest.flatten(element_spec) if element_spec is not None else []
    for index, spec in enumerate(parts):
        numeric = isinstance(spec, tf.TensorSpec) and (spec.dtype.is_floating or spec.dtype.is_integer)
        if numeric and spec.shape.rank is not None and takes(spec):
            return _Place(index, spec.shape, spec.dtype)
    return None


@dataclass(frozen=True)
class _Place:
    """Which part of a flat batch a network takes."""

    index: int
    shape: Any
    dtype: Any


def _training(forward: Callable[[Any], Any], weights: list[Any], place: Any, own: Any, device: str) -> Any:
    """A function of the batch that trains on its part, or on data of its own."""
    import tensorflow as tf

    def train(values: Any) -> Any:
        with tf.device(device):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(forward(values)))
            for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
                weight.assign_sub(LEARNING_RATE * tf.convert_to_tensor(gradient))
            return loss

    compiled = tf.function(train, reduce_retracing=True)
    if own is not None:
        return lambda _batch: compiled(own)
    return lambda batch: compiled(tf.nest.flatten(batch)[place.index])


def _words(name: str, of: str, shape: tuple[Any, ...], flops: float, each: str, *, own: bool) -> str:
    from pipeprof.pipelines.ops.values.units import flops_text

    size = "×".join("?" if number is None else str(number) for number in shape)
    where = "that are not the batch's, which has none" if own else "of the batch"
    return f"{name}, forward and backward, on {of} {size} {where}, about {flops_text(BACKWARD * flops)} per {each}"
