"""Where a replay of what stages gave is possible."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.changes.chain import why_no_replay


@pytest.mark.parametrize(
    ("ops", "stages", "possible"),
    [
        (("range", "map", "batch", "prefetch"), ["stages.0"], True),
        (("range", "map", "batch", "prefetch"), ["stages.0", "stages.1"], True),
        (("from_generator", "map", "batch"), ["source"], True),
        (("TFRecordDataset", "interleave", "batch"), ["stages.0"], True),
        (("range", "map", "shuffle", "repeat", "cache", "batch"), ["stages.0"], True),
        (("range", "map", "group_by_window"), ["stages.0"], True),
        (("range", "map", "bucket_by_sequence_length"), ["stages.0"], True),
        (("range", "map", "prefetch", "map", "batch"), ["stages.0", "stages.1", "stages.2"], True),
        (("range", "shuffle", "repeat", "map", "batch"), ["source", "stages.0", "stages.1", "stages.2"], True),
        (("range", "map", "batch", "map"), ["stages.0", "stages.2"], True),
        (("range", "map", "filter"), ["stages.0"], False),
        (("range", "map", "unique"), ["stages.0"], False),
        (("range", "map", "repeat", "map", "batch"), ["stages.0", "stages.1", "stages.2"], False),
        (("range", "map", "prefetch"), ["stages.0", "stages.1"], False),
        (("list_files", "interleave"), ["source"], False),
        (("range", "shuffle"), ["stages.0"], False),
        (("range", "map", "cache"), ["stages.1"], False),
        (("range", "map", "repeat"), ["stages.1"], False),
        (("range", "interleave"), ["stages.0.stages.0"], False),
    ],
)
def test_where_a_replay_is_possible(ops: tuple[str, ...], stages: list[str], possible: bool) -> None:
    line = [("source", ops[0]), *((f"stages.{index}", op) for index, op in enumerate(ops[1:]))]
    assert (why_no_replay(line, stages) is None) is possible


def test_what_chooses_by_a_value_or_is_inside_a_function_is_not_replayed() -> None:
    written = [("source.choice_dataset.source", "range"), ("source.choice_dataset.stages.0", "map")]
    reason = why_no_replay([*written, ("source", "choose_from_datasets")], ["source.choice_dataset.stages.0"])
    assert reason == "choose_from_datasets after it depends on the values, which a replay repeats"
    inside = [("source", "range"), ("stages.0", "interleave"), ("stages.0.source", "range")]
    assert "inside a function" in (why_no_replay(inside, ["stages.0.source"]) or "")
