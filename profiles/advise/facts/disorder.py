"""How well a shuffle mixes, in numbers; pure functions."""

from __future__ import annotations

import math

from pipeprof.profiles.wording import percent


def order_entropy(buffer: int, elements: int, together: int = 1) -> float:
    """Return how much of a full shuffle's disorder a shuffle of a buffer gives, 0 to 1.

    A buffer of B units draws each unit that comes next from B ones with equal chances, until the last B are left. Of
    M = elements / together units that is an entropy of

        H(B, M) = (M - B) * log2(B) + log2(B!)     bits,    B = min(buffer, M)

    for the neighbour that follows each one, all neighbours together; a full shuffle of N single elements has log2(N!).
    The result is H(B, M) / log2(N!).

    Args:
        buffer: Units in the buffer.
        elements: Of one pass.
        together: Elements that stay neighbours in each unit: the size of a batch that is shuffled as a whole.

    Example:
        >>> order_entropy(1000, 1000), order_entropy(1, 1000), round(order_entropy(100, 10_000), 2)
        (1.0, 0.0, 0.56)
    """
    units = max(elements // max(together, 1), 1)
    drawn = max(min(buffer, units), 1)
    if elements < 2:
        return 1.0
    return ((units - drawn) * math.log(drawn) + math.lgamma(drawn + 1)) / math.lgamma(elements + 1)


def describe_order(buffer: int, elements: int | None, together: int = 1) -> str:
    """State how far an element can move with a buffer, and how well neighbours are mixed.

    An element comes at most the buffer's length earlier than it is read, less the one place that it takes itself.

    Args:
        elements: Of one pass; None where that is unknown or without end, and with it the share.

    Example:
        >>> describe_order(100, 10_000)
        'an element moves ahead by at most 99 of 10,000 places, neighbours are mixed 56 % as well as by a full shuffle'
        >>> describe_order(10_000, 10_000)
        'a full shuffle: each order of the 10,000 elements is as likely'
    """
    if elements is None or elements < 1:
        return f"an element moves ahead by at most {(buffer - 1) * together:,} places"
    if buffer >= elements and together == 1:
        return f"a full shuffle: each order of the {elements:,} elements is as likely"
    far = (min(buffer, max(elements // together, 1)) - 1) * together
    mixed = percent(order_entropy(buffer, elements, together))
    return (
        f"an element moves ahead by at most {far:,} of {elements:,} places, neighbours are mixed {mixed} as well as by "
        "a full shuffle"
    )
