"""What the worker of a script has imported at the script's first line."""

import subprocess
import sys

import pytest

CONFIGURED = ("numpy", "tensorflow", "keras", "jax", "torch", "absl", "google.protobuf", "h5py", "psutil")


@pytest.mark.parametrize("module", ["pipeprof.profiles.worker.main", "pipeprof.profiles.worker.script.run_script"])
def test_nothing_that_a_script_may_configure_is_imported(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {CONFIGURED} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
