"""What was probably meant."""

import pytest

from pipeprof.pipelines.suggest import did_you_mean, suggest, suggest_path

ARGUMENTS = ["name", "ops", "num_parallel_calls", "deterministic", "batch_size", "buffer_size", "drop_remainder"]
FUNCTIONS = ["tf.io.read_file", "tf.io.decode_jpeg", "tf.image.resize", "tf.strings.length", "tf.abs"]


@pytest.mark.parametrize(
    ("got", "candidates", "meant"),
    [
        ("numParallelCalls", ARGUMENTS, "num_parallel_calls"),
        ("num_paralel_call", ARGUMENTS, "num_parallel_calls"),
        ("zzz", ARGUMENTS, None),
        ("read_file", FUNCTIONS, "tf.io.read_file"),
        ("tf.image.decode_jpeg", FUNCTIONS, "tf.io.decode_jpeg"),
        ("tf.data.AUTOTUNE", ["AUTOTUNE"], "AUTOTUNE"),
        ("tfrecord", ["range", "TFRecordDataset"], "TFRecordDataset"),
        (3, ["1"], None),
        ("x" * 100_000, ARGUMENTS, None),
    ],
)
def test_names(got, candidates, meant):
    assert suggest(got, candidates) == meant


def test_what_was_given_is_not_suggested():
    assert suggest_path("/proc/self/fd/0", ["0", "1"]) is None
    assert suggest_path("in/pipe.csv", ["pipe.csv", "pipe2.csv"]) == "in/pipe2.csv"
    assert did_you_mean("train", ["train"]) == ""
