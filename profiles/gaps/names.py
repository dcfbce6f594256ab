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

_FETCHES = """IteratorGetNext IteratorGetNextSync IteratorGetNextAsOptional IteratorGetNextOp::DoCompute
IteratorGetNextSyncOp::DoCompute IteratorGetNextAsOptionalOp::DoCompute MultiDeviceIteratorGetNextFromShard
enumerate(DataLoader) """
_COPIES = """cudaMemcpy cudaMemcpyAsync cudaMemcpy2D cudaMemcpy2DAsync cudaMemcpy3D cudaMemcpy3DAsync cudaMemcpyPeer
cudaMemcpyPeerAsync cudaMemcpyToSymbol cudaMemcpyToSymbolAsync cuMemcpy cuMemcpyAsync cuMemcpyHtoD cuMemcpyHtoDAsync
cuMemcpyDtoH cuMemcpyDtoHAsync cuMemcpyDtoD cuMemcpyDtoDAsync cuMemcpy2D cuMemcpy2DAsync cuMemcpyPeerAsync
hipMemcpy hipMemcpyAsync hipMemcpyWithStream hipMemcpy2D hipMemcpy2DAsync hipMemcpyHtoD hipMemcpyHtoDAsync hipMemcpyDtoH
hipMemcpyDtoHAsync hipMemcpyDtoD hipMemcpyDtoDAsync hipMemcpyPeerAsync MemcpyH2D MemcpyD2H MemcpyD2D MemcpyP2P
CopyHostToDevice CopyDeviceToHost CopyDeviceToDevice DevicePut BufferFromHostBuffer
tpu::System::TransferToDevice tpu::System::TransferFromDevice Linearize XlaLinearize Delinearize XlaDelinearize
shard_args"""
_COMPILES = """backend_compile PJRT_Client_Compile XlaCompileOp::Compute XlaCompile lower_sharding_computation
trace_to_jaxpr_dynamic LoadProgram ActualLoad cuModuleLoad cuModuleLoadData cuModuleLoadDataEx
cuModuleLoadFatBinary cuLibraryLoadData cuLibraryLoadFromFile cudaLibraryLoadData hipModuleLoad hipModuleLoadData
hipModuleLoadDataEx cuLinkComplete nvrtcCompileProgram entire_frame_compile _compile.compile_inner compile_inner
OutputGraph.call_user_compiler compile_fx_inner compile_fx.<locals>.fw_compiler_base inductor_compile
async_compile.wait backend_compile_and_load CompileToBackendResult CompileSingleModule CompileModuleToLlvmIr
OptimizeHloModule PTX->CUBIN"""
_FRAMES: Final[dict[tuple[str, str], int]] = {
    ("builtins", "next"): PIPELINE,
    ("queue.py", "get"): SYNC,
    ("threading.py", "wait"): SYNC,
    ("threading.py", "join"): SYNC,
    ("array.py", "block_until_ready"): SYNC,
    ("api.py", "block_until_ready"): SYNC,
    ("compiler.py", "compile_or_get_cached"): COMPILE,
    ("compiler.py", "backend_compile"): COMPILE,
    ("compiler.py", "backend_compile_and_load"): COMPILE,
    ("pxla.py", "lower_sharding_computation"): COMPILE,
    ("pxla.py", "compile"): COMPILE,
    ("pjit.py", "_infer_params"): COMPILE,
    ("pjit.py", "_infer_params_impl"): COMPILE,
    ("pjit.py", "_infer_params_internal"): COMPILE,
    ("pjit.py", "_create_pjit_jaxpr"): COMPILE,
    ("pjit.py", "_trace_for_jit"): COMPILE,
    ("pjit.py", "_pjit_lower"): COMPILE,
    ("partial_eval.py", "trace_to_jaxpr_dynamic"): COMPILE,
    ("partial_eval.py", "trace_to_jaxpr"): COMPILE,
    ("polymorphic_function.py", "_initialize"): COMPILE,
    ("tracing_compilation.py", "_create_concrete_function"): COMPILE,
    ("tracing_compilation.py", "_maybe_define_function"): COMPILE,
}
"""Calls of Python by file and name: tracing of a function counts as its compilation. `_infer_params` also runs where
nothing is traced, for microseconds."""
_MEMORY = """cudaMalloc cudaFree cudaMallocAsync cudaFreeAsync cudaMallocHost cudaFreeHost cudaHostAlloc
cudaHostRegister cudaHostUnregister cudaMallocManaged cudaMallocPitch cudaMallocFromPoolAsync cudaMemGetInfo
cuMemAlloc cuMemFree cuMemAllocAsync cuMemFreeAsync cuMemAllocHost cuMemFreeHost cuMemHostAlloc cuMemHostRegister
cuMemCreate cuMemRelease cuMemMap cuMemUnmap cuMemSetAccess cuMemAddressReserve cuMemAddressFree cuMemAllocManaged
hipMalloc hipFree hipMallocAsync hipFreeAsync hipHostMalloc hipHostFree hipMallocHost hipFreeHost hipExtMallocWithFlags
hipHostRegister hipHostUnregister hipMemCreate hipMemRelease hipMemMap hipMemUnmap hipMemSetAccess hipMemAddressReserve
hipMemAddressFree MemoryAllocation MemoryDeallocation TfrtTpuClient::DefragmentMemory"""
_SYNCS = """cudaDeviceSynchronize cudaStreamSynchronize cudaEventSynchronize cudaStreamWaitValue32 cuCtxSynchronize
cuStreamSynchronize cuEventSynchronize hipDeviceSynchronize hipStreamSynchronize hipEventSynchronize hipCtxSynchronize
BlockHostUntilDone StreamExecutor::BlockHostUntilDone GpuExecutor::BlockHostUntilDone Stream::BlockHostUntilDone
block_until_ready _single_device_array_to_np_array np.asarray(jax.Array) AwaitReady PjRtFuture::Await Await
LocalDeviceState::WaitFor"""
_LAUNCHES = """cudaLaunchKernel cudaLaunchKernelExC cudaLaunchCooperativeKernel cuLaunchKernel cuLaunchKernelEx
cuLaunchCooperativeKernel cuLaunch cuLaunchGrid hipLaunchKernel hipLaunchKernelExC hipModuleLaunchKernel
hipExtModuleLaunchKernel hipExtLaunchKernel hipLaunchCooperativeKernel hipHccModuleLaunchKernel"""
_SETS = """cudaMemset cudaMemsetAsync cudaMemset2DAsync cuMemsetD8Async cuMemsetD16Async cuMemsetD32Async hipMemset
hipMemsetAsync hipMemsetD8Async hipMemsetD32Async Memset"""
_GRAPHS = "cudaGraphLaunch cuGraphLaunch hipGraphLaunch"


