"""Install a model or a classifier into the user folder, and remove one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from atlcodec import atomic, zoo
from atlcodec.card import Model, is_head, read_head, read_model, read_regular, valid_name
from atlcodec.errors import AtlcError, BadModel, UnknownModel


def add(source: Path, *, name: str | None = None, replace: bool = False) -> Path:
    """Install the folder of a codec or of a head into the user folder, whole or not at all; returns the new folder.
    `name` gives it another name, and `replace` removes what has its place: the same codec, or one of its name.

    It does not try the networks: that is the caller's task. Raises `AtlcError`."""
    target, wanted = (_head_to_add if is_head(source) else _codec_to_add)(source, name, replace)
    if target.exists() and not replace:
        raise AtlcError(f"{target}: already exists; --force replaces it, atlc models remove {target.name} removes it")
    if target.is_symlink() or source.resolve() == target.resolve():
        raise AtlcError(f"{target}: is a link, or the folder to be installed; name another one")
    with atomic.folder(target) as part:
        for relative in wanted:
            (part / relative).parent.mkdir(parents=True, exist_ok=True)
            data = read_regular(source / relative)
            if name is not None and relative == Path("card.json"):
                data = json.dumps(json.loads(data) | {"name": target.name}, indent=2, ensure_ascii=False).encode()
            (part / relative).write_bytes(data)
    return target


def remove(which: str) -> Path:
    """Remove a model or, as MODEL/HEAD, a classifier that the user added, valid or not, with the classifiers that the
    user added to it; returns its folder. Raises `UnknownModel`, or `AtlcError` for a bundled one."""
    name, _, head = which.partition("/")
    found = next((model for model in zoo.models().values() if model.name == name), None)
    folder = zoo.user_folder() / valid_name(name)
    if head:
        if found is None:
            raise UnknownModel(f"no model {name!r} is installed")
        folder = zoo.user_folder() / "heads" / f"{found.id:08x}" / valid_name(head)
    elif found is not None and found.bundled:
        raise AtlcError(f"{name}: is part of atlcodec, and cannot be removed")
    if not folder.is_dir() or folder.is_symlink():
        elsewhere = f"; it lies in {found.folder}" if found and not head else ""
        raise UnknownModel(f"{which}: is not in {folder.parent}{elsewhere}")
    gone = folder.with_name(f".{folder.name}.removed")  # hidden first: there is never half a model
    shutil.rmtree(gone, ignore_errors=True)
    try:
        folder.rename(gone)
        shutil.rmtree(gone)
        if found is not None and not head:
            shutil.rmtree(zoo.user_folder() / "heads" / f"{found.id:08x}", ignore_errors=True)
    except OSError as error:
        raise AtlcError(f"{folder}: cannot be removed ({error.strerror or error})") from error
    return folder


def _head_to_add(source: Path, name: str | None, replace: bool) -> tuple[Path, list[Path]]:
    """Where a head would be installed, and its files."""
    new = read_head(source)
    codec = zoo.codec_of(new)
    name = new.name if name is None else valid_name(name)
    target = zoo.user_folder() / "heads" / f"{codec.id:08x}" / name
    if name in dict(zoo.each_head(codec)) and not (replace and target.exists()):
        force = "--force replaces it, " if target.exists() else ""
        raise AtlcError(f"{source}: {codec.name} has a classifier {name} already; {force}--name gives it another name")
    return target, [Path("card.json"), Path("classifier.onnx")]


def _codec_to_add(source: Path, name: str | None, replace: bool) -> tuple[Path, list[Path]]:
    """Where a codec would be installed, and its files."""
    model = read_model(source)
    name = model.name if name is None else valid_name(name)
    target = zoo.user_folder() / name
    for other in zoo.installed():
        if not isinstance(other, Model) or (replace and other.folder == target):
            continue
        if other.id == model.id and other.sha256 == model.sha256:
            force = "" if other.bundled else f"; to repair it: atlc models add --force --name {other.name} {source}"
            raise AtlcError(
                f"{source}: this codec is installed already, as {other.name} in {other.folder}, and has one name{force}"
            )
        if other.id == model.id:
            raise BadModel(f"{source}: another codec, {other.name}, has the same id {model.id:08x}; train it again")
        if other.name == name:
            raise AtlcError(
                f"{source}: a model {name} is installed already; --name gives this one another name"
                + ("" if other.bundled else ", --force replaces that one")
            )
    wanted = [Path("card.json"), *map(Path, sorted(model.card.digests))]
    for head in zoo.heads(model):
        if (source / "heads" / head).is_dir():
            wanted += [Path("heads", head, "card.json"), Path("heads", head, "classifier.onnx")]
    return target, wanted
