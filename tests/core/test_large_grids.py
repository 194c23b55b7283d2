"""Memory that very large images take: Pillow's copy of the image, and a few strips of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit import PEAK, environment

MB = 1 << 20
ENCODE = """
import sys
from atlcodec.cli import main
sys.argv = ["atlc", "encode", "big.png", "--grid", "-m", "mnist-lenet", "--effort", "0", "--overlap", "0", "-q"]
"""
DECODE = """
import sys
from atlcodec.cli import main
sys.argv = ["atlc", "decode", "big.atlc", "-o", "back.png", "-q"]
"""
RUN = """
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(peak())
"""

SIDE = 20_000
MOST = 600 * MB  # on top of Pillow's copy, which has 381 MB: a second one would be too much

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc"),
    pytest.mark.skipif("ATLC_TEST_ALL" not in os.environ, reason="takes minutes: make test-more"),
]


def test_encode_and_decode_hold_one_copy_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.arange(SIDE, dtype=np.uint32)
    image = Image.new("L", (SIDE, SIDE))
    for top in range(0, SIDE, 500):
        rows = (ramp[top : top + 500, None] // 7 + ramp // 5 + (ramp // 100 * 31) % 50).astype(np.uint8)
        image.paste(Image.fromarray(rows), (0, top))
    image.save(tmp_path / "big.png", compress_level=1)
    del image
    for name, program in (("encode", ENCODE), ("decode", DECODE)):
        command = [sys.executable, "-c", PEAK + program + RUN]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
        peak = int(done.stdout.split()[-1]) * 1024
        print(f"{name}: {peak / MB:.0f} MB, with {SIDE * SIDE / MB:.0f} for the image")
        assert peak < SIDE * SIDE + MOST
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with Image.open(tmp_path / "back.png") as back:
        assert back.size == (SIDE, SIDE)
