"""Chains with calls of their own form: good ones, and bad ones with where that is said and a part of the message."""

from __future__ import annotations

from typing import Any

GOOD_CALLS: dict[str, Any] = {
    "by name": {"tf.math.subtract": {"on": {"x": "a", "y": "b.c"}, "to": "d"}},
    "several results": {"tf.split": {"num_or_size_splits": 2, "on": "a", "to": ["b", "c"]}},
    "select": {"select": ["a", "b"]},
    "select one": {"select": "a.b"},
    "select an index": {"select": 0},
    "drop": {"drop": "a"},
    "rename": {"rename": {"a": "b"}},
    "to_tuple": {"to_tuple": ["a", ["b", {"c": "d"}], None]},
    "to_dict": {"to_dict": {"a": 0, "b": {"c": 1}}},
    "to_dict by names": {"to_dict": ["a", "b"]},
    "copy": {"copy": {"on": "a", "to": "b"}},
    "getitem": {"getitem": "..., :3"},
    "getitem of a field": {"getitem": {"key": ":length, tf.newaxis, -1", "on": "a"}},
    "getitem by a number": {"getitem": 0},
    "cond": {"tf.cond": {"probability": 0.5, "true_fn": ["tf.image.flip_left_right"]}},
    "cond by a condition": {
        "tf.cond": {"pred": [{"tf.equal": {"on": "b", "y": 1}}], "on": "a", "false_fn": ["tf.identity"]}
    },
    "switch_case": {"tf.switch_case": {"branch_fns": [[], ["tf.identity"]], "on": ["a", "b"]}},
    "switch_case by a number": {"tf.switch_case": {"branch_fns": [[]], "branch_index": [{"select": "b"}], "on": "a"}},
    "random_order": {"random_order": {"fns": [["tf.identity"], [{"tf.math.add": {"y": 1}}]]}},
    "for_each": {
        "for_each": {
            "on": ["a", "b"],
            "ops": [
                {"tf.image.stateless_random_crop": {"size": [2, 2, 3]}},
                {"tf.cond": {"probability": 0.5, "true_fn": ["tf.image.stateless_random_flip_left_right"]}},
            ],
        }
    },
    "map_fn": {"tf.map_fn": {"fn": ["tf.io.decode_jpeg"], "fn_output_signature": "uint8"}},
    "map_fn with shapes": {
        "tf.map_fn": {"fn": ["tf.identity"], "fn_output_signature": [{"shape": [2], "dtype": "int32"}, "float32"]}
    },
    "vectorized_map": {"tf.vectorized_map": {"fn": ["tf.reduce_sum"], "on": "a"}},
    "map_flat_values": {"tf.ragged.map_flat_values": {"op": ["tf.abs"]}},
    "layer": {"tf.keras.layers.Rescaling": {"scale": 0.5, "on": "a"}},
    "layer without arguments": "tf.keras.layers.RandomFlip",
    "layer with training": {"tf.keras.layers.RandomFlip": {"mode": "horizontal", "training": True}},
    "layer with words": {"tf.keras.layers.StringLookup": {"vocabulary": ["a", "b"]}},
    "layer of two": {"tf.keras.layers.HashedCrossing": {"num_bins": 5, "on": ["a", "b"], "to": "c"}},
    "table": {"tf.lookup.StaticHashTable": {"keys": ["a"], "values": [1], "default_value": -1}},
    "table of words": {"tf.lookup.StaticVocabularyTable": {"keys": ["a"], "num_oov_buckets": 1}},
    "python": {"python": "f.py:g"},
    "python on fields": {"python": {"function": "f.py:g", "on": ["a", "b"], "to": ["c", "d"]}},
    "numpy_function": {"tf.numpy_function": {"func": "f.py:g", "Tout": ["float32", "int64"]}},
    "py_function": {"tf.py_function": {"func": "f.py:g", "Tout": "float32", "on": "a"}},
    "sparse": {"tf.SparseTensor": {"on": {"indices": "i", "values": "v", "dense_shape": "s"}, "to": "x"}},
}

