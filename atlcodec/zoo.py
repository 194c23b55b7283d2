"""Which models are installed: cards, lookup by name and by id, hashes.

    NAME/compressor.onnx  NAME/decompressor.onnx  NAME/card.json       a codec
    NAME/heads/HEAD/classifier.onnx  NAME/heads/HEAD/card.json         its classifiers

Bundled models lie in this package; users' own in a per-user folder and in the folders of `$ATLC_MODELS`. Both of the latter are
untrusted: nothing is read but regular files of these names, of limited size, whose SHA-256 the card gives.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlcodec.errors import AtlcError, BadModel, UnknownModel

BUNDLED = Path(__file__).parent / "models"
LARGEST_FILE = 64 << 20
LARGEST_CARD = 1 << 20


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
        """`compressor` or `decompressor`: the ONNX file, checked against the card."""
        return _checked(self.folder / f"{part}.onnx", self.card["sha256"][f"{part}.onnx"])

    def heads(self) -> dict[str, Head]:
        """Its classifiers by name: those in its own folder, then those that the user added."""
        found: dict[str, Head] = {}
        roots = [self.folder / "heads", *(root / "heads" / f"{self.id:08x}" for root in user_folders())]
        for root in roots:
            for folder in sorted(root.iterdir()) if root.is_dir() else []:
                if (folder / "card.json").is_file() and folder.name not in found:
                    head = read_head(folder)
                    if head.card["codec"] == self.sha256:
                        found[folder.name] = head
        return found

    def head(self, name: str | None = None) -> Head:
        """The classifier of this name, or the default one. Raises `UnknownModel`."""
        name = name or str(self.card["default_head"])
        for root in (self.folder / "heads", *(root / "heads" / f"{self.id:08x}" for root in user_folders())):
            if (root / valid_name(name) / "card.json").is_file():
                head = read_head(root / name)
                if head.card["codec"] != self.sha256:
                    raise BadModel(f"{head.folder}: is a classifier of another codec's records")
                return head
        raise UnknownModel(f"{self.name} has no classifier {name!r}; it has: {', '.join(self.heads()) or 'none'}")

    @property
    def psnr_low(self) -> float | None:
        """The PSNR that only one test picture in a thousand fell below; None if the card does not say."""
        low = self.card.get("figures", {}).get("psnr_low")
        return float(low) if isinstance(low, int | float) else None


# -- finding -----------------------------------------------------------------------------------------------------------------


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
        for folder in sorted(root.iterdir()) if root.is_dir() else []:
            if (folder / "card.json").is_file() and folder.name != "heads":
                try:
                    yield read(folder)
                except BadModel as error:
                    yield error


def models() -> dict[int, Model]:
    """The models by id. Of two that share an id and are not the same codec, the first counts: bundled before the user's."""
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
        return read(Path(which))
    found = models()
    for model in found.values():
        if model.name == text:
            return model
    if re.fullmatch("[0-9a-fA-F]{8}", text) and int(text, 16) in found:
        return found[int(text, 16)]
    for broken in installed():
        if isinstance(broken, BadModel) and f"{os.sep}{text}:" in str(broken):
            raise broken
    hint = f"; for the folder here, write ./{text}" if Path(text, "card.json").is_file() else ""
    raise UnknownModel(f"no model {text!r} is installed{hint}; there are: {', '.join(m.name for m in found.values()) or 'none'}")


def default() -> list[Model]:
    """The fixed list from which `encode` chooses: bundled models, never the user's."""
    return [read(BUNDLED / name) for name in json.loads((BUNDLED / "default.json").read_text("utf-8"))]


# -- reading and checking ----------------------------------------------------------------------------------------------------


def read(folder: Path) -> Model:
    """The model in a folder, its card checked; the ONNX files are checked when they are read. Raises `BadModel`."""
    card = _card(folder)
    hashes = card.get("sha256")
    if not isinstance(hashes, dict) or set(hashes) != {"compressor.onnx", "decompressor.onnx"}:
        raise BadModel(f"{folder}: its card must give the SHA-256 of compressor.onnx and decompressor.onnx")
    if not all(_is_sha256(value) for value in hashes.values()):
        raise BadModel(f"{folder}: a SHA-256 in its card is none")
    sha256 = hashes["decompressor.onnx"]
    if card.get("id") != sha256[:8]:
        raise BadModel(f"{folder}: its card says id {card.get('id')!r}, but its decompressor's SHA-256 begins with {sha256[:8]}")
    valid_name(card.get("default_head"), folder)
    if not isinstance(card.get("figures", {}), dict):
        raise BadModel(f"{folder}: the figures in its card are none")
    bundled = folder.parent == BUNDLED
    return Model(valid_name(card.get("name"), folder), folder, int(sha256[:8], 16), sha256, card, bundled)


