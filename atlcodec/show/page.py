"""A page for a browser: one HTML file that carries records, networks and the decoder in JavaScript, and decodes what is
in sight. It works from the disk, where pages have no modules, no fetch and no workers by an address, and it loads
nothing from elsewhere: its content security policy forbids that.

The page's own script is the files of `page/`, one after the other. `page/decoder.js` is made of `web/` by
`node web/build.mjs`. What comes from strangers, labels and paths, stands in JSON, and the script shows it as text."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData
from atlcodec.grid_file import MISSING
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.show.captions import visible
from atlcodec.show.items import Item

SCRIPTS = "data.js", "pictures.js", "list.js", "detail.js", "main.js"
CHUNK = 3000  # records in an element; multiples of 3 bytes have base64 without padding
MOST = 500_000  # records: 130 MB of base64
NONE = 65_535  # the number of no label
QUERY = -1.0  # the distance of a query


def make(items: Sequence[Item], title: str, sort: str = "order") -> bytes:
    """The page of these images. Raises `BadData` if they are too many, or of a codec that JavaScript cannot read."""
    codecs = {item.codec.id: item.codec for item in items}
    for codec in codecs.values():
        if not codec.model.card.exact:
            raise BadData(f"{title}: pages read exact models only, and {codec.name} is not exact; write a sheet.png")
    packed = [_records(item) for item in items]
    total = sum(map(len, packed))
    if total > MOST:
        raise BadData(f"{title}: {total} records are too many for a page, which holds {MOST}; give --limit")
    about = _about(items, list(codecs.values()), packed, sort)
    data = [
        element("worker", "text/plain", f"{asset('decoder.js')}\n{asset('worker.js')}"),
        element("about", "application/json", json.dumps(about, separators=(",", ":")).replace("<", "\\u003c")),
        *_networks(codecs.values()),
        *_record_elements(packed),
    ]
    script = "\n".join(['"use strict";\n(() => {', *map(asset, SCRIPTS), "})();"])
    css = asset("page.css")
    shown = {"title": html.escape(visible(title)), "css": css, "js": script, "data": "\n".join(data)}
    return asset("page.html").format(script=digest(script), style=digest(css), **shown).encode()


def _records(item: Item) -> Records:
    """The records of an image; zeros for a tile that is missing."""
    if item.grid is None:
        return item.packed
    described = item.grid.description
    if described.tiles > MISSING * len(item.grid.numbers) or described.tiles > MOST:
        raise BadData(f"{item.file}: has too few or too many of its {described.tiles} tiles for a page")
    tiles, there = item.grid.records(np.arange(described.tiles))
    return np.concatenate([np.frombuffer(described.pack(), np.uint8)[None], tiles * there[:, None]])


def _about(items: Sequence[Item], codecs: list[Codec], packed: list[Records], sort: str) -> dict[str, Any]:
    """What is known of the images: a column of numbers for each property, unless it says nothing."""
    files = list(dict.fromkeys(item.file for item in items))
    labels = sorted({label for item in items for label in (item.label, item.true) if label is not None})
    if len(labels) >= NONE or len(files) >= NONE or len(codecs) > 255:
        raise BadData(f"{files[0]}: too many labels or files for a page; give --limit")
    number: dict[str | None, int] = {None: NONE, **{label: at for at, label in enumerate(labels)}}
    of_file, of_codec = ({key: at for at, key in enumerate(keys)} for keys in (files, [c.id for c in codecs]))
    columns = {
        "file": _column(np.uint16, (of_file[item.file] for item in items), 0),
        "number": _column(np.uint32, (item.number for item in items), np.arange(len(items))),
        "codec": _column(np.uint8, (of_codec[item.codec.id] for item in items), 0),
        "label": _column(np.uint16, (number[item.label] for item in items), NONE),
        "true": _column(np.uint16, (number[item.true] for item in items), NONE),
        "unsure": _column(np.uint8, (item.unsure for item in items), 0),
        "probability": _column(np.uint16, (round(item.probability * 65535) for item in items), 0),
        "psnr": _column(np.float32, (np.nan if item.psnr is None else item.psnr for item in items), np.nan),
        "distance": _column(np.float32, (_distance(item) for item in items), np.nan),
        "records": _column(np.uint32, map(len, packed), 1),
    }
    originals = [[at, base64_text(item.original)] for at, item in enumerate(items) if item.original is not None]
    return {
        "count": len(items),
        "files": files,
        "labels": labels,
        "sort": sort,
        "bytes": _size(sum(map(len, packed)) * RECORD_BYTES),
        "codecs": [_codec(codec) for codec in codecs],
        "paths": [item.path for item in items] if any(item.path is not None for item in items) else None,
        "originals": originals or None,
        "columns": {name: text for name, text in columns.items() if text},
    }


def _distance(item: Item) -> float:
    return QUERY if item.query else np.nan if item.distance is None else item.distance


def _column(kind: type[np.generic], values: Iterable[Any], default: Any) -> str:
    """Numbers as base64; "" if all of them are the default."""
    numbers = np.fromiter(values, np.dtype(kind).newbyteorder("<"))
    return (
        "" if np.array_equal(numbers, np.broadcast_to(default, numbers.shape), equal_nan=True) else base64_text(numbers)
    )


def base64_text(array: NDArray[Any] | bytes) -> str:
    return base64.b64encode(array if isinstance(array, bytes) else np.ascontiguousarray(array).tobytes()).decode()


def _codec(codec: Codec) -> dict[str, Any]:
    """What the page knows of a codec, and the elements that hold its networks."""
    known: dict[str, Any] = {
        "name": codec.name,
        "shape": codec.shape,
        "latents": codec.model.card.packing.widths,
        "decompressor": f"decompressor-{codec.id:08x}",
    }
    with contextlib.suppress(AtlcError):
        known["labels"] = codec.labels
    if not classifies(codec):
        return known
    card = codec.head.card
    head = {"labels": card.labels, "scale": card.scale, "name": f"{codec.name}/{card.name}"}
    return {**known, "classifier": f"classifier-{codec.id:08x}", "head": head, "unsure": card.unsure_below}


def classifies(codec: Codec) -> bool:
    try:
        return codec.head.card.exact
    except AtlcError:
        return False


def _networks(codecs: Iterable[Codec]) -> Iterator[str]:
    for codec in codecs:
        yield element(f"decompressor-{codec.id:08x}", "text/plain", base64_text(codec.model.file("decompressor")))
        if classifies(codec):
            yield element(f"classifier-{codec.id:08x}", "text/plain", base64_text(codec.head.file()))


def _record_elements(packed: list[Records]) -> Iterator[str]:
    """All records, in elements of a size that browsers like."""
    whole = np.concatenate(packed)
    for start in range(0, len(whole), CHUNK):
        yield f'<script class="records" type="text/plain">{base64_text(whole[start : start + CHUNK])}</script>'


def element(name: str, kind: str, text: str) -> str:
    """Data in an element of the page that is not shown and not run."""
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError(f"{name} would end its element")
    return f'<script id="{name}" type="{kind}">{text}</script>'


def asset(name: str) -> str:
    return resources.files("atlcodec.show").joinpath("page", name).read_text("utf-8").strip()


def digest(text: str) -> str:
    """What a content security policy calls a script or a style."""
    return f"sha256-{base64_text(hashlib.sha256(text.encode()).digest())}"


def _size(count: int) -> str:
    return f"{count:,} bytes" if count < 100_000 else f"{count / 1e6:,.1f} MB"
