"""Runs the graphs of a model, in threads. The only file that knows ONNX Runtime."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import costs, graph
from atlcodec.errors import BadModel
from atlcodec.record import BOTTLENECK
from atlcodec.trim import trim

MEMORY = 2 << 30  # bytes that all graphs together may ask for; the bundled ones take a hundredth of it
SENSIBLE = 1e12  # latents, logits, squared errors and their gradients are far smaller
CHUNK = 256  # rows whose activations fit in the CPU cache


@dataclass(frozen=True)
class Port:
    """An input or output: its name, element type, and the shape of one row."""

    name: str
    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a graph. One that is a part of its file leaves out the other outputs."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    part: bool = False


_UINT8, _FLOAT = "tensor(uint8)", "tensor(float)"
_RECORDS = Port("records", _UINT8, (200,))


def compressor(images: tuple[int, ...], shape: tuple[int, ...]) -> Signature:
    """Images -> latents, of these shapes."""
    return Signature((_images(images),), (Port("latents", _FLOAT, shape),))


def decompressor(images: tuple[int, ...]) -> Signature:
    return Signature((_RECORDS,), (_images(images),))


def refiner(images: tuple[int, ...], shape: tuple[int, ...], outputs: tuple[str, ...]) -> Signature:
    """Latents on their levels and images, of these shapes -> the outputs that are named; see `refine.symbols`."""
    symbols = Port("symbols" if shape == BOTTLENECK else "latents", _FLOAT, shape)
    found = tuple(Port(name, _FLOAT, () if name == "errors" else shape) for name in outputs)
    return Signature((symbols, _images(images)), found, part=True)


def classifier(classes: int) -> Signature:
    return Signature((_RECORDS,), (Port("logits", _FLOAT, (classes,)),))


def _images(shape: tuple[int, ...]) -> Port:
    return Port("images", _UINT8, shape)


class Stopped(Exception):
    """Ends a chunk whose result is no longer needed."""


class Graph:
    """One ONNX file, ready to run. Raises `BadModel` if it is not what its signature says, or would not be safe to
    run; or if it `claims` to be an exact network and is not.

    A file that is `trusted` runs with full optimisation, and so does an exact network from anyone: its bounds say what
    it computes with at most, and its bits stay the same."""

    def __init__(
        self, file: bytes, signature: Signature, name: str, *, trusted: bool = False, claims: bool = False
    ) -> None:
        self._name, self._signature = name, signature
        self._costs: costs.Costs | None = None
        fast = trusted
        if not trusted:
            graph.check(file, name)
        file = self._part(file)
        if not trusted:
            fast = self._is_exact(file, claims)
            if not fast:  # the bounds of an exact network hold for any number of rows
                self._costs = costs.Costs(file, name)
                self._afford(1)
        self._session = self._load(file, optimise=fast)
        self._check()

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows of the one input's shape -> as many of the one output's, all numbers finite. Raises `BadModel`."""
        return self.run(rows)[0]

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The same for several inputs, with as many rows in each, and all outputs of the signature."""
        ports = self._signature.outputs
        self._afford(len(inputs[0]))
        feed = {port.name: rows for port, rows in zip(self._signature.inputs, inputs, strict=True)}
        try:
            found = self._session.run([port.name for port in ports], feed)
            results = [np.asarray(result) for result in found]
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise BadModel(f"{self._name}: cannot be run ({_one_line(error)})") from error
        for port, result in zip(ports, results, strict=True):
            promised = (len(inputs[0]), *port.shape)
            if result.shape != promised:
                raise BadModel(f"{self._name}: returned {result.shape}, not {promised}")
            if result.dtype.kind == "f" and not (np.abs(result) < SENSIBLE).all():  # NaN compares false, too
                raise BadModel(f"{self._name}: returned infinite values or NaN")
        return results

    def _afford(self, count: int) -> None:
        """Refuse a stranger's graph that costs too much for so many rows, before it runs."""
        if self._costs is not None:
            self._costs.check(count, {port.name: port.shape for port in self._signature.inputs})

    def _part(self, file: bytes) -> bytes:
        """The file without what only other outputs need."""
        if not self._signature.part:
            return file
        try:
            return trim(file, [port.name for port in self._signature.outputs])
        except (IndexError, ValueError) as error:
            raise BadModel(f"{self._name}: not an ONNX file") from error

    def _is_exact(self, file: bytes, claims: bool) -> bool:
        if self._signature.inputs != (_RECORDS,):
            return False
        from atlcodec import accepted  # bundled models start without it

        return accepted.is_exact(file, self._name, claimed=claims)

    def _load(self, file: bytes, *, optimise: bool) -> Any:
        ort = _runtime()
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong comes as an exception
        options.intra_op_num_threads = 1  # see in_chunks
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_session_config_entry("session.load_model_format", "ONNX")  # the only one that `graph` looks into
        if not optimise:
            # Optimising computes with the weights (folds constants, packs kernels) outside the limit on memory.
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.add_session_config_entry("session.disable_prepacking", "1")
        try:  # once: its "fallback" would print, and try the same again
            return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        except Exception as error:
            raise BadModel(f"{self._name}: cannot be loaded ({_one_line(error)})") from error

    def _check(self) -> None:
        inputs, outputs = self._signature.inputs, self._signature.outputs
        try:
            found = [
                [Port(port.name, port.type, tuple(port.shape[1:])) for port in ports]
                for ports in (self._session.get_inputs(), self._session.get_outputs())
            ]
        except UnicodeDecodeError as error:
            raise BadModel(f"{self._name}: not an ONNX file") from error
        if found != [list(inputs), list(outputs)]:
            raise BadModel(f"{self._name}: must map {_told(inputs)} to {_told(outputs)}, not {found}"[:500])
        for count in (1, 2):  # a graph can have one of these numbers built in; it must take any
            dtypes = [np.uint8 if port.type == _UINT8 else np.float32 for port in inputs]
            self.run(*(np.zeros((count, *port.shape), dtype) for port, dtype in zip(inputs, dtypes, strict=True)))


