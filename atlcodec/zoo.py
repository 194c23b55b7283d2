"""Which models are installed: cards, lookup by name and by id, hashes.

    NAME/compressor.onnx  NAME/decompressor.onnx  NAME/card.json       a codec
    NAME/refiner.onnx                                                  for encoders that search; a codec may be without
    NAME/heads/HEAD/classifier.onnx  NAME/heads/HEAD/card.json         its classifiers

Bundled models lie in this package; users' own in a per-user folder and in the folders of `$ATLC_MODELS`. Both of the
latter are untrusted: nothing is read but regular files of these names, of limited size, whose SHA-256 the card gives.
One that is not in order gives a `BadModel` and stands in no other's way."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlcodec import atomic, record
from atlcodec.errors import AtlcError, BadModel, UnknownModel

BUNDLED = Path(__file__).parent / "models"
LARGEST_FILE = 64 << 20
LARGEST_CARD = 1 << 20
MOST_LABELS = 10_000
LONGEST_LABEL = 200


@dataclass(frozen=True)
class Head:
    """A classifier of one codec's records."""

    name: str
    folder: Path
    labels: tuple[str, ...]
    card: Mapping[str, Any]

    def file(self) -> bytes:
        """The ONNX file, checked against the card."""
        return _checked(self.folder / "classifier.onnx", self.card["sha256"])


@dataclass(frozen=True)
class Model:
    """A codec as its card describes it."""

    name: str
    folder: Path
    id: int
    sha256: str  # of the decompressor: two folders with the same one are the same codec
    card: Mapping[str, Any]
    bundled: bool

    def file(self, part: str) -> bytes:
        """`compressor`, `decompressor` or `refiner`: the ONNX file, checked against the card."""
        return _checked(self.folder / f"{part}.onnx", self.card["sha256"][f"{part}.onnx"])

    @property
    def refines(self) -> bool:
        """Whether it has a refiner, so that its encoder can search."""
        return "refiner.onnx" in self.card["sha256"]

    def heads(self) -> dict[str, Head]:
        """Its classifiers by name: those in its own folder, then those that the user added. Those not in order are left
        out."""
        heads: dict[str, Head] = {}
        for name, head in self.each_head():
            if isinstance(head, Head):
                heads.setdefault(name, head)
        return heads

    def each_head(self) -> Iterator[tuple[str, Head | BadModel]]:
        """The same, and for a folder that is not in order its error."""
        for root in (self.folder / "heads", *(root / "heads" / f"{self.id:08x}" for root in user_folders())):
            for folder in _folders(root):
                try:
                    if root.is_symlink() or folder.is_symlink():
                        raise BadModel(f"{folder}: is reached by a link, which could lead anywhere")
                    head = read_head(folder)
                    if head.name != folder.name:
                        raise BadModel(f"{folder}: its card calls it {head.name}")
                    if head.card["codec"] != self.sha256:
                        raise BadModel(f"{folder}: is a classifier of another codec's records")
                    yield folder.name, head
                except BadModel as error:
                    yield folder.name, error

    def head(self, name: str | None = None) -> Head:
        """The classifier of this name, or the default one. Raises `UnknownModel`, or `BadModel` where it is not in
        order."""
        if name is None and self.card["default_head"] is None:
            raise UnknownModel(f"{self.name} has no classifier")
        wanted = valid_name(name or self.card["default_head"])
        for found, head in self.each_head():
            if found == wanted:
                if isinstance(head, BadModel):
                    raise head
                return head
        if name is None:
            raise BadModel(f"{self.folder}: its card names the classifier {wanted}, which is not there")
        raise UnknownModel(f"{self.name} has no classifier {name!r}; it has: {', '.join(self.heads()) or 'none'}")

    @property
    def psnr_low(self) -> float | None:
        """The PSNR that only one test picture in a thousand fell below; None if the card does not say."""
        low = self.card.get("figures", {}).get("psnr_low")
        return None if low is None else float(low)


# -- finding -----------------------------------------------------------------------------------------------------------


def user_folders() -> list[Path]:
    """The folders of `$ATLC_MODELS`, then the user's own."""
    listed = [Path(entry) for entry in os.environ.get("ATLC_MODELS", "").split(os.pathsep) if entry]
    return [*listed, user_folder()]


def user_folder() -> Path:
    """Where `atlc models add` puts things."""
    import platformdirs

    return Path(platformdirs.user_data_dir("atlcodec", appauthor=False)) / "models"


def installed() -> Iterator[Model | BadModel]:
    """Every model, bundled ones first; a folder that is not in order gives its error in place of a model."""
    for root in (BUNDLED, *user_folders()):
        for folder in _folders(root):
            try:
                yield read(folder)
            except BadModel as error:
                yield error


