"""atlc models: list the installed models, or install one."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from atlcodec import engine, zoo
from atlcodec.card import is_head, read_head
from atlcodec.cli.common import escape, log
from atlcodec.codec import Codec, Images
from atlcodec.errors import BadModel


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """The installed models, bundled ones first."""
    if ctx.invoked_subcommand is None:
        show(as_json)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def list_(as_json: bool) -> None:
    """The installed models, bundled ones first."""
    show(as_json)


def show(as_json: bool) -> None:
    default = [model.id for model in zoo.default()]
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
        if as_json:
            line = {
                "name": model.name,
                "id": f"{model.id:08x}",
                "folder": str(model.folder),
                "default": model.id in default,
            }
            plain = {key: value for key, value in model.card.figures.items() if isinstance(value, int | float | str)}
            click.echo(json.dumps({**line, "heads": heads, "figures": plain}))
            continue
        figures = model.card.figures
        quality = f"{figures['psnr']:5.2f} dB" if "psnr" in figures else ""
        quality += f"  {figures['accuracy']:5.2f} %" if "accuracy" in figures else ""
        where = "bundled" if model.bundled else str(model.folder)
        click.echo(escape(f"{model.name:16s} {model.id:08x}  {quality:18s}  {', '.join(heads)}  ({where})"))


@models.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def add(folder: Path) -> None:
    """Install a model or classifier folder."""
    if is_head(folder):
        head = read_head(folder)
        codec = Codec(zoo.codec_of(head))
        graph = engine.Graph(head.file(), engine.classifier(len(head.labels)), str(folder / "classifier.onnx"))
        graph(codec.encode(_blank(codec)))
    else:
        codec = Codec.load(folder)
        heads = dict(zoo.each_head(codec.model))
        for found in (codec.head, *heads.values()):
            if isinstance(found, BadModel):
                raise found
        records = codec.encode(_blank(codec))
        codec.decode(records)
        for name in heads:
            Codec.load(folder, name).classify(records)
    log(f"installed in {zoo.add(folder)}")


def _blank(codec: Codec) -> Images:
    return np.zeros((1, *codec.shape), np.uint8)
