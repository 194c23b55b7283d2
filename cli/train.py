"""atlc train: a codec of one's own."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from atlcodec.cli.common import say
from atlcodec.errors import AtlcError


@click.command()
@click.option("--data", required=True, metavar="DIR|NAME", help="IDX files, labelled picture folders, or an official set by name.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Model folder to write.")
@click.option("--name", help="Name of the model. [default: the name of the folder]")
@click.option("--head", default="labels", show_default=True, help="Name of its classifier.")
@click.option("--unlabelled", metavar="DIR|NAME", help="More pictures for the autoencoder alone.")
@click.option("--run", type=click.Path(path_type=Path), help="Folder of checkpoints and metrics. [default: OUTPUT.run]")
@click.option("--licence", default="the trainer's own", show_default=True, help="Licence of the weights, for the card.")
@click.option("--limit", type=click.IntRange(20), help="Use only so many training images, for a quick look.")
@click.option("--seed", default=0, show_default=True, type=int)
@click.option("--batch", default=128, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=2e-3, show_default=True, type=click.FloatRange(0, min_open=True), help="Highest rate (Adam).")
@click.option(
    "--shift", default=0, show_default=True, type=click.IntRange(0, 8), help="Augmentation in the classifier's turns, pixels."
)
@click.option(
    "--validation", default=5000, show_default=True, type=click.IntRange(1), help="Last training images, kept out (<= 10 %)."
)
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--warmup", default=10, show_default=True, type=click.IntRange(0), help="Epochs of the autoencoder before the first set."
)
@click.option("--sets", default=25, show_default=True, type=click.IntRange(1), help="Sets of turns, at most.")
@click.option("--k-ae", default=1, show_default=True, type=click.IntRange(0), help="Epochs of compressor + decompressor in a set.")
@click.option("--j-class", default=1, show_default=True, type=click.IntRange(0), help="Epochs of the classifier alone in a set.")
@click.option("--k-class", default=1, show_default=True, type=click.IntRange(0), help="Epochs of compressor + classifier in a set.")
@click.option("--j-ae", default=1, show_default=True, type=click.IntRange(0), help="Epochs of the decompressor alone in a set.")
@click.option("--patience", default=5, show_default=True, type=click.IntRange(1), help="Sets without progress before it stops.")
@click.option("--turn", default=1.0, show_default=True, type=click.FloatRange(0), help="Rate of the classifier's turns, relative.")
@click.option(
    "--tune", default=10, show_default=True, type=click.IntRange(0), help="Epochs of fine-tuning for each half at the end."
)
@click.option("-f", "--force", is_flag=True, help="Replace OUTPUT if it is there.")
@click.pass_context
def train(ctx: click.Context, /, output: Path, name: str | None, run: Path | None, force: bool, **options: Any) -> None:
    """Train compressor, decompressor and classifier by Alternating Transfer Learning, and write them as a model folder.

    The same command goes on where it was stopped; it stops by itself when a validation split stops improving. The folder is then
    ready: atlc encode -m OUTPUT picture.png"""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise AtlcError("training needs PyTorch: pip install 'atlcodec[train]'") from error
    from atlcodec import datasets, evaluation, zoo
    from atlcodec.codec import Codec
    from atlcodec.training import export
    from atlcodec.training.atl import Atl, atl
    from atlcodec.training.loop import Settings, Trainer

    if output.exists() and not force:
        raise AtlcError(f"{output}: is there already; -f replaces it")
    if output.exists() and not (output / "card.json").is_file():
        raise AtlcError(f"{output}: is no model folder, and is not replaced by one")
    name = zoo.valid_name(name or output.resolve().name)
    zoo.valid_name(options["head"])
    run = run or output.with_name(output.name + ".run")

    data = datasets.load(options["data"], say=say)
    limit = options["limit"]
    if limit:
        data = datasets.Dataset(data.name, data.train[:limit], data.test, data.classes, data.source, data.licence, data.sha256)
    more = datasets.load(options["unlabelled"], say=say) if options["unlabelled"] else None
    settings = Settings(**{key: options[key] for key in Settings.__dataclass_fields__ if key in options})
    parameters = Atl(**{key: options[key] for key in Atl.__dataclass_fields__})
    # Same command, same run: what the checkpoint must have been made with.
    recipe = {"recipe": "atl", **asdict(settings), **asdict(parameters), "limit": limit}
    described = [data.describe()] + ([more.describe()] if more else [])
    trainer = Trainer(
        settings,
        data,
        run,
        unlabelled=more.train.images if more else None,
        recipe=hashlib.sha256(repr((recipe, described)).encode()).hexdigest(),
        say=say,
    )
    first = trainer.domains[0]
    say(f"{data.name}: {len(first.labels)} training images, {len(first.held_out)} for validation; checkpoints in {run}")
    atl(trainer, parameters)

    test = data.test
    figures_from = "test" if test is not None else "validation"
    card = {"name": name, "command": _command(ctx), "recipe": recipe, "data": described, "licence": options["licence"]}
    head = {"name": options["head"], "labels": list(data.classes)}
    # The model that this one replaces may keep its id.
    taken = {model.id for model in zoo.models().values() if model.folder.resolve() != output.resolve()}
    part = output.with_name(f".{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    zoo.write(part, export.files(trainer.nets, taken), card, head)
    figures = evaluation.measure(Codec.load(part), test if test is not None else first.held_out, data.classes)
    zoo.add_to_card(part, {"figures": {"measured on": f"{data.name}, {figures_from}", **figures.summary()}})
    if output.exists():
        shutil.rmtree(output)
    part.rename(output)
    say(f"{output}: id {Codec.load(output).id:08x}, {figures.line()}")


def _command(ctx: click.Context) -> str:
    """This command as the card gives it: what was asked for, with data and output by name, without their paths."""
    words = ["atlc train"]
    for parameter in ctx.command.params:
        asked = ctx.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
        if not asked or parameter.name in ("force", "run"):
            continue
        value = ctx.params[str(parameter.name)]
        if parameter.name in ("data", "unlabelled", "output"):
            value = Path(value).resolve().name
        words += [parameter.opts[-1], shlex.quote(str(value))]
    return " ".join(words)