# The call, the place below it, a part of the message, and whether a JSON schema can tell as well.
BAD_CALLS: dict[str, tuple[Any, tuple[str | int, ...], str, bool]] = {
    "unknown parameter in on": (
        {"tf.math.add": {"on": {"x": "a", "z": "b"}, "to": "c"}},
        ("tf.math.add", "on", "z"),
        "one of tf.math.add's: x, y, name",
        False,
    ),
    "a constant and a field": (
        {"tf.math.add": {"on": {"x": "a", "y": "b"}, "y": 1, "to": "c"}},
        ("tf.math.add", "on", "y"),
        "either a constant or a field",
        False,
    ),
    "by name without target": ({"tf.math.add": {"on": {"x": "a", "y": "b"}}}, ("tf.math.add", "on"), "`to`", False),
    "no targets": ({"tf.split": {"num_or_size_splits": 2, "to": []}}, ("tf.split", "to"), "a list", True),
    "bare select": ("select", (), "missing value of select: expected `select: [a, b]`", True),
    "select of a mapping": ({"select": {"a": "b"}}, ("select",), "a key or an index", True),
    "a name twice": ({"rename": {"a": "c", "b": "c"}}, ("rename",), "duplicate new name", False),
    "tuple of a mapping": ({"to_tuple": {"a": "b"}}, ("to_tuple",), "a list of fields", True),
    "a bad field in a structure": ({"to_tuple": ["a", {"b": 1.5}]}, ("to_tuple", 1, "b"), "a key or an index", False),
    "copy to nowhere": ({"copy": {"on": "a"}}, ("copy",), "copy: {on: field, to: field}", False),
    "an expression in getitem": ({"getitem": "i + 1"}, ("getitem",), "an index expression", False),
    "a step of 0": ({"getitem": "::0"}, ("getitem",), "an index expression", False),
    "two ellipses": ({"getitem": "..., ..."}, ("getitem",), "an index expression", False),
    "cond without a condition": ({"tf.cond": {"true_fn": ["tf.abs"]}}, ("tf.cond",), "expected exactly one", False),
    "cond with two conditions": (
        {"tf.cond": {"probability": 0.5, "pred": ["tf.identity"], "true_fn": ["tf.abs"]}},
        ("tf.cond",),
        "both of",
        False,
    ),
    "cond without branches": ({"tf.cond": {"probability": 0.5, "true_fn": []}}, ("tf.cond",), "no calls", False),
    "probability in percent": (
        {"tf.cond": {"probability": 50, "true_fn": ["tf.abs"]}},
        ("tf.cond", "probability"),
        "from 0 to 1",
        True,
    ),
    "unknown function in a branch": (
        {"tf.switch_case": {"branch_fns": [[], ["tf.identity", "tf.image.resise"]]}},
        ("tf.switch_case", "branch_fns", 1, 1),
        "unknown function",
        True,
    ),
    "no target in a branch": (
        {"tf.cond": {"probability": 1, "true_fn": [{"tf.math.add": {"on": ["a", "b"]}}]}},
        ("tf.cond", "true_fn", 0, "tf.math.add", "on"),
        "`to: field`",
        False,
    ),
    "by name in a control call": (
        {"tf.cond": {"probability": 1, "true_fn": ["tf.abs"], "on": {"x": "a"}}},
        ("tf.cond", "on"),
        "a key or an index",
        False,
    ),
    "other numbers in for_each": (
        {"for_each": {"on": ["a", "b"], "ops": ["tf.image.random_flip_left_right"]}},
        ("for_each", "ops", 0),
        "expected tf.image.stateless_random_flip_left_right",
        False,
    ),
    "a random layer in for_each": (
        {"for_each": {"on": ["a", "b"], "ops": [{"tf.keras.layers.RandomFlip": {"mode": "horizontal"}}]}},
        ("for_each", "ops", 0, "tf.keras.layers.RandomFlip"),
        "draws different numbers for each field",
        False,
    ),
    "a seedless call outside for_each": ("tf.image.stateless_random_flip_left_right", (), "seed", False),
    "for_each of one field": (
        {"for_each": {"on": "a", "ops": ["tf.abs"]}},
        ("for_each", "on"),
        "a list of fields",
        False,
    ),
    "targets of another number": (
        {"for_each": {"on": ["a", "b"], "to": ["c"], "ops": ["tf.abs"]}},
        ("for_each", "to"),
        "a list of 2 fields",
        False,
    ),
    "unadapted": (
        {"tf.keras.layers.StringLookup": {"num_oov_indices": 1}},
        ("tf.keras.layers.StringLookup",),
        "vocabulary",
        False,
    ),
    "unknown argument of a layer": (
        {"tf.keras.layers.Rescaling": {"scale": 1, "ofset": 1}},
        ("tf.keras.layers.Rescaling", "ofset"),
        "offset",
        True,
    ),
    "short name of a layer": ("Rescaling", (), "not a full function name", True),
    "another layer": ({"tf.keras.layers.Dense": {"units": 1}}, ("tf.keras.layers.Dense",), "preprocessing", True),
    "table without keys": (
        {"tf.lookup.StaticHashTable": {"default_value": 0}},
        ("tf.lookup.StaticHashTable",),
        "`keys` and `filename`: expected exactly one",
        False,
    ),
    "more keys than values": (
        {"tf.lookup.StaticHashTable": {"keys": ["a", "b"], "values": [1], "default_value": 0}},
        ("tf.lookup.StaticHashTable",),
        "number of keys is 2, number of values is 1",
        False,
    ),
    "no Tout": ({"tf.numpy_function": {"func": "f.py:g"}}, ("tf.numpy_function", "Tout"), "required", True),
    "Tout is no dtype": (
        {"tf.numpy_function": {"func": "f.py:g", "Tout": ["float32", "flaot"]}},
        ("tf.numpy_function", "Tout", 1),
        "float32",
        True,
    ),
    "no file": ({"python": "g"}, ("python",), "a file and a function", False),
}
