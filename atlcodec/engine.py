"""Running the networks. The only file that knows ONNX Runtime."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import untrusted
from atlcodec.errors import BadModel

MEMORY = 2 << 30  # bytes that all graphs together may ask for; ours take a hundredth of it
SENSIBLE = 1e9  # latents and logits are far below


@dataclass(frozen=True)
class Signature:
    """What goes in and what comes out: names, element types, and the shape of one row."""

    source: str
    source_type: str
    source_shape: tuple[int, ...]
    target: str
    target_type: str
    target_shape: tuple[int, ...]


COMPRESSOR = Signature("images", "tensor(uint8)", (28, 28), "latents", "tensor(float)", (16, 5, 5))
DECOMPRESSOR = Signature("records", "tensor(uint8)", (200,), "images", "tensor(uint8)", (28, 28))


def classifier(classes: int) -> Signature:
    return Signature("records", "tensor(uint8)", (200,), "logits", "tensor(float)", (classes,))


class Graph:
    """One ONNX file, ready to run. Raises `BadModel` if it is not what its signature says, or would not be safe to run."""

    def __init__(self, file: bytes, signature: Signature, name: str, *, trusted: bool = False) -> None:
        self._name, self._signature = name, signature
        if not trusted:
            untrusted.check(file, name)
        self._session = self._load(file, optimise=trusted)
        self._check()

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows of the input's shape -> as many of the output's, all numbers finite. Raises `BadModel`."""
        try:
            result = np.asarray(self._session.run([self._signature.target], {self._signature.source: rows})[0])
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise BadModel(f"{self._name}: cannot be run ({_one_line(error)})") from error
        promised = (len(rows), *self._signature.target_shape)
        if result.shape != promised:
            raise BadModel(f"{self._name}: gave {result.shape} where {promised} was promised")
        if result.dtype.kind == "f" and not (np.abs(result) < SENSIBLE).all():  # no number is smaller either
            raise BadModel(f"{self._name}: gave values that are infinite or no numbers")
        return result

    def _load(self, file: bytes, *, optimise: bool) -> Any:
        ort = _runtime()
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong comes as an exception
        options.intra_op_num_threads = 1  # see codec._chunked
        options.add_session_config_entry("session.use_env_allocators", "1")
        if not optimise:
            # Optimising computes with the weights (folds constants, packs kernels) outside the limit on memory.
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.add_session_config_entry("session.disable_prepacking", "1")
        try:  # once: its "fallback" would print, and try the same again
            return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        except Exception as error:
            raise BadModel(f"{self._name}: cannot be loaded ({_one_line(error)})") from error

    def _check(self) -> None:
        s = self._signature
        try:
            sources, targets = self._session.get_inputs(), self._session.get_outputs()
            ports = [(port.name, port.type, tuple(port.shape[1:])) for port in (*sources, *targets)]
        except UnicodeDecodeError as error:
            raise BadModel(f"{self._name}: not an ONNX file") from error
        if ports != [(s.source, s.source_type, s.source_shape), (s.target, s.target_type, s.target_shape)]:
            raise BadModel(f"{self._name}: must map {s.source} {s.source_shape} to {s.target} {s.target_shape}, not {ports}"[:500])
        for count in (1, 2):
            self(np.zeros((count, *s.source_shape), np.uint8))


def threads() -> int:
    """How many threads a graph uses: as many as this process may have, or `$ATLC_THREADS` if that is fewer."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("ATLC_THREADS", "")[:9]
    return min(int(wanted), most) if wanted.isdecimal() and int(wanted) else most


@functools.cache
def _runtime() -> Any:
    """ONNX Runtime, imported when first needed, with one limited arena for all graphs."""
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(info, ort.OrtArenaCfg({"max_mem": MEMORY, "arena_extend_strategy": 1}))
    return ort


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
