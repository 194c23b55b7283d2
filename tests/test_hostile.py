"""Model files made to do harm are refused before ONNX Runtime sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
from hostile import DISGUISES, decompressor, division, in_own_format, loop, polyglot

from atlcodec import engine, graph
from atlcodec.errors import BadModel

# -- ONNX Runtime's own format, which no check of protobuf fields can look into ----------------------------------------


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("make", [decompressor, division, loop])
def test_own_format_in_disguise(make: Callable[[], bytes], disguise: str, tmp_path: Path) -> None:
    file = polyglot(in_own_format(make(), tmp_path), disguise)
    with pytest.raises(BadModel, match="own format"):
        graph.check(file, "x")


@pytest.mark.parametrize("disguise", DISGUISES)
def test_the_engine_loads_no_other_format_either(disguise: str, tmp_path: Path) -> None:
    file = polyglot(in_own_format(decompressor(), tmp_path), disguise)
    onnxruntime.InferenceSession(file)  # which takes it, unless told
    with pytest.raises(BadModel, match="cannot be loaded"):
        engine.Graph(file, engine.DECOMPRESSOR, "x", trusted=True)


def test_own_format_undisguised(tmp_path: Path) -> None:
    file = in_own_format(decompressor(), tmp_path)
    for trusted in (False, True):
        with pytest.raises(BadModel):
            engine.Graph(file, engine.DECOMPRESSOR, "x", trusted=trusted)


def test_field_0_is_not_protobuf() -> None:
    graph.check(decompressor(), "x")
    with pytest.raises(BadModel, match="not an ONNX file"):
        graph.check(decompressor() + b"\x02\x00", "x")
