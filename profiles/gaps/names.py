"""Causes of idle time by the whole names of the host's events, and how these names are read.

A part of a name says nothing: ``CompiledFunctionBackward`` compiles nothing. Sources: the runtimes' own function names
(CUDA 12, ROCm 6), the names of TensorFlow 2.x, JAX 0.4 to 0.8 and PyTorch 1.8 to 2.7 in traces of theirs.
"""

from __future__ import annotations

import re
from typing import Final

from pipeprof.profiles.document.shared import GapCause
from pipeprof.profiles.protocol.messages import REQUEST_MARK

CAUSES: Final[tuple[GapCause, ...]] = (
    "pipeline",
    "copy",
    "compile",
    "memory",
    "sync",
    "op",
    "python",
    "launch",
    "device-wait",
    "pipeprof",
    "unknown",
)
"""In the order in which one that is at work takes the time."""
PIPELINE, COPY, COMPILE, MEMORY, SYNC, OP, PYTHON, LAUNCH, DEVICE_WAIT, PIPEPROF, UNKNOWN = range(len(CAUSES))
NOTHING: Final = len(CAUSES)
"""An event that only encloses others, such as a step."""
TURN: Final = NOTHING + 1
"""A turn of TensorFlow's executor on a thread, or a call of a function: it may wait for ops on other threads; where it
does not, it is one."""

_RUNTIMES: Final[dict[int, str]] = {
    COPY: """Memcpy MemcpyAsync Memcpy2D Memcpy2DAsync Memcpy3D Memcpy3DAsync MemcpyPeer MemcpyPeerAsync MemcpyToSymbol
        MemcpyToSymbolAsync MemcpyWithStream MemcpyHtoD MemcpyHtoDAsync MemcpyDtoH MemcpyDtoHAsync MemcpyDtoD
        MemcpyDtoDAsync""",
    COMPILE: """ModuleLoad ModuleLoadData ModuleLoadDataEx ModuleLoadFatBinary LibraryLoadData LibraryLoadFromFile
        LinkComplete""",
    MEMORY: """Malloc Free MallocAsync FreeAsync MallocHost FreeHost HostAlloc HostMalloc HostFree HostRegister
        HostUnregister MallocManaged MallocPitch MallocFromPoolAsync ExtMallocWithFlags MemGetInfo MemAlloc MemFree
        MemAllocAsync MemFreeAsync MemAllocHost MemFreeHost MemHostAlloc MemHostRegister MemAllocManaged MemCreate
        MemRelease MemMap MemUnmap MemSetAccess MemAddressReserve MemAddressFree""",
    SYNC: "DeviceSynchronize StreamSynchronize EventSynchronize CtxSynchronize StreamWaitValue32",
    LAUNCH: "Memset MemsetAsync Memset2DAsync MemsetD8Async MemsetD16Async MemsetD32Async",
}
"""Calls of CUDA and ROCm, which begin with one of `_PREFIXES`."""
_PREFIXES = ("cuda", "cu", "hip")
"""CUDA's runtime, its driver, and ROCm: what one of them has, another one may have, too."""
_OTHERS: Final[dict[int, str]] = {
    PIPELINE: """IteratorGetNext IteratorGetNextSync IteratorGetNextAsOptional IteratorGetNextOp::DoCompute
        IteratorGetNextSyncOp::DoCompute IteratorGetNextAsOptionalOp::DoCompute MultiDeviceIteratorGetNextFromShard
        enumerate(DataLoader)""",
    COPY: """MemcpyH2D MemcpyD2H MemcpyD2D MemcpyP2P CopyHostToDevice CopyDeviceToHost CopyDeviceToDevice DevicePut
        BufferFromHostBuffer tpu::System::TransferToDevice tpu::System::TransferFromDevice Linearize XlaLinearize
        Delinearize XlaDelinearize shard_args""",
    COMPILE: """backend_compile PJRT_Client_Compile XlaCompileOp::Compute XlaCompile lower_sharding_computation
        trace_to_jaxpr_dynamic LoadProgram ActualLoad nvrtcCompileProgram entire_frame_compile _compile.compile_inner
        compile_inner OutputGraph.call_user_compiler compile_fx_inner compile_fx.<locals>.fw_compiler_base
        inductor_compile async_compile.wait backend_compile_and_load CompileToBackendResult CompileSingleModule
        CompileModuleToLlvmIr OptimizeHloModule PTX->CUBIN""",
    MEMORY: "MemoryAllocation MemoryDeallocation TfrtTpuClient::DefragmentMemory",
    SYNC: """BlockHostUntilDone StreamExecutor::BlockHostUntilDone GpuExecutor::BlockHostUntilDone
        Stream::BlockHostUntilDone block_until_ready _single_device_array_to_np_array np.asarray(jax.Array) AwaitReady
        PjRtFuture::Await Await LocalDeviceState::WaitFor""",
    LAUNCH: "Memset",
}
"""Names of TensorFlow, JAX and PyTorch."""
_FRAMES: Final[dict[int, str]] = {
    PIPELINE: "builtins:next",
    SYNC: "queue.py:get threading.py:wait threading.py:join array.py:block_until_ready api.py:block_until_ready",
    COMPILE: """compiler.py:compile_or_get_cached compiler.py:backend_compile compiler.py:backend_compile_and_load
        pxla.py:lower_sharding_computation pxla.py:compile pjit.py:_infer_params pjit.py:_infer_params_impl
        pjit.py:_infer_params_internal pjit.py:_create_pjit_jaxpr pjit.py:_trace_for_jit pjit.py:_pjit_lower
        partial_eval.py:trace_to_jaxpr_dynamic partial_eval.py:trace_to_jaxpr polymorphic_function.py:_initialize
        tracing_compilation.py:_create_concrete_function tracing_compilation.py:_maybe_define_function""",
}
"""Calls of Python by file and name: tracing of a function counts as its compilation. `_infer_params` also runs where
nothing is traced, for microseconds."""


