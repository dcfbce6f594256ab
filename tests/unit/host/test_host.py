"""Host facts from planted files and tools."""

import platform

import pytest

from pipeprof.profiles.host import host
from pipeprof.profiles.host.limits import MemoryLimit

SMI = """\
GPU 0: NVIDIA H200 (UUID: GPU-11111111-2222)
  MIG 1g.18gb     Device  0: (UUID: MIG-33333333)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-44444444)
"""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor : 0\nmodel name\t: AMD  EPYC 9B14 \nmodel name: other\n", "AMD EPYC 9B14"),
        ("cpu model : MIPS 74Kc\n", "MIPS 74Kc"),
        ("processor : 0\nBogoMIPS : 50\n", None),
        (None, None),
    ],
)
def test_cpu_model(tmp_path, monkeypatch, text, name):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert host.cpu_model(tmp_path, lambda _: pytest.fail("no tool is needed on Linux")) == name


def test_cpu_model_on_macos(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert host.cpu_model(tmp_path, lambda _: "Apple M3\n") == "Apple M3"
    assert host.cpu_model(tmp_path, lambda _: None) is None


def test_gpus():
    assert host.gpus(lambda command: SMI if command == ["nvidia-smi", "-L"] else None) == [
        "NVIDIA H200",
        "NVIDIA A100-SXM4-80GB",
    ]
    assert host.gpus(lambda _: None) == []
    assert host.gpus(lambda _: "No devices were found\n") == []


def test_a_tool_that_is_missing():
    assert host.run_tool(["no-such-tool-as-this", "-L"]) is None


def test_host_facts(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "gpus", list)
    monkeypatch.setattr(host, "cores", lambda _: 1.5)
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 500 kB\n")
    (tmp_path / "cpuinfo").write_text("model name : Made Up\n")
    facts = host.host_facts(MemoryLimit(7, "option"), proc=tmp_path)
    assert (facts.cpu_model, facts.cores, facts.memory_bytes) == ("Made Up", 1.5, 1024000)
    assert (facts.memory_limit_bytes, facts.memory_limit_source) == (7, "option")
    assert facts.system.startswith(platform.system())


def test_host_facts_that_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "gpus", list)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "node", str)
    facts = host.host_facts(proc=tmp_path)
    assert (facts.name, facts.cpu_model, facts.memory_bytes, facts.memory_limit_bytes) == (None, None, None, None)


def test_versions():
    found = host.versions()
    assert list(found) == ["python", "numpy", "psutil", "pipeprof"]
    assert found["python"] == platform.python_version()
    assert found["psutil"]
