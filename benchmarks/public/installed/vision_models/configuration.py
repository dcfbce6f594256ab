"""What a training run says about its input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InputConfiguration:
    """Settings of an input.

    Attributes:
        files: Pattern of record files.
        batch_size: Of all replicas together.
        training: Shuffle, and repeat without an end.
        drop_remainder: Leave a smaller last batch out.
        shuffle_elements: Size of the shuffle's buffer.
        open_files: Files read at a time.
        ordered: Give elements in the order of the files.
    """

    files: str
    batch_size: int
    training: bool = True
    drop_remainder: bool = True
    shuffle_elements: int = 256
    open_files: int = 4
    ordered: bool = False
