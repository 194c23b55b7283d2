"""Nothing phones home: ONNX Runtime would keep a device id and events for its maker in the user's cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kit import ROOT

PROGRAM = """
import os
import numpy as np
import atlcodec
atlcodec.classify(atlcodec.encode(np.zeros((28, 28), np.uint8)))
print(os.environ.get("ORT_DISABLE_TELEMETRY"))
"""


def use(home: Path, **more: str) -> str:
    """Encode and classify with nothing else in the environment: no sign of CI, which would hide telemetry."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **more}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_nothing_is_kept_about_the_user(tmp_path: Path) -> None:
    said = use(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert said == "1"


def test_a_setting_of_the_user_stays(tmp_path: Path) -> None:
    assert use(tmp_path, ORT_DISABLE_TELEMETRY="true") == "true"