def read_head(folder: Path) -> Head:
    """The classifier in a folder, its card checked. Raises `BadModel`."""
    card = _card(folder)
    labels = card.get("labels")
    if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(label, str) for label in labels):
        raise BadModel(f"{folder}: its card must list two or more labels")
    if not _is_sha256(card.get("sha256")) or not _is_sha256(card.get("codec")):
        raise BadModel(f"{folder}: its card must give its own SHA-256 and its codec's")
    return Head(valid_name(card.get("name"), folder), folder, tuple(labels), card)


def valid_name(name: object, folder: Path | None = None) -> str:
    """A name of a model or head, as it may be part of a path. Raises `BadModel`."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or name == "heads":
        where = f"{folder}: " if folder else ""
        raise BadModel(f"{where}{name!r} is no name for a model or head: letters, digits, '.', '_' and '-' only")
    return name


def _card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads(_read_regular(folder / "card.json", LARGEST_CARD))
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{folder}: its card.json is not JSON") from error
    if not isinstance(card, dict):
        raise BadModel(f"{folder}: its card.json is not an object")
    return card


def _checked(path: Path, sha256: str) -> bytes:
    file = _read_regular(path, LARGEST_FILE)
    if hashlib.sha256(file).hexdigest() != sha256:
        raise BadModel(f"{path}: is not the file its card describes (changed or damaged); install the model again")
    return file


def _read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file; a link could lead out of the folder, a pipe could never end."""
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode):
            raise BadModel(f"{path}: is not a regular file")
        if info.st_size > limit:
            raise BadModel(f"{path}: {info.st_size} bytes are more than the {limit} allowed")
        return path.read_bytes()
    except OSError as error:
        raise BadModel(f"{path}: {error.strerror or error}") from error


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


# -- writing -----------------------------------------------------------------------------------------------------------------


def write(folder: Path, files: Mapping[str, bytes], card: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    """A new model folder. `files` are the three ONNX files by name; `card` and `head` get the hashes added."""
    hashes = {name: hashlib.sha256(file).hexdigest() for name, file in files.items()}
    sha256 = hashes["decompressor.onnx"]
    classifier = hashes.pop("classifier.onnx")
    heads = folder / "heads" / valid_name(head["name"])
    heads.mkdir(parents=True)
    for name, file in files.items():
        ((heads if name == "classifier.onnx" else folder) / name).write_bytes(file)
    _write_card(folder, {**card, "id": sha256[:8], "sha256": hashes, "default_head": head["name"]})
    _write_card(heads, {**head, "codec": sha256, "sha256": classifier})


def add_to_card(folder: Path, entries: Mapping[str, Any]) -> None:
    _write_card(folder, {**_card(folder), **entries})


def _write_card(folder: Path, card: Mapping[str, Any]) -> None:
    (folder / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")


def add(source: Path) -> Path:
    """Install a codec or a head into the user's folder, whole or not at all; returns where. The caller has tried it out."""
    target: Path
    if "codec" in _card(source):
        head = read_head(source)
        target = user_folder() / "heads" / head.card["codec"][:8] / head.name
        wanted = [Path("card.json"), Path("classifier.onnx")]
    else:
        model = read(source)
        for other in installed():
            if isinstance(other, Model) and other.id == model.id:
                if other.sha256 == model.sha256:
                    raise AtlcError(f"{source}: this codec is installed already, as {other.name} in {other.folder}")
                raise BadModel(f"{source}: another codec, {other.name}, has the same id {model.id:08x}; train it again")
            if isinstance(other, Model) and other.name == model.name:
                raise AtlcError(f"{source}: a model named {model.name} is installed already; change the name in its card.json")
        target = user_folder() / model.name
        wanted = [Path("card.json"), Path("compressor.onnx"), Path("decompressor.onnx")]
        for name in model.heads():
            if (source / "heads" / name).is_dir():
                wanted += [Path("heads", name, "card.json"), Path("heads", name, "classifier.onnx")]
    if target.exists():
        raise AtlcError(f"{target}: is there already; remove it first")
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for relative in wanted:
        content = _read_regular(source / relative, LARGEST_FILE)
        (part / relative).parent.mkdir(parents=True, exist_ok=True)
        (part / relative).write_bytes(content)
    part.rename(target)
    return target
