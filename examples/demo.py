"""What `make demo` runs: it encodes, decodes and classifies one image with the real commands, and shows the result.

python examples/demo.py [SHEET.png]      SHEET.png shows before and after; the default is demo/before-after.png
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from atlcodec import metrics, picture
from draw import seven

FOLDER = Path(__file__).resolve().parent.parent / "demo"
DIGIT, RECORD, DECODED = FOLDER / "digit.png", FOLDER / "digit.atlc", FOLDER / "digit.atlc.png"


def run(*arguments: str) -> str:
    """Run an `atlc` command in the demo's folder. Prints the command and its output, and returns the output."""
    print(f"$ {shlex.join(('atlc', *arguments))}", flush=True)
    # Prefer the atlc of this Python's environment, even if the environment is not activated.
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    atlc = shutil.which("atlc", path=places)
    if atlc is None:
        sys.exit("demo: the command atlc is not installed; run `make demo`")
    done = subprocess.run(
        [atlc, *arguments], cwd=FOLDER, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    print(done.stdout, flush=True)
    if done.returncode:
        sys.exit(f"demo: atlc {arguments[0]} failed")
    return done.stdout.strip()


def side_by_side(panels: list[tuple[Image.Image, str]], scale: int = 8, gap: int = 24) -> Image.Image:
    """The images side by side, each pixel enlarged to a square, with a caption below each image."""
    side = panels[0][0].height * scale
    sheet = Image.new("L", (gap + len(panels) * (side + gap), side + 3 * gap), 255)
    draw = ImageDraw.Draw(sheet)
    for number, (image, caption) in enumerate(panels):
        left = gap + number * (side + gap)
        sheet.paste(image.resize((side, side), Image.Resampling.NEAREST), (left, gap))
        draw.text((left + side / 2, side + 2 * gap), caption, fill=0, anchor="mm", font=ImageFont.load_default(14))
    return sheet


def main(target: Path) -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in (RECORD, DECODED):  # atlc overwrites no file unless told to
        old.unlink(missing_ok=True)
    seven().save(DIGIT, optimize=True)
    print(f"A digit, drawn by examples/draw.py: {os.path.relpath(DIGIT)}\n")

    run("encode", DIGIT.name)
    run("decode", RECORD.name)
    label = run("classify", RECORD.name).removeprefix(f"{RECORD.name}: ")

    before, after = picture.read(DIGIT), picture.read(DECODED)
    raw, png, record = before.size, DIGIT.stat().st_size, RECORD.stat().st_size
    psnr = metrics.psnr(float(metrics.squared_error(before[None], after[None])[0]))
    print(f"raw pixels  {raw:4d} bytes   {raw / record:.2f} times the record")
    print(f"digit.png   {png:4d} bytes   {png / record:.2f} times the record")
    print(f"digit.atlc  {record:4d} bytes")
    print(f"PSNR        {psnr:.1f} dB")
    print(f"label       {label}, read off the record without decoding it")

    captions = (f"before: {raw} bytes", f"after: {record} bytes, {psnr:.1f} dB")
    panels = [(Image.fromarray(pixels), caption) for pixels, caption in zip((before, after), captions, strict=True)]
    target.parent.mkdir(parents=True, exist_ok=True)
    side_by_side(panels).save(target, optimize=True)
    print(f"\nBefore and after, side by side: {os.path.relpath(target)}")


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    main(Path(sys.argv[1]) if len(sys.argv) == 2 else FOLDER / "before-after.png")
