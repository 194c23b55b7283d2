"""Which models are installed: find one by name, id or path; say which model wrote a record.

Bundled models lie in this package. Your own lie in your user folder and in the folders of `$ATLC_MODELS`, and are not
trusted. An invalid folder raises `BadModel`; the other models stay usable."""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec import description, record
from atlcodec.card import BUNDLED, Head, Model, has_card, read_head, read_model, valid_name
from atlcodec.errors import BadModel, MissingModel, UnknownModel

INSTALL = "install it with atlc models add, or name its folder with -m"

# -- finding -----------------------------------------------------------------------------------------------------------


def user_folders() -> list[Path]:
    """The folders of `$ATLC_MODELS`, then the user folder."""
    listed = [Path(entry) for entry in os.environ.get("ATLC_MODELS", "").split(os.pathsep) if entry]
    return [*listed, user_folder()]


def missing_folders() -> list[Path]:
    """The folders of `$ATLC_MODELS` that are not there: a name that was mistyped, perhaps."""
    return [folder for folder in user_folders()[:-1] if not folder.is_dir()]


def user_folder() -> Path:
    """Where `atlc models add` installs models."""
    import platformdirs

    return Path(platformdirs.user_data_dir("atlcodec", appauthor=False)) / "models"


def installed() -> Iterator[Model | BadModel]:
    """Every model, bundled ones first; for an invalid folder, its error."""
    for root in (BUNDLED, *user_folders()):
        for folder in _folders(root):
            try:
                yield read_model(folder)
            except BadModel as error:
                yield error


def models() -> dict[int, Model]:
    """The models by id. If two different codecs share an id, the first counts: bundled models come before the
    user's."""
    return dict(_models(_stamp()))


@functools.lru_cache(maxsize=1)
def _models(stamp: object) -> dict[int, Model]:
    found: dict[int, Model] = {}
    for model in installed():
        if isinstance(model, Model):
            found.setdefault(model.id, model)
    return found


def _stamp() -> tuple[object, ...]:
    """Changes when a card does: to look at the files is much quicker than to read the cards."""
    return tuple(state for root in (BUNDLED, *user_folders()) for state in _states(root))


def _states(root: Path) -> list[tuple[object, ...]]:
    """What the card in each folder of `root` looks like from outside. Bridges ask often, so this makes no `Path`s."""
    try:
        with os.scandir(root) as entries:
            return sorted(_state(os.path.join(entry.path, "card.json")) for entry in entries)
    except OSError:
        return []


def _state(path: str) -> tuple[object, ...]:
    try:
        info = os.lstat(path)
    except OSError as error:
        return path, error.errno
    return path, info.st_ino, info.st_size, info.st_mtime_ns


def find(which: str | os.PathLike[str]) -> Model:
    """A model by path (with a separator in it), by id (eight hex digits), or by name.

    Raises `UnknownModel`, `BadModel`, or `MissingModel`, a `FileNotFoundError`, for a path without a model."""
    text = os.fspath(which)
    if not isinstance(which, str) or "/" in text or os.sep in text:
        if not has_card(Path(which)):
            raise MissingModel(which)
        model = read_model(Path(which))  # its messages show the path as you gave it
        return replace(model, folder=Path(os.path.abspath(which)))
    found = models()
    for model in found.values():
        if model.name == text:
            return model
    if re.fullmatch("[0-9a-fA-F]{8}", text) and int(text, 16) in found:
        return found[int(text, 16)]
    for root in user_folders():
        if root / text in _folders(root):
            read_model(root / text)  # raises and says why the folder is invalid
    hint = f"; for the folder here, write ./{text}" if Path(text, "card.json").is_file() else ""
    names = [model.name for model in found.values()]
    close = difflib.get_close_matches(text, names, 1)
    hint += f"; did you mean {close[0]}?" if close else ""
    listed = f"; installed: {', '.join(names)}" if names else ""
    raise UnknownModel(f"no model {text!r} is installed{hint}{listed}")


def default() -> list[Model]:
    """The models among which `encode` chooses: a fixed list of bundled models, never the user's."""
    return [read_model(BUNDLED / name) for name in json.loads((BUNDLED / "default.json").read_text("utf-8"))]


class Choice(NamedTuple):
    """How to choose among the default models: for each, the digest of its head, and weights of the evidence of all."""

    heads: list[str]
    weights: list[list[float]]


@functools.cache
def choice() -> Choice:
    """See `atlcodec.choice.scores`."""
    return Choice(**json.loads((BUNDLED / "choice.json").read_text("utf-8")))