def models() -> dict[int, Model]:
    """The models by id. Of two that share an id and are not the same codec, the first counts: bundled before the
    user's."""
    found: dict[int, Model] = {}
    for model in installed():
        if isinstance(model, Model):
            found.setdefault(model.id, model)
    return found


def find(which: str | os.PathLike[str]) -> Model:
    """A model by path (if there is a separator in it), by id of eight hex digits, or by name.

    Raises `UnknownModel` or `BadModel`."""
    text = os.fspath(which)
    if not isinstance(which, str) or "/" in text or os.sep in text:
        return read(Path(os.path.abspath(which)))
    found = models()
    for model in found.values():
        if model.name == text:
            return model
    if re.fullmatch("[0-9a-fA-F]{8}", text) and int(text, 16) in found:
        return found[int(text, 16)]
    for root in user_folders():
        if root / text in _folders(root):
            read(root / text)  # tells what is wrong with it
    hint = f"; for the folder here, write ./{text}" if Path(text, "card.json").is_file() else ""
    raise UnknownModel(
        f"no model {text!r} is installed{hint}; there are: {', '.join(m.name for m in found.values()) or 'none'}"
    )


def default() -> list[Model]:
    """The fixed list from which `encode` chooses: bundled models, never the user's."""
    return [read(BUNDLED / name) for name in json.loads((BUNDLED / "default.json").read_text("utf-8"))]


def _folders(root: Path) -> list[Path]:
    """The folders in a folder that hold a card. Hidden ones are not yet or no longer models."""
    try:
        return sorted(folder for folder in root.iterdir() if folder.name[0] != "." and _has_card(folder))
    except OSError:
        return []


def _has_card(folder: Path) -> bool:
    try:
        (folder / "card.json").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # whoever reads it learns why that cannot be done
    return True


# -- reading and checking ----------------------------------------------------------------------------------------------


def read(folder: Path) -> Model:
    """The model in a folder, its card checked; the ONNX files are checked when they are read. Raises `BadModel`."""
    card = _card(folder)
    hashes = card.get("sha256")
    if not isinstance(hashes, dict) or set(hashes) - {"refiner.onnx"} != {"compressor.onnx", "decompressor.onnx"}:
        raise BadModel(f"{folder}: its card must give the SHA-256 of compressor.onnx and decompressor.onnx")
    if not all(_is_sha256(value) for value in hashes.values()):
        raise BadModel(f"{folder}: a SHA-256 in its card is none")
    sha256 = hashes["decompressor.onnx"]
    if card.get("id") != sha256[:8]:
        raise BadModel(
            f"{folder}: the id in its card is not {sha256[:8]}, with which its decompressor's SHA-256 begins"
        )
    id = int(sha256[:8], 16)
    if id in record.RESERVED:
        raise BadModel(f"{folder}: its id {id:08x} is kept for records of other kinds")
    if card.get("default_head", "") is not None:
        valid_name(card.get("default_head"), folder)
    figures = card.get("figures", {})
    if not isinstance(figures, dict) or not all(
        _is_number(figures.get(key, 0)) for key in ("psnr", "psnr_low", "accuracy")
    ):
        raise BadModel(f"{folder}: the figures in its card are none")
    return Model(valid_name(card.get("name"), folder), folder, id, sha256, card, bundled=folder.parent == BUNDLED)


def read_head(folder: Path) -> Head:
    """The classifier in a folder, its card checked. Raises `BadModel`."""
    card = _card(folder)
    labels = card.get("labels")
    if not isinstance(labels, list) or not 2 <= len(labels) <= MOST_LABELS:
        raise BadModel(f"{folder}: its card must list two or more labels, and no more than {MOST_LABELS}")
    if not all(isinstance(label, str) and len(label) <= LONGEST_LABEL for label in labels):
        raise BadModel(f"{folder}: the labels in its card must be text, none longer than {LONGEST_LABEL}")
    if not _is_sha256(card.get("sha256")) or not _is_sha256(card.get("codec")):
        raise BadModel(f"{folder}: its card must give its own SHA-256 and its codec's")
    return Head(valid_name(card.get("name"), folder), folder, tuple(labels), card)


