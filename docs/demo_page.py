"""Makes the demo page: one file that encodes, decodes and classifies a picture in the browser.

    python docs/demo_page.py build/page/index.html [SET.atlc ...]

It carries the bundled models that `atlc encode` chooses among. The sets are what pictures are compared with, and their
lists give the labels; without any, digits are drawn (examples/draw.py)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atlcodec import atomic, zoo
from atlcodec.card import read_json
from atlcodec.choice import head_digest
from atlcodec.codec import Codec
from atlcodec.record import Records
from atlcodec.sets import encode_folder, record_set
from atlcodec.show.page import asset, base64_text, digest, element

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "docs/demo"
Samples = dict[int, list[tuple[Records, str]]]  # by the id of the codec: a record and its label


def samples(names: list[str]) -> Samples:
    """The records of sets, and their labels."""
    found: Samples = {}
    for name in names:
        for part in record_set.open(name).parts():
            if part.codec is None:
                raise SystemExit(part.problem)
            labels = [entry.label or entry.path for entry in part.entries or ()] or [""] * len(part.records)
            found.setdefault(part.codec.id, []).extend(zip(part.records, labels, strict=True))
    return found


def drawn() -> Samples:
    """Digits of a font, as `mnist` encodes them."""
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits"
        subprocess.run([sys.executable, str(ROOT / "examples/draw.py"), "--digits", str(digits)], check=True)
        encode_folder(digits, Path(folder) / "set.atlc", model="mnist")
        return samples([f"{folder}/set.atlc"])


def about(codecs: list[Codec], known: Samples) -> dict[str, Any]:
    """What the page knows of its codecs."""
    choice = zoo.choice()
    return {
        "weights": choice.weights if choice.heads == [head_digest(codec) for codec in codecs] else None,
        "samples": [[label for _, label in known.get(codec.id, [])] for codec in codecs],
        "codecs": [facts(codec) for codec in codecs],
    }


def facts(codec: Codec) -> dict[str, Any]:
    card, head = read_json(codec.model.folder), codec.head.card
    named = {"labels": head.labels, "scale": head.scale, "name": f"{codec.name}/{head.name}"}
    return {
        "name": codec.name,
        "id": f"{codec.id:08x}",
        "shape": codec.shape,
        "latents": codec.model.card.packing.widths,
        "label_latents": card.get("label_latents", 0),
        "head": named,
        "unsure": head.unsure_below,
    }


def networks(codec: Codec, known: Samples) -> Iterator[str]:
    """The elements that hold a codec's files and samples."""
    parts = {part: codec.model.file(part) for part in ("compressor", "decompressor")}
    parts["classifier"] = codec.head.file()
    if codec.id in known:
        parts["samples"] = np.stack([packed for packed, _ in known[codec.id]]).tobytes()
    for name, content in parts.items():
        yield element(f"{name}-{codec.id:08x}", "text/plain", base64_text(content))


def page(names: list[str]) -> str:
    codecs = [Codec(model) for model in zoo.default()]
    known = samples(names) if names else drawn()
    script = f'"use strict";\n(() => {{\n{(DEMO / "demo.js").read_text("utf-8").strip()}\n}})();'
    css = f"{asset('page.css')}\n{(DEMO / 'demo.css').read_text('utf-8').strip()}"
    worker = f"{asset('decoder.js')}\n{(DEMO / 'demo-worker.js').read_text('utf-8').strip()}"
    told = json.dumps(about(codecs, known), separators=(",", ":")).replace("<", "\\u003c")
    data = [element("worker", "text/plain", worker), element("about", "application/json", told)]
    data += [each for codec in codecs for each in networks(codec, known)]
    template = (DEMO / "demo.html").read_text("utf-8").strip()
    return template.format(script=digest(script), style=digest(css), css=css, js=script, data="\n".join(data))


def main(target: str, *names: str) -> None:
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(target) as file:
        file.write(page(list(names)).encode())
    print(f"{target}: {Path(target).stat().st_size / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
