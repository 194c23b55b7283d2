"""atlc models: list the installed models; add, check or remove one."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from atlcodec import engine, install, zoo
from atlcodec.card import Model, is_head, read_head
from atlcodec.cli.common import ErrorCount, escape, log
from atlcodec.cli.help import Command, Group, complete_models
from atlcodec.codec import Codec, Images
from atlcodec.errors import AtlcError, BadModel

REPAIR = "add it again with --force, or remove it"


@click.group(
    cls=Group, invoke_without_command=True, examples=("atlc models", "atlc models add ./mymodel --name digits")
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the installed models, bundled ones first; add, check or remove one.

    Your own are in your user folder, where `add` and `remove` work (XDG_DATA_HOME moves it), and in the folders of
    $ATLC_MODELS, with a colon between them, which are only read: copy a model into one with cp -r, remove it with
    rm -r."""
    if ctx.invoked_subcommand is None:
        show(as_json)


@models.command("list", cls=Command, examples=("atlc models list", "atlc models list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def list_(as_json: bool) -> None:
    """The installed models, bundled ones first."""
    show(as_json)


def show(as_json: bool) -> None:
    default = [model.id for model in zoo.default()]
    for folder in zoo.missing_folders():
        log(f"atlc: warning: {folder}: {_missing(folder)}")
    if not as_json:
        click.echo(f"{'model':16s} {'id':8s}  {'PSNR':>8s}  {'accuracy':>8s}  classifiers (where)")
    for model in zoo.installed():
        if isinstance(model, BadModel):
            log(f"atlc: {model}")
            continue
        heads = []
        for name, head in zoo.each_head(model):
            if isinstance(head, BadModel):
                log(f"atlc: {head}")
            elif name not in heads:
                heads.append(name)
        damage = _damage(model)
        if damage:
            log(f"atlc: {damage}; {REPAIR}")
        if as_json:
            line = {
                "name": model.name,
                "id": f"{model.id:08x}",
                "folder": str(model.folder),
                "default": model.id in default,
            }
            plain = {key: value for key, value in model.card.figures.items() if isinstance(value, int | float | str)}
            click.echo(json.dumps({**line, "heads": heads, "valid": not damage, "figures": plain}))
            continue
        figures = model.card.figures
        psnr = f"{figures['psnr']:5.2f} dB" if "psnr" in figures else ""
        accuracy = f"{figures['accuracy']:5.2f} %" if "accuracy" in figures else ""
        where = "bundled" if model.bundled else str(model.folder) + ", damaged" * bool(damage)
        text = f"{model.name:16s} {model.id:08x}  {psnr:>8s}  {accuracy:>8s}  {', '.join(heads)}  ({where})"
        click.echo(escape(text))


@models.command(cls=Command, examples=("atlc models add mymodel", "atlc models add mymodel --force --name digits"))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-f", "--force", is_flag=True, help="Replace an installed one, for example if it is damaged.")
@click.option("--name", help="Install it under this name. [default: the name in its card]")
def add(folder: Path, force: bool, name: str | None) -> None:
    """Install a model or classifier folder."""
    if is_head(folder):
        head = read_head(folder)
        codec = Codec(zoo.codec_of(head))
        signature, path = engine.classifier(len(head.labels)), str(folder / "classifier.onnx")
        graph = engine.Graph(head.file(), signature, path, claims=head.card.exact)
        graph(codec.encode(_blank(codec)))
    else:
        _try(Codec.load(folder))
    log(f"installed in {install.add(folder, name=name, replace=force)}")


@models.command(cls=Command, examples=("atlc models remove digits", "atlc models remove digits/my-labels"))
@click.argument("names", nargs=-1, required=True, metavar="MODEL|MODEL/HEAD...", shell_complete=complete_models)
def remove(names: tuple[str, ...]) -> None:
    """Remove models or classifiers that you added."""
    errors = ErrorCount()
    for name in names:
        try:
            log(f"removed {install.remove(name)}")
        except AtlcError as error:
            errors.report(error)
    errors.exit()


@models.command(cls=Command, examples=("atlc models check", "atlc models check digits"))
@click.argument("names", nargs=-1, metavar="[MODEL]...", shell_complete=complete_models)
def check(names: tuple[str, ...]) -> None:
    """Read and run every file of the models that you name, or of all."""
    errors = ErrorCount()
    for folder in zoo.missing_folders():
        log(f"atlc: warning: {folder}: {_missing(folder)}")
    for model in map(_found, names) if names else zoo.installed():
        try:
            if isinstance(model, AtlcError):
                raise model
            _try(Codec(model))
            click.echo(escape(f"{model.name}: valid"))
        except AtlcError as error:
            known = isinstance(model, AtlcError) or model.bundled
            errors.report(f"{error}" if known else f"{error}; {REPAIR}")
    errors.exit()


def _damage(model: Model) -> BadModel | None:
    """What is wrong with the files of a user's model, by their SHA-256; `check` also runs them."""
    if model.bundled:
        return None
    try:
        for name in model.card.digests:
            model.file(name.removesuffix(".onnx"))
    except BadModel as error:
        return error
    return None


def _missing(folder: Path) -> str:
    return f"is named by ATLC_MODELS, but {'is not a folder' if folder.exists() else 'does not exist'}"


def _found(name: str) -> Model | AtlcError:
    try:
        return zoo.find(name)
    except AtlcError as error:
        return error


def _try(codec: Codec) -> None:
    """Run all networks of a codec. Raises `BadModel`."""
    heads = dict(zoo.each_head(codec.model))
    for found in (codec.head, *heads.values()) if codec.model.card.default_head else heads.values():
        if isinstance(found, BadModel):
            raise found
    records = codec.encode(_blank(codec))
    codec.decode(records)
    for name in heads:
        Codec(codec.model, name).classify(records)


def _blank(codec: Codec) -> Images:
    return np.zeros((1, *codec.shape), np.uint8)
