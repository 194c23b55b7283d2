"""One model folder: its card, typed and checked, and its files, which must have the hashes that the card gives.

    NAME/compressor.onnx  NAME/decompressor.onnx  NAME/card.json       a codec
    NAME/refiner.onnx                                                  lets its encoder refine latents; optional
    NAME/heads/HEAD/classifier.onnx  NAME/heads/HEAD/card.json         its classifiers

A folder may come from a stranger. Only regular files with these names and of limited size are read. An invalid folder
raises `BadModel`."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlcodec import card_fields as fields
from atlcodec import record
from atlcodec.errors import BadModel, MissingModel
from atlcodec.latents import Packing
from atlcodec.shape import MEANING, Shape, of_list

BUNDLED = Path(__file__).parent / "models"
LARGEST_FILE = 64 << 20  # bytes
LARGEST_CARD = 1 << 20
MOST_LABELS = 10_000
LONGEST_LABEL = 200  # characters
PARTS = ("compressor.onnx", "decompressor.onnx", "refiner.onnx")


@dataclass(frozen=True)
class Card:
    """The card.json of a codec. Only `name`, `digests`, `default_head` and `shape` must be in it."""

    name: str
    digests: Mapping[str, str]  # SHA-256 of each ONNX file, by file name
    default_head: str | None
    shape: Shape
    packing: Packing  # of the latents
    effort: int  # how long the encoder searches, 0..9, if the user does not say
    figures: Mapping[str, Any]  # measured at effort 0
    searched: Mapping[str, Any]  # measured at the default effort
    recipe: Mapping[str, Any]
    data: Sequence[Mapping[str, Any]]
    command: str
    licence: str
    exact: bool  # whether its decompressor is an exact network: the same pixels everywhere


@dataclass(frozen=True)
class HeadCard:
    """The card.json of a classifier. Only the first four fields must be in it."""

    name: str
    labels: tuple[str, ...]
    digest: str  # SHA-256 of classifier.onnx
    codec: str  # SHA-256 of the decompressor of the codec whose records it reads
    unsure_below: float  # one in a hundred of its validation images has a smaller probability; 0 if the card has none
    recipe: Mapping[str, Any]
    exact: bool = False  # whether it is an exact network: the same logits everywhere
    scale: float = 1.0  # probabilities are softmax(logits * scale): a power of two, 1 if the card has none


@dataclass(frozen=True, eq=False)
class Model:
    """A codec's folder. Two folders with the same content are different models, and the same codec."""

    folder: Path
    card: Card

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def sha256(self) -> str:
        """SHA-256 of decompressor.onnx: the codec's identity."""
        return self.card.digests["decompressor.onnx"]

    @property
    def id(self) -> int:
        return int(self.sha256[:8], 16)

    @property
    def bundled(self) -> bool:
        return self.folder.parent == BUNDLED

    @property
    def refines(self) -> bool:
        """Whether it has a refiner, so that its encoder can refine latents."""
        return "refiner.onnx" in self.card.digests

    @property
    def psnr_low(self) -> float | None:
        """The PSNR in dB that 999 of 1,000 test images reached; None if the card does not say."""
        low = self.card.figures.get("psnr_low")
        return None if low is None else float(low)

    def file(self, part: str) -> bytes:
        """The ONNX file `compressor`, `decompressor` or `refiner`, checked against the card. Raises `BadModel`."""
        return _checked(self.folder / f"{part}.onnx", self.card.digests[f"{part}.onnx"])

    def _key(self) -> tuple[object, ...]:
        return self.folder, *sorted(self.card.digests.items()), self.card.default_head

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True)
class Head:
    """The folder of a classifier of one codec's records."""

    folder: Path
    card: HeadCard

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    def file(self) -> bytes:
        """The ONNX file, checked against the card. Raises `BadModel`."""
        return _checked(self.folder / "classifier.onnx", self.card.digest)


# -- reading and checking ----------------------------------------------------------------------------------------------