def _calls(rests: str) -> frozenset[str]:
    return frozenset(f"{prefix}{rest}" for prefix in _PREFIXES for rest in rests.split())


KERNEL_LAUNCHES: Final = _calls(
    """LaunchKernel LaunchKernelExC LaunchKernelEx LaunchCooperativeKernel Launch LaunchGrid ModuleLaunchKernel
    ExtModuleLaunchKernel ExtLaunchKernel HccModuleLaunchKernel"""
)
"""Calls that each start one kernel."""
GRAPH_LAUNCHES: Final = _calls("GraphLaunch")
CAPTURE_BEGINS: Final = _calls("StreamBeginCapture")
CAPTURE_ENDS: Final = _calls("StreamEndCapture")
"""Kernels that are launched between the two become parts of a graph, and do not run."""
_TABLE: Final[dict[str, int]] = {
    **dict.fromkeys(KERNEL_LAUNCHES | GRAPH_LAUNCHES, LAUNCH),
    **dict.fromkeys(("Acquire semaphore", "Wait for donation holds"), SYNC),
    **{name: cause for cause, rests in _RUNTIMES.items() for name in _calls(rests)},
    **{name: cause for cause, names in _OTHERS.items() for name in names.split()},
}
_CALLS: Final = {call: cause for cause, calls in _FRAMES.items() for call in calls.split()}
_PYTHON_FRAME = re.compile(r"\$(?P<file>\S+?)(?::\d+)? (?P<name>.+)|(?P<path>.+\.py)\(\d+\): (?P<call>.+)")
"""How JAX's and TensorFlow's Python tracer, and PyTorch's, write a call of Python."""
_CLIENT = re.compile(
    r"(?:xla::)?(?:(?:Common)?PjRtClient|PjRt(?:StreamExecutor|CApi|Cpu|Gpu|Tpu)Client|Tfrt(?:Cpu|Gpu|Tpu)(?:Client|Compiler)"
    r"|StreamExecutorGpuClient|PyClient)::"
    r"(?:(BufferFromHost(?:Buffer|Literal))|Compile(?:AndLoad)?(?:Internal)?(?:\(\S+\))?)"
)
"""JAX's runtimes name a copy to the device, or a compilation, by their own class; a user's class has another name."""
_LOADER = re.compile(r"enumerate\(DataLoader\)#(\w+)\.__next__")
_VERSIONED = re.compile(r"(.+?)(?:_(?:v\d+|ptsz|ptds|spt))+")
"""As the driver numbers versions of a function, and marks those for the stream of a thread."""
_TIMED = re.compile(r"(.+) \(dynamo_timed\)")
_GRAPH_NUMBER = re.compile(r"(.+) \(CudaGraph:\d+\)")
_OP_OF_NODE = re.compile(r"[^:]+:(\w+)")
"""TensorFlow's name of an op: that of the node, then its type."""
_TURNS: Final = re.compile(r"ExecutorState::Process|FunctionRun|KernelAndDeviceFunc::Run|Eager\w*: .*")
_OWN: Final = "pipeprof: "
STEP: Final = re.compile(r"ProfilerStep#(\d+)")
_ENCLOSING: Final = frozenset({"user_annotation", "gpu_user_annotation"})
"""Categories of PyTorch's events that a user or an optimizer has named: not work by themselves."""
_PYTHON: Final = frozenset({"python_function"})
PYTHON_THREAD: Final = "python thread"
"""Stands for the category of events of TensorFlow and JAX on a thread that runs Python: users annotate there, too."""
OF_PROGRAM: Final = frozenset({"cpu_op", "operator", "python_function", "user_annotation", PYTHON_THREAD})
"""Categories of what a program does apart from calls of the runtime: where a trace has none of them, what it does is
not recorded."""
_RUNS: Final = re.compile(r".*::.*|\w+\(.*\)|Executor\w+|ExecuteReplicated\.__call__")
"""Names of the runtimes' own events there; any other one that no table knows is an annotation."""
STAGE: Final = "Iterator::"
"""How the names of tf.data's stages at work begin."""


