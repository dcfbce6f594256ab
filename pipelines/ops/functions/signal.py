"""Signals."""

from __future__ import annotations

FUNCTIONS = {
    "tf.signal.dct": "input, type=2, n=None, axis=-1, norm=None, name=None",
    "tf.signal.fft": "input, name=None",
    "tf.signal.fftnd": "input_tensor, fft_length=None, axes=None, norm=None, name=None",
    "tf.signal.fftshift": "x, axes=None, name=None",
    "tf.signal.frame": "signal, frame_length, frame_step, pad_end=False, pad_value=0, axis=-1, name=None",
    "tf.signal.hamming_window": "window_length, periodic=True, dtype=tf.float32, name=None",
    "tf.signal.hann_window": "window_length, periodic=True, dtype=tf.float32, name=None",
    "tf.signal.idct": "input, type=2, n=None, axis=-1, norm=None, name=None",
    "tf.signal.ifft": "input, name=None",
    "tf.signal.ifftnd": "input_tensor, fft_length=None, axes=None, norm=None, name=None",
    "tf.signal.ifftshift": "x, axes=None, name=None",
    "tf.signal.inverse_mdct": "mdcts, norm=None, name=None",
    "tf.signal.inverse_stft": "stfts, frame_length, frame_step, fft_length=None, name=None",
    "tf.signal.irfft": "input_tensor, fft_length=None, name=None",
    "tf.signal.irfftnd": "input_tensor, fft_length=None, axes=None, norm=None, name=None",
    "tf.signal.kaiser_bessel_derived_window": "window_length, beta=12.0, dtype=tf.float32, name=None",
    "tf.signal.kaiser_window": "window_length, beta=12.0, dtype=tf.float32, name=None",
    "tf.signal.linear_to_mel_weight_matrix": (
        "num_mel_bins=20, num_spectrogram_bins=129, sample_rate=8000, lower_edge_hertz=125.0, "
        "upper_edge_hertz=3800.0, dtype=tf.float32, name=None"
    ),
    "tf.signal.mdct": "signals, frame_length, pad_end=False, norm=None, name=None",
    "tf.signal.mfccs_from_log_mel_spectrograms": "log_mel_spectrograms, name=None",
    "tf.signal.overlap_and_add": "signal, frame_step, name=None",
    "tf.signal.rfft": "input_tensor, fft_length=None, name=None",
    "tf.signal.rfft2d": "input_tensor, fft_length=None, name=None",
    "tf.signal.rfft3d": "input_tensor, fft_length=None, name=None",
    "tf.signal.rfftnd": "input_tensor, fft_length=None, axes=None, norm=None, name=None",
    "tf.signal.stft": "signals, frame_length, frame_step, fft_length=None, pad_end=False, name=None",
    "tf.signal.vorbis_window": "window_length, dtype=tf.float32, name=None",
}
