"""How large a batch is: bytes of its tensors and the length of its first dimension."""

from __future__ import annotations

from typing import Any


def bytes_of(batch: Any) -> int:
    """Bytes of all tensors of fixed width in `batch`; strings and other variants count as nothing."""
    import tensorflow as tf

    return sum(
        component.dtype.size * (component.shape.num_elements() or 0)
        for component in tf.nest.flatten(batch, expand_composites=True)
        if isinstance(component, tf.Tensor) and component.dtype not in (tf.string, tf.variant, tf.resource)
    )


def length_of(batch: Any) -> int | None:
    """The first dimension of the first component, which is the number of elements where batches are made."""
    import tensorflow as tf

    component = tf.nest.flatten(batch)[0]
    if isinstance(component, tf.RaggedTensor):
        return int(component.nrows())
    if isinstance(component, tf.SparseTensor):
        return int(component.dense_shape[0])
    shape = getattr(component, "shape", None)
    return int(shape[0]) if shape is not None and shape.rank else None


class Sizes:
    """Mean size of the batches looked at, four a second at most."""

    def __init__(self) -> None:
        self._bytes: list[int] = []
        self._lengths: list[int] = []
        self._spec: str | None = None
        self._strings = False

    def see(self, batch: Any) -> None:
        """Look at one batch."""
        import tensorflow as tf

        if self._spec is None:
            spec = tf.nest.map_structure(lambda t: f"{t.dtype.name}{list(t.shape)}", batch)
            self._spec = str(spec).replace("'", "")
            self._strings = any(t.dtype == tf.string for t in tf.nest.flatten(batch))
        if len(self._bytes) < 10_000:
            self._bytes.append(bytes_of(batch))
            length = length_of(batch)
            if length is not None:
                self._lengths.append(length)

    def document(self) -> dict[str, Any]:
        """Means for the profile; `bytes` is `None` where strings make up part of the batch."""
        return {
            "element": self._spec,
            "bytes": sum(self._bytes) / len(self._bytes) if self._bytes and not self._strings else None,
            "length": sum(self._lengths) / len(self._lengths) if self._lengths else None,
        }