def _told(ports: tuple[Port, ...]) -> str:
    return " and ".join(f"{port.name} {port.shape}" for port in ports)


def in_chunks(
    function: Callable[[Any], NDArray[Any]],
    rows: NDArray[np.uint8],
    shape: tuple[int, ...],
    dtype: type[np.generic] = np.uint8,
    check: Callable[[Any, int], None] | None = None,
    chunk_rows: int = CHUNK,
    stop: threading.Event | None = None,
) -> NDArray[Any]:
    """Apply `function` to chunks of at most `chunk_rows` rows, in as many threads as `threads` says -> (N, *shape) of
    `dtype`. `check(chunk, first)` sees each chunk before that. After an error or Ctrl-C, `stop` is set, and a slow
    `function` should raise `Stopped`: this call waits for the chunks that have begun.

    Each graph runs on one thread. Two chunks side by side keep two cores busier than two threads inside one graph,
    since some steps of a chunk cannot be divided."""
    count, most_threads = len(rows), threads()
    result = np.empty((count, *shape), dtype)
    size = min(chunk_rows, max(chunk_rows // 4, -(-count // most_threads)))  # a smaller chunk is not worth a thread

    def work(start: int) -> None:
        chunk = rows[start : start + size]
        if check is not None:
            check(chunk, start)
        if len(chunk) == 1:  # BLAS uses another kernel for one row and rounds differently: pad to two rows
            chunk = np.repeat(chunk, 2, axis=0)
        result[start : start + size] = function(chunk)[: count - start]

    starts = range(0, count, size)
    if len(starts) <= 1 or most_threads == 1:
        for start in starts:
            work(start)
        return result
    # One pool for each call: a pool that lives on would not survive a fork.
    with ThreadPoolExecutor(most_threads) as pool:
        try:
            for done in [pool.submit(work, start) for start in starts]:
                done.result()
        except BaseException:
            if stop is not None:
                stop.set()
            pool.shutdown(cancel_futures=True)  # cancel the rest
            raise
    return result


def threads() -> int:
    """How many chunks are computed at a time: one for each core of this process, or `$ATLC_THREADS` if that is
    fewer."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("ATLC_THREADS", "")[:9]
    return min(int(wanted), most) if wanted.isdecimal() and int(wanted) else most


@functools.cache
def _runtime() -> Any:
    """ONNX Runtime, imported when first needed, with one limited arena for all graphs."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, which starts it; a user's value stays
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(info, ort.OrtArenaCfg({"max_mem": MEMORY, "arena_extend_strategy": 1}))
    return ort


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
