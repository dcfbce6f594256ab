"""Spectra of recordings with NumPy, as speech projects compute them outside of TensorFlow."""

import io
import wave

import numpy as np

FRAME, HOP, BANDS = 1024, 256, 40


def mel_and_energy(contents: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of 40 bands of the spectrum, shape (frames, 40), and the loudness of each frame."""
    with wave.open(io.BytesIO(contents)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32_768
    starts = range(0, max(1, len(sound) - FRAME), HOP)
    frames = np.stack([np.resize(sound[start : start + FRAME], FRAME) for start in starts])
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2
    edges = np.geomspace(4, FRAME // 2, BANDS + 1).astype(int)
    bands = np.add.reduceat(power, edges[:-1], axis=1)
    return np.log10(bands + 1e-4).astype(np.float32), np.sqrt((frames**2).mean(axis=1)).astype(np.float32)
