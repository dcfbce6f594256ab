"""What the worker of a script has imported at the script's first line."""

import subprocess
import sys

import pytest

from pipeprof.profiles.worker import memory_log

CONFIGURED = ("numpy", "tensorflow", "keras", "jax", "torch", "absl", "google.protobuf", "h5py", "psutil")


@pytest.mark.parametrize("module", ["pipeprof.profiles.worker.main", "pipeprof.profiles.worker.script.run_script"])
def test_nothing_that_a_script_may_configure_is_imported(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {CONFIGURED} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_reading_before_the_script_starts_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def starts() -> None:
        raise AssertionError("TensorFlow's devices were started")

    monkeypatch.setattr(memory_log, "tensor_bytes", starts)
    monkeypatch.setattr(memory_log, "forget_peak", starts)
    log = memory_log.MemoryLog(counts_arrays=False)
    log.read("import", used=False)
    found = log.report(sources=(), batch_bytes=None)
    assert [(one.name, one.live) for one in found.readings] == [("import", 0)]