KERNEL_LAUNCHES: Final = frozenset(_LAUNCHES.split())
"""Calls that each start one kernel."""
GRAPH_LAUNCHES: Final = frozenset(_GRAPHS.split())
CAPTURE_BEGINS: Final = frozenset({"cudaStreamBeginCapture", "cuStreamBeginCapture", "hipStreamBeginCapture"})
CAPTURE_ENDS: Final = frozenset({"cudaStreamEndCapture", "cuStreamEndCapture", "hipStreamEndCapture"})
"""Kernels that are launched between the two become parts of a graph, and do not run."""
_TABLE: Final[dict[str, int]] = {
    name: cause
    for words, cause in (
        (_LAUNCHES, LAUNCH),
        (_SETS, LAUNCH),
        (_GRAPHS, LAUNCH),
        (_SYNCS, SYNC),
        (_MEMORY, MEMORY),
        (_COMPILES, COMPILE),
        (_COPIES, COPY),
        (_FETCHES, PIPELINE),
    )
    for name in words.split()
}
_TABLE.update(dict.fromkeys(("Acquire semaphore", "Wait for donation holds"), SYNC))
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
"""The category of calls of the operating system: all but its waits say nothing."""
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
    """Return the cause of an event whose name no table has."""
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
    if call == "__next__":
        return PIPELINE
    return _FRAMES.get((file.rpartition("/")[2], call), PYTHON)


def loader_of(name: str) -> str | None:
    """Return the name of a loader that its input call has.

    Example:
        >>> loader_of("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"), loader_of("IteratorGetNext")
        ('DataLoader (_MultiProcessingDataLoaderIter)', None)
    """
    if (found := _LOADER.fullmatch(name)) is not None:
        return f"DataLoader ({found[1]})"
    return "DataLoader" if name == "enumerate(DataLoader)" else None
