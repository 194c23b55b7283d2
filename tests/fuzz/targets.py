"""What is fuzzed: each target reads one kind of file from bytes, and may raise `AtlcError` and nothing else.

`fuzz.py` runs them with atheris, and `test_fuzz.py` over a small corpus: what the functions here make, and files in
`corpus/TARGET` that were found once."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atlcodec import bounds, card, description, engine, graph, grid_finder, picture, record, zoo
from atlcodec.costs import Costs
from atlcodec.description import Description
from atlcodec.errors import AtlcError
from atlcodec.files import RecordFile
from atlcodec.fit import Fit
from atlcodec.reader import Reader
from atlcodec.sets import manifest

CORPUS = Path(__file__).with_name("corpus")
MODEL = "mnist-lenet"
SHAPE = (28, 28)


@dataclass(frozen=True)
class Target:
    body: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def run(name: str, data: bytes) -> bool:
    """Whether a target takes these bytes."""
    why = ""
    try:
        TARGETS[name].body(data)
    except AtlcError as error:
        why = str(error)
    assert "\n" not in why, why
    return not why


def corpus(name: str) -> list[bytes]:
    return TARGETS[name].seeds() + [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


@functools.cache
def _known() -> frozenset[int]:
    return frozenset(zoo.models())


def _sealed(count: int) -> record.Records:
    symbols = np.random.default_rng(count).integers(0, 16, (count, record.SYMBOLS)).astype(np.uint8)
    costs = np.ones(symbols.shape, np.float32)
    return record.pack(record.seal(symbols, symbols ^ np.uint8(1), costs, zoo.find(MODEL).id))


# -- records and grids -------------------------------------------------------------------------------------------------


def _records(data: bytes) -> None:
    """Every byte is in a record or reported, and records have known seals."""
    at = 0
    for span in RecordFile(np.frombuffer(data, np.uint8), "x").spans(_known()):
        assert span.start == at
        ids = record.ids(data[at : at + 200 * span.count])
        assert set(ids.tolist()) <= _known() | set(record.RESERVED)
        at += 200 * span.count + span.skipped
    assert at == len(data)


def _grids(data: bytes) -> None:
    with contextlib.suppress(AtlcError):
        found = description.unpack(data[:200])
        assert found.pack() == data[:200]
    for part in grid_finder.images(Reader(), RecordFile(np.frombuffer(data, np.uint8), "x")):
        assert part is not None


def _grid_seeds() -> list[bytes]:
    id = zoo.find(MODEL).id
    made = []
    for height, width, overlap, seams in ((50, 40, 0, 0), (28, 28, 0, 2), (60, 50, 4, 1)):
        described = Description(height, width, 1, id, SHAPE, overlap, seams)
        made.append(described.pack() + _sealed(described.tiles).tobytes())
    return made


# -- lists, IDX, cards -------------------------------------------------------------------------------------------------


def _lists(data: bytes) -> None:
    path = _file("x.csv", data)
    if manifest.is_list(path):
        for entry in manifest.entries(path):
            assert isinstance(entry.path, str)


def _idx(data: bytes) -> None:
    from atlcodec.sets.formats import idx

    values, _ = idx.read(_file("train-images-idx3-ubyte", data))
    assert values.size <= idx.LARGEST


def _idx_seeds() -> list[bytes]:
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(2 * 784)
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3])
    return [images, labels, gzip.compress(images, mtime=0), gzip.compress(labels, mtime=0)]


def _cards(data: bytes) -> None:
    folder = _folder() / "model"
    if not folder.exists():
        shutil.copytree(card.BUNDLED / MODEL, folder)
    (folder / "card.json").write_bytes(data)
    model = card.read_model(folder)
    assert model.card.shape
    for part in ("compressor", "decompressor"):
        model.file(part)
    zoo.heads(model)


def _card_seeds() -> list[bytes]:
    plain = json.loads((card.BUNDLED / MODEL / "card.json").read_text())
    least = {key: plain[key] for key in ("name", "id", "sha256", "shape") if key in plain}
    return [json.dumps(some).encode() for some in (plain, least, least | {"latents": [[8, 20], [4, 360]]})]


# -- pictures and Parquet ----------------------------------------------------------------------------------------------


def _pictures(data: bytes) -> None:
    for how in (Fit(), Fit(fit="contain", gray=True, background="auto", frame=0)):
        with contextlib.suppress(AtlcError):
            pixels = picture.read(io.BytesIO(data), how, name="x", shape=SHAPE)
            assert pixels.shape == SHAPE


def _picture_seeds() -> list[bytes]:
    from PIL import Image

    made, ramp = [], np.arange(784, dtype=np.uint8).reshape(SHAPE)
    colours = np.stack([ramp, ramp[::-1], ramp.T], axis=2)
    for format in ("PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG"):
        for image in (Image.fromarray(ramp), Image.fromarray(colours)):
            file = io.BytesIO()
            image.save(file, format)
            made.append(file.getvalue())
    return made


def _parquet(data: bytes) -> None:
    from atlcodec.sets import parquet

    table = parquet.open(_file("x.parquet", data))
    for some in table.batches():
        assert some.shape[1] == 200
    if table.has_paths:
        for entry in table.entries():
            assert isinstance(entry.path, str)


def _parquet_seeds() -> list[bytes]:
    from atlcodec import arrow
    from atlcodec.sets import parquet

    path = _folder() / "seed.parquet"
    parquet.write(path, [arrow.batch(_sealed(3), ["a", None, "b"], ["x", "y", "z"])])
    return [path.read_bytes()]


# -- graphs ------------------------------------------------------------------------------------------------------------


def _graphs(data: bytes) -> None:
    graph.check(data, "x")
    with contextlib.suppress(AtlcError):
        bounds.check(data, "x")
    Costs(data, "x").check(2, {"records": (200,)})
    engine.Graph(data, engine.decompressor(SHAPE), "x")


def _graph_seeds() -> list[bytes]:
    return [(card.BUNDLED / MODEL / "decompressor.onnx").read_bytes()]


TARGETS = {
    "records": Target(_records, lambda: [_sealed(3).tobytes(), _sealed(2).tobytes() + bytes(3) + _sealed(4).tobytes()]),
    "lists": Target(_lists, lambda: [b'record,path,label\n0,a.png,x\n1,"b""c.png",\n', b"record,path,label,model\n"]),
    "idx": Target(_idx, _idx_seeds),
    "pictures": Target(_pictures, _picture_seeds),
    "cards": Target(_cards, _card_seeds),
    "graphs": Target(_graphs, _graph_seeds),
    "grids": Target(_grids, _grid_seeds),
    "parquet": Target(_parquet, _parquet_seeds),
}
