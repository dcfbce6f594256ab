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
    ("system", "text", "told", "name"),
    [
        ("Linux", "processor : 0\nmodel name\t: AMD  EPYC 9B14 \nmodel name: other\n", "no", "AMD EPYC 9B14"),
        ("Linux", "cpu model : MIPS 74Kc\n", "no", "MIPS 74Kc"),
        ("Linux", "processor : 0\nBogoMIPS : 50\n", "no", None),
        ("Darwin", "", "Apple M3\n", "Apple M3"),
        ("Darwin", "", None, None),
    ],
)
def test_cpu_model(tmp_path, monkeypatch, system, text, told, name):
    monkeypatch.setattr(platform, "system", lambda: system)
    (tmp_path / "cpuinfo").write_text(text)
    assert host.cpu_model(tmp_path, lambda _: told) == name


def test_gpus():
    told = {"nvidia-smi -L": SMI}
    assert host.gpus(lambda command: told.get(" ".join(command))) == ["NVIDIA H200", "NVIDIA A100-SXM4-80GB"]
    assert host.gpus(lambda _: None) == []
    assert host.gpus(lambda _: "No devices were found\n") == []
    assert host.run_tool(["no-such-tool-as-this", "-L"]) is None


def test_host_facts_and_those_that_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "gpus", list)
    monkeypatch.setattr(host, "cores", lambda _: 1.5)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "node", str)
    facts = host.host_facts(proc=tmp_path)
    assert (facts.name, facts.cpu_model, facts.memory_bytes, facts.memory_limit_bytes) == (None, None, None, None)
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 500 kB\n")
    (tmp_path / "cpuinfo").write_text("model name : Made Up\n")
    facts = host.host_facts(MemoryLimit(7, "option"), proc=tmp_path)
    assert (facts.cpu_model, facts.cores, facts.memory_bytes) == ("Made Up", 1.5, 1024000)
    assert (facts.memory_limit_bytes, facts.memory_limit_source) == (7, "option")
    assert facts.system.startswith("Linux")