def plain(name: str) -> str:
    """Return the name of a call without the version or the graph's number that a profiler adds.

    Example:
        >>> plain("cudaLaunchKernel_v7000"), plain("cuGraphLaunch (CudaGraph:14)"), plain("aten::add")
        ('cudaLaunchKernel', 'cuGraphLaunch', 'aten::add')
    """
    for pattern in (_VERSIONED, _TIMED, _GRAPH_NUMBER):
        if (found := pattern.fullmatch(name)) is not None:
            return found[1]
    return name


def cause_of(name: str, category: str = "") -> int:
    """Return what an event on the host stands for, as an index into `CAUSES`; `NOTHING` if it only encloses others.

    Args:
        category: That of an event of PyTorch or `PYTHON_THREAD`; else empty.

    Example:
        >>> CAUSES[cause_of("cudaMalloc", "cuda_runtime")], CAUSES[cause_of("aten::add", "cpu_op")]
        ('memory', 'op')
    """
    if STEP.fullmatch(name) or name.startswith(STAGE):
        return NOTHING
    if _TURNS.fullmatch(name):
        return TURN
    known = PIPELINE if name == REQUEST_MARK or _LOADER.fullmatch(name) else _TABLE.get(plain(name))
    frame = _PYTHON_FRAME.fullmatch(name) if known is None else None
    if frame is not None:
        known = _cause_of_call(frame["file"] or frame["path"], frame["name"] or frame["call"])
    elif known is None and (client := _CLIENT.fullmatch(name)) is not None:
        known = COPY if client[1] else COMPILE
    return _cause_of_category(name, category) if known is None else known


def _cause_of_category(name: str, category: str) -> int:
    if name.startswith(_OWN):
        return PIPEPROF
    if category in _ENCLOSING:
        return NOTHING
    if category in _PYTHON:
        return PYTHON
    node = _OP_OF_NODE.fullmatch(name)
    if node is not None:
        return _TABLE.get(node[1], OP)
    return NOTHING if category == PYTHON_THREAD and not _RUNS.fullmatch(name) else OP


def _cause_of_call(file: str, call: str) -> int:
    return PIPELINE if call == "__next__" else _CALLS.get(f"{file.rpartition('/')[2]}:{call}", PYTHON)


def loader_of(name: str) -> str | None:
    """Return the name of a loader that its input call has.

    Example:
        >>> loader_of("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"), loader_of("IteratorGetNext")
        ('DataLoader (_MultiProcessingDataLoaderIter)', None)
    """
    if (found := _LOADER.fullmatch(name)) is not None:
        return f"DataLoader ({found[1]})"
    return "DataLoader" if name == "enumerate(DataLoader)" else None