def read_model(folder: Path) -> Model:
    """The codec in a folder. Its card is checked now, its ONNX files when they are read. Raises `BadModel`."""
    raw = read_json(folder)
    digests = raw.get("sha256")
    if not isinstance(digests, dict) or set(digests) - {"refiner.onnx"} != {"compressor.onnx", "decompressor.onnx"}:
        raise BadModel(f"{folder}: the card must give the SHA-256 of compressor.onnx and of decompressor.onnx")
    if not all(fields.is_sha256(value) for value in digests.values()):
        raise BadModel(f"{folder}: the card has an invalid SHA-256")
    id = digests["decompressor.onnx"][:8]
    if raw.get("id") != id:
        raise BadModel(f"{folder}: the card's id must be {id}, the start of the decompressor's SHA-256")
    if int(id, 16) in record.RESERVED:
        raise BadModel(f"{folder}: the id {id} is reserved for records of other kinds")
    if raw.get("default_head", "") is not None:
        valid_name(raw.get("default_head"), folder)
    shape = of_list(raw.get("shape"))
    if shape is None:
        given = str(raw.get("shape"))[:40]
        raise BadModel(f"{folder}: the card must give the shape of its images: {MEANING}, not {given}")
    figures, searched = fields.entries(raw, "figures", folder), fields.entries(raw, "searched", folder)
    if not all(fields.is_number(figures.get(key, 0)) for key in ("psnr", "psnr_low", "accuracy")):
        raise BadModel(f"{folder}: the card's figures are not numbers")
    card = Card(
        name=valid_name(raw.get("name"), folder),
        digests=digests,
        default_head=raw["default_head"],
        shape=shape,
        packing=fields.packing(raw, folder),
        effort=fields.effort(raw, folder),
        figures=figures,
        searched=searched,
        recipe=fields.entries(raw, "recipe", folder),
        data=[part for part in raw.get("data") or [] if isinstance(part, dict)],
        command=str(raw.get("command", "")),
        licence=str(raw.get("licence", "")),
        exact=fields.exact(raw, folder),
    )
    return Model(folder, card)


def read_head(folder: Path) -> Head:
    """The classifier in a folder, its card checked. Raises `BadModel`."""
    raw = read_json(folder)
    labels = raw.get("labels")
    if not isinstance(labels, list) or not 2 <= len(labels) <= MOST_LABELS:
        raise BadModel(f"{folder}: the card must list 2 to {MOST_LABELS} labels")
    if not all(isinstance(label, str) and len(label) <= LONGEST_LABEL for label in labels):
        raise BadModel(f"{folder}: each label in the card must be text of at most {LONGEST_LABEL} characters")
    if not fields.is_sha256(raw.get("sha256")) or not fields.is_sha256(raw.get("codec")):
        raise BadModel(f"{folder}: the card must give the SHA-256 of classifier.onnx and of the codec")
    unsure_below = raw.get("unsure_below", 0)
    if isinstance(unsure_below, bool) or not fields.is_number(unsure_below) or not 0 <= unsure_below <= 1:
        raise BadModel(f"{folder}: the card's unsure_below must be a number from 0 to 1")
    card = HeadCard(
        name=valid_name(raw.get("name"), folder),
        labels=tuple(labels),
        digest=raw["sha256"],
        codec=raw["codec"],
        unsure_below=float(unsure_below),
        recipe=fields.entries(raw, "recipe", folder),
        exact=fields.exact(raw, folder),
        scale=fields.scale(raw, folder),
    )
    return Head(folder, card)


def is_head(folder: Path) -> bool:
    """Whether a folder holds a classifier alone, not a codec. Raises `BadModel`."""
    return "codec" in read_json(folder)


def has_card(folder: Path) -> bool:
    """Whether a folder has a card, valid or not."""
    try:
        (folder / "card.json").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # reading the card will say why it cannot be read
    return True


def valid_name(name: object, folder: Path | None = None) -> str:
    """The name of a model or head, if it can be part of a path and does not look like an id. Raises `BadModel`."""
    where = f"{folder}: " if folder else ""
    if not isinstance(name, str):
        raise BadModel(f"{where}the model or head has no name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or name == "heads":
        raise BadModel(f"{where}{name[:80]!r} cannot name a model or head: use letters, digits, '.', '_' and '-' only")
    if re.fullmatch("[0-9a-fA-F]{8}", name):
        raise BadModel(f"{where}{name!r} cannot name a model or head: it looks like an id")
    return name


def read_regular(path: Path, limit: int = LARGEST_FILE) -> bytes:
    """The content of a regular file: a link could lead out of the folder, and a pipe might never end."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BadModel(f"{path}: is not a regular file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BadModel(f"{path}: {error.strerror or error}") from error
    if len(content) > limit:
        raise BadModel(f"{path}: is larger than the {limit} bytes allowed")
    return content


def read_json(folder: Path) -> dict[str, Any]:
    """What card.json says, not yet checked. Raises `BadModel`."""
    if not has_card(folder):
        raise MissingModel(folder)
    text = read_regular(folder / "card.json", LARGEST_CARD)
    try:
        raw = json.loads(text, parse_constant=fields.finite, parse_float=fields.finite)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{folder}: card.json is not valid JSON") from error
    if not isinstance(raw, dict):
        raise BadModel(f"{folder}: card.json is not a JSON object")
    return raw


def _checked(path: Path, sha256: str) -> bytes:
    file = read_regular(path)
    if hashlib.sha256(file).hexdigest() != sha256:
        raise BadModel(f"{path}: does not match its SHA-256 in card.json (changed or damaged); get another copy")
    return file
