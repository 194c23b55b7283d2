"""What an import loads, and what it leaves for later. Each program runs in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from kit import environment


def printed(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True).stdout


def test_one_image_does_not_wait_for_sets() -> None:
    loaded = printed("import sys, atlcodec.cli.encode; print(*sys.modules)").split()
    assert not {f"atlcodec.sets.{name}" for name in ("encode", "sinks", "journal", "parquet")} & {*loaded}
    assert "atlcodec.sets" not in printed("import sys, atlcodec; print(*sys.modules)").split()


def test_the_modules_are_there_without_an_import_of_their_own() -> None:
    program = """
import atlcodec
for name in "arrow cluster evaluation neighbours sets training zarr".split():
    print(getattr(atlcodec, name).__name__)
print(atlcodec.training.records.RecordDataset.__name__, hasattr(atlcodec, "nonsense"))
"""
    names = [f"atlcodec.{name}" for name in "arrow cluster evaluation neighbours sets training zarr".split()]
    assert printed(program).split() == [*names, "RecordDataset", "False"]
    early = printed("import sys, atlcodec; print(*sys.modules)").split()
    assert not {*names} & {*early}


def test_no_cluster_is_imported() -> None:
    loaded = printed("import sys; from atlcodec import cluster; print(*sys.modules)").split()
    assert not {"ray", "pyspark", "pyarrow", "pandas"} & {*loaded}


def test_settings_need_no_torch() -> None:
    loaded = printed("import sys, atlcodec.training.settings, atlcodec.cli.train; print(*sys.modules)").split()
    assert "torch" not in loaded


def test_importing_is_cheap_and_using_needs_no_pytorch_here_either() -> None:
    """PyTorch is installed here, but only training imports it. Nothing large is loaded before its use."""
    program = """
import json, sys, atlcodec
early = sorted({"torch", "onnx", "onnxruntime", "PIL", "click", "portalocker"} & set(sys.modules))
import numpy
label = atlcodec.classify(atlcodec.encode(numpy.zeros((28, 28), "u1"))).label
print(json.dumps([early, sorted({"torch", "onnx", "onnxruntime", "portalocker"} & set(sys.modules)), label]))
"""
    early, late, label = json.loads(printed(program))
    assert early == []
    assert late == ["onnxruntime"]
    assert label
    assert not [name for name in ("cli", "models") if (Path(sysconfig.get_path("purelib")) / name).exists()]
