"""Files, records and encoded media."""

from __future__ import annotations

FUNCTIONS = {
    "tf.audio.decode_wav": "contents, desired_channels=-1, desired_samples=-1, name=None",
    "tf.audio.encode_wav": "audio, sample_rate, name=None",
    "tf.io.decode_and_crop_jpeg": (
        "contents, crop_window, channels=0, ratio=1, fancy_upscaling=True, try_recover_truncated=False, "
        "acceptable_fraction=1, dct_method='', name=None"
    ),
    "tf.io.decode_base64": "input, name=None",
    "tf.io.decode_bmp": "contents, channels=0, name=None",
    "tf.io.decode_compressed": "bytes, compression_type='', name=None",
    "tf.io.decode_csv": (
        "records, record_defaults, field_delim=',', use_quote_delim=True, na_value='', select_cols=None, name=None"
    ),
    "tf.io.decode_gif": "contents, name=None",
    "tf.io.decode_image": "contents, channels=None, dtype=tf.uint8, name=None, expand_animations=True",
    "tf.io.decode_jpeg": (
        "contents, channels=0, ratio=1, fancy_upscaling=True, try_recover_truncated=False, "
        "acceptable_fraction=1, dct_method='', name=None"
    ),
    "tf.io.decode_json_example": "json_examples, name=None",
    "tf.io.decode_jxl": "contents, channels=0, dtype=tf.uint8, name=None",
    "tf.io.decode_png": "contents, channels=0, dtype=tf.uint8, name=None",
    "tf.io.decode_proto": (
        "bytes, message_type, field_names, output_types, descriptor_source='local://', message_format='binary', "
        "sanitize=False, name=None"
    ),
    "tf.io.decode_raw": "input_bytes, out_type, little_endian=True, fixed_length=None, name=None",
    "tf.io.decode_webp": "contents, channels=0, dtype=tf.uint8, name=None",
    "tf.io.deserialize_many_sparse": "serialized_sparse, dtype, rank=None, name=None",
    "tf.io.encode_base64": "input, pad=False, name=None",
    "tf.io.encode_jpeg": (
        "image, format='', quality=95, progressive=False, optimize_size=False, chroma_downsampling=True, "
        "density_unit='in', x_density=300, y_density=300, xmp_metadata='', name=None"
    ),
    "tf.io.encode_png": "image, compression=-1, name=None",
    "tf.io.extract_jpeg_shape": "contents, output_type=tf.int32, name=None",
    "tf.io.is_jpeg": "contents, name=None",
    "tf.io.parse_example": "serialized, features, example_names=None, name=None",
    "tf.io.parse_sequence_example": (
        "serialized, context_features=None, sequence_features=None, example_names=None, name=None"
    ),
    "tf.io.parse_single_example": "serialized, features, example_names=None, name=None",
    "tf.io.parse_single_sequence_example": (
        "serialized, context_features=None, sequence_features=None, example_name=None, name=None"
    ),
    "tf.io.parse_tensor": "serialized, out_type, name=None",
    "tf.io.read_file": "filename, name=None",
    "tf.io.serialize_many_sparse": "sp_input, out_type=tf.string, name=None",
    "tf.io.serialize_sparse": "sp_input, out_type=tf.string, name=None",
    "tf.io.serialize_tensor": "tensor, name=None",
}
