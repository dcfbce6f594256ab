"""Addresses of stages: dotted paths in the spec, and the names they take inside TensorFlow's graphs and errors.

Pipelines that are an argument of a source or stage stand below it: ``source.datasets.1.stages.0``. TensorFlow allows no
dots in the names of functions, so a graph carries ``stages_1_source`` for ``stages.1.source``.
"""

from __future__ import annotations

import re

PIPELINES = ("choice_dataset", "weights", "dataset", "reduce_func", "reader_func")
"""Arguments that are a pipeline each; those of `datasets` have numbers."""
_ARGUMENTS = "|".join((r"datasets.\d+", *PIPELINES))


def _grammar(dot: str) -> str:
    step, inner = rf"(?:source|stages{dot}\d+)", rf"(?:{_ARGUMENTS.replace('.', dot)})"
    return rf"{step}(?:{dot}(?:{inner}{dot})?{step})*"


ADDED = "pipeprof_edit"
"""First part of the address of what an edit of a graph adds: it is no name that a user gave."""

# Texts, which `re` compiles when they are used: reading a spec needs none of them.
_ADDRESS = _grammar(r"\.")
_NODE = _grammar("_")
_PARTS = "|".join(("source", "stages", "datasets", *PIPELINES, r"\d+"))
# Not a part of a longer word such as `my_stages_1` or `stages_1_weights`.
_NODE_IN_TEXT = rf"(?<![A-Za-z0-9_])(?P<node>{_NODE})(?![A-Za-z0-9_])"
# What TensorFlow calls the traced function of a stage; the number at the end is its own.
_TRACED = rf"__inference_(?:Dataset_(?:[a-z]+_)*?)?(?P<node>{_NODE})_\d+(?![A-Za-z0-9_])"


def is_address(text: str) -> bool:
    """Whether ``text`` has the form of a stage address."""
    return re.fullmatch(_ADDRESS, text) is not None


def node_name(address: str) -> str:
    """The name inside TensorFlow of the stage at ``address``.

    Example:
        >>> node_name("stages.1.stages.0")
        'stages_1_stages_0'
    """
    return address.replace(".", "_")


def address_of(name: str) -> str:
    """The address that ``name``, given by `node_name`, stands for.

    Example:
        >>> address_of("stages_1_stages_0")
        'stages.1.stages.0'
    """
    if re.fullmatch(_NODE, name) is None:
        raise ValueError(f"invalid name {name!r}: expected a name such as stages_1_source")
    return ".".join(re.findall(_PARTS, name))


def find_address(text: str) -> str | None:
    """The first stage that ``text`` (TensorFlow's error message, a node's path, a function's name) mentions.

    A traced function ends in a number of TensorFlow's own, which is not part of the address.

    Example:
        >>> find_address("{{node stages_2/ops_1/DecodeJpeg}} Unknown image file format")
        'stages.2'
        >>> find_address("__inference_Dataset_map_stages_0_57")
        'stages.0'
    """
    traced = re.search(_TRACED, text)
    plain = re.search(_NODE_IN_TEXT, text)
    if traced is not None and (plain is None or traced.start() <= plain.start()):
        return address_of(traced["node"])
    return address_of(plain["node"]) if plain is not None else None


def pipeline_of(address: str) -> str:
    """Address of the pipeline a source or stage is in, which `join` extends; empty for the spec's own.

    Example:
        >>> pipeline_of("stages.1.stages.0"), pipeline_of("source.datasets.0.stages.2"), pipeline_of("stages.1")
        ('stages.1', 'source.datasets.0', '')
    """
    return re.sub(r"(?:^|\.)(?:source|stages\.\d+)$", "", address)


def join(address: str, *parts: str | int) -> str:
    """``address`` extended by ``parts``; an empty address is the spec itself.

    Example:
        >>> join("stages.1", "stages", 0)
        'stages.1.stages.0'
    """
    return ".".join(str(part) for part in (address, *parts) if part != "")