def _folders(root: Path) -> list[Path]:
    """The folders in `root` that hold a card. Hidden ones are unfinished or removed models."""
    try:
        return sorted(folder for folder in root.iterdir() if folder.name[0] != "." and has_card(folder))
    except OSError:
        return []


# -- the heads of a model ----------------------------------------------------------------------------------------------


def each_head(model: Model) -> Iterator[tuple[str, Head | BadModel]]:
    """The classifiers of a model by name, its own before those that the user added; for an invalid one, its error."""
    for root in (model.folder / "heads", *(root / "heads" / f"{model.id:08x}" for root in user_folders())):
        for folder in _folders(root):
            try:
                if root.is_symlink() or folder.is_symlink():
                    raise BadModel(f"{folder}: is a symbolic link; links are not followed")
                head = read_head(folder)
                if head.name != folder.name:
                    raise BadModel(f"{folder}: the card names it {head.name}; rename the folder")
                if head.card.codec != model.sha256:
                    raise BadModel(f"{folder}: it reads records of another codec, not of {model.name}")
                yield folder.name, head
            except BadModel as error:
                yield folder.name, error


def heads(model: Model) -> dict[str, Head]:
    """The valid classifiers of a model by name. Of two with one name, the first counts."""
    found: dict[str, Head] = {}
    for name, head in each_head(model):
        if isinstance(head, Head):
            found.setdefault(name, head)
    return found


def head(model: Model, name: str | None = None) -> Head:
    """The classifier of this name, or the default one. Raises `UnknownModel`, or `BadModel` if it is invalid."""
    if name is None and model.card.default_head is None:
        raise UnknownModel(f"{model.name} has no classifier")
    wanted = valid_name(name or model.card.default_head)
    for found, one in each_head(model):
        if found == wanted:
            if isinstance(one, BadModel):
                raise one
            return one
    if name is None:
        raise BadModel(f"{model.folder}: the card names the classifier {wanted}, but its folder is missing")
    there = ", ".join(heads(model))
    raise UnknownModel(f"{model.name} has no classifier {name!r}" + (f"; it has: {there}" if there else ""))


def codec_of(head: Head) -> Model:
    """The installed codec whose records a classifier reads. Raises `UnknownModel`."""
    sha256 = head.card.codec
    codec = models().get(int(sha256[:8], 16))
    if codec is None or codec.sha256 != sha256:
        raise UnknownModel(f"{head.folder}: reads records of a codec that is not installed (id {sha256[:8]})")
    return codec


# -- who wrote a record ------------------------------------------------------------------------------------------------


def explain(ids: NDArray[np.uint32], wanted: Mapping[int, Model]) -> str:
    """Why records with these CRC-32s cannot be read by the `wanted` models: the likeliest reason, and what to do."""
    first = int(ids[0])
    if first == description.ID:
        return "describes an image in tiles (a grid); tiles=True (--tiles) takes its tiles one by one"
    if first in record.RESERVED:
        return f"a kind that this version does not know (ATL {first & 255:#04x}); a newer atlcodec may read it"
    if not (ids == first).all():
        return f"not records of {writer_name(wanted)}; is it an .atlc file?"
    elsewhere = models().get(first)
    if elsewhere:
        return f"written by {elsewhere.name}, not by {writer_name(wanted)}; use that model, or name none"
    if first in _repeated():
        what = "one repeated byte" if _repeated()[first] else "zeros"
        return f"only {what}, not {'records' if len(ids) > 1 else 'a record'}"
    if len(ids) > 1:
        return f"all have the id {first:08x} of a codec that is not installed; {INSTALL}"
    flips = record.syndromes()[:, [8, 4, 2, 1]].ravel()  # by bit, the highest of the first byte first
    for id, model in wanted.items():
        hit = np.nonzero(flips == (first ^ id))[0]
        if len(hit):
            byte, bit = divmod(int(hit[0]), 8)
            return f"damaged: bit {7 - bit} of byte {byte} of a record of {model.name} is flipped; get another copy"
    return f"no installed codec has the id {first:08x}: damaged, or its codec is not installed; {INSTALL}"


@functools.cache
def _repeated() -> dict[int, int]:
    """The byte by the CRC-32 of 200 such bytes."""
    return {zlib.crc32(bytes([byte]) * record.RECORD_BYTES): byte for byte in range(256)}


def writer_name(wanted: Mapping[int, Model]) -> str:
    """The models as a message calls them."""
    return next(iter(wanted.values())).name if len(wanted) == 1 else "an installed codec"
