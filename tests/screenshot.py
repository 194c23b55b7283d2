"""Makes docs/page.png, the page in the README: python tests/screenshot.py

Drawn digits, encoded, shown by `atlc show`, photographed in Chromium."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from browser_kit import browser

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/page.png"


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for command in (
            [str(ROOT / "examples/draw.py"), "--digits", "pictures"],
            ["-m", "atlcodec", "encode", "pictures", "-o", "pictures.atlc"],
            ["-m", "atlcodec", "show", "pictures.atlc", "-o", "page.html", "--sort", "probability"],
        ):
            subprocess.run([sys.executable, *command], cwd=folder, check=True)
        with browser(Path(folder) / "profile") as page:
            page.resize(1100, 620)
            page.open((Path(folder) / "page.html").as_uri())
            page.wait("document.documentElement.dataset.decoded === 'true'")
            page.screenshot(TARGET)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
