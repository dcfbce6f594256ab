"""Strings."""

from __future__ import annotations

FUNCTIONS = {
    "tf.strings.as_string": "input, precision=-1, scientific=False, shortest=False, width=-1, fill='', name=None",
    "tf.strings.bytes_split": "input, name=None",
    "tf.strings.join": "inputs, separator='', name=None",
    "tf.strings.length": "input, unit='BYTE', name=None",
    "tf.strings.lower": "input, encoding='', name=None",
    "tf.strings.ngrams": (
        "data, ngram_width, separator=' ', pad_values=None, padding_width=None, preserve_short_sequences=False, "
        "name=None"
    ),
    "tf.strings.reduce_join": "inputs, axis=None, keepdims=False, separator='', name=None",
    "tf.strings.regex_full_match": "input, pattern, name=None",
    "tf.strings.regex_replace": "input, pattern, rewrite, replace_global=True, name=None",
    "tf.strings.split": "input, sep=None, maxsplit=-1, name=None",
    "tf.strings.strip": "input, name=None",
    "tf.strings.substr": "input, pos, len, unit='BYTE', name=None",
    "tf.strings.to_hash_bucket": "input, num_buckets, name=None",
    "tf.strings.to_hash_bucket_fast": "input, num_buckets, name=None",
    "tf.strings.to_hash_bucket_strong": "input, num_buckets, key, name=None",
    "tf.strings.to_number": "input, out_type=tf.float32, name=None",
    "tf.strings.unicode_decode": (
        "input, input_encoding, errors='replace', replacement_char=65533, replace_control_characters=False, name=None"
    ),
    "tf.strings.unicode_decode_with_offsets": (
        "input, input_encoding, errors='replace', replacement_char=65533, replace_control_characters=False, name=None"
    ),
    "tf.strings.unicode_encode": "input, output_encoding, errors='replace', replacement_char=65533, name=None",
    "tf.strings.unicode_script": "input, name=None",
    "tf.strings.unicode_split": "input, input_encoding, errors='replace', replacement_char=65533, name=None",
    "tf.strings.unicode_split_with_offsets": (
        "input, input_encoding, errors='replace', replacement_char=65533, name=None"
    ),
    "tf.strings.unicode_transcode": (
        "input, input_encoding, output_encoding, errors='replace', replacement_char=65533, "
        "replace_control_characters=False, name=None"
    ),
    "tf.strings.unsorted_segment_join": "inputs, segment_ids, num_segments, separator='', name=None",
    "tf.strings.upper": "input, encoding='', name=None",
}