def valid_name(name: object, folder: Path | None = None) -> str:
    """A name of a model or head, as it may be part of a path, and not to be taken for an id. Raises `BadModel`."""
    where = f"{folder}: " if folder else ""
    if not isinstance(name, str):
        raise BadModel(f"{where}a model or head without a name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or name == "heads":
        raise BadModel(f"{where}{name[:80]!r} is no name for a model or head: letters, digits, '.', '_' and '-' only")
    if re.fullmatch("[0-9a-fA-F]{8}", name):
        raise BadModel(f"{where}{name!r} is no name for a model or head: it looks like an id")
    return name


def _card(folder: Path) -> dict[str, Any]:
    text = _read_regular(folder / "card.json", LARGEST_CARD)
    try:
        card = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{folder}: its card.json is not JSON") from error
    if not isinstance(card, dict):
        raise BadModel(f"{folder}: its card.json is not an object")
    return card


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("not a number in JSON")
    return number


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e6


def _checked(path: Path, sha256: str) -> bytes:
    file = _read_regular(path, LARGEST_FILE)
    if hashlib.sha256(file).hexdigest() != sha256:
        raise BadModel(f"{path}: is not the file its card describes (changed or damaged); install the model again")
    return file


def _read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file; a link could lead out of the folder, a pipe could never end."""
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


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def is_head(folder: Path) -> bool:
    """Whether a folder holds a classifier alone, not a codec. Raises `BadModel`."""
    return "codec" in _card(folder)


def codec_of(head: Head) -> Model:
    """The installed codec whose records a classifier reads. Raises `UnknownModel`."""
    sha256 = head.card["codec"]
    codec = models().get(int(sha256[:8], 16))
    if codec is None or codec.sha256 != sha256:
        raise UnknownModel(f"{head.folder}: is a classifier of a codec that is not installed (id {sha256[:8]})")
    return codec


# -- writing -----------------------------------------------------------------------------------------------------------


def write(folder: Path, files: Mapping[str, bytes], card: Mapping[str, Any], head: Mapping[str, Any] | None) -> None:
    """A new model folder. `files` are the ONNX files by name; `card` and `head` get the hashes added. A codec without a
    classifier has no `head`."""
    parts = [name for name in ("compressor.onnx", "decompressor.onnx", "refiner.onnx") if name in files]
    codec = {name: hashlib.sha256(files[name]).hexdigest() for name in parts}
    sha256 = codec["decompressor.onnx"]
    folder.mkdir(parents=True, exist_ok=True)
    for name in codec:
        (folder / name).write_bytes(files[name])
    _write_card(folder, {**card, "id": sha256[:8], "sha256": codec, "default_head": head["name"] if head else None})
    if head:
        write_head(folder / "heads" / valid_name(head["name"]), files["classifier.onnx"], head, sha256)


def write_head(folder: Path, file: bytes, card: Mapping[str, Any], codec: str) -> None:
    """A new folder of a classifier alone, for the codec whose decompressor has this SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classifier.onnx").write_bytes(file)
    _write_card(folder, {**card, "codec": codec, "sha256": hashlib.sha256(file).hexdigest()})


def add_to_card(folder: Path, entries: Mapping[str, Any]) -> None:
    _write_card(folder, {**_card(folder), **entries})


def _write_card(folder: Path, card: Mapping[str, Any]) -> None:
    (folder / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")


def add(source: Path) -> Path:
    """Install a codec or a head into the user's folder, whole or not at all; returns where. The caller has tried it
    out."""
    if is_head(source):
        head = read_head(source)
        codec = codec_of(head)
        if head.name in dict(codec.each_head()):
            raise AtlcError(
                f"{source}: {codec.name} has a classifier named {head.name} already; change the name in its card.json"
            )
        target = user_folder() / "heads" / f"{codec.id:08x}" / head.name
        wanted = [Path("card.json"), Path("classifier.onnx")]
    else:
        model = read(source)
        for other in installed():
            if isinstance(other, Model) and other.id == model.id:
                if other.sha256 == model.sha256:
                    raise AtlcError(f"{source}: this codec is installed already, as {other.name} in {other.folder}")
                raise BadModel(f"{source}: another codec, {other.name}, has the same id {model.id:08x}; train it again")
            if isinstance(other, Model) and other.name == model.name:
                raise AtlcError(
                    f"{source}: a model named {model.name} is installed already; change the name in its card.json"
                )
        target = user_folder() / model.name
        wanted = [Path("card.json"), *map(Path, sorted(model.card["sha256"]))]
        for name in model.heads():
            if (source / "heads" / name).is_dir():
                wanted += [Path("heads", name, "card.json"), Path("heads", name, "classifier.onnx")]
    if target.exists():
        raise AtlcError(f"{target}: is there already; remove it first")
    with atomic.folder(target) as part:
        for relative in wanted:
            (part / relative).parent.mkdir(parents=True, exist_ok=True)
            (part / relative).write_bytes(_read_regular(source / relative, LARGEST_FILE))
    return target
