"""atlc train-head: your own classifier for the records of a codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlcodec.cli import parameters
from atlcodec.cli.common import log
from atlcodec.cli.contents import load, show_contents
from atlcodec.cli.fitting import fit_of, fit_options
from atlcodec.cli.help import NAMES_DATA, Command, complete_models, group
from atlcodec.cli.train import check_output, require_torch
from atlcodec.errors import BadData
from atlcodec.training.settings import HeadSettings

if TYPE_CHECKING:
    from atlcodec.training.heads import Examples

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


INPUT = (
    click.option("--records", type=FILE, help="Records to learn from. No images are needed."),
    click.option(
        "--data",
        **NAMES_DATA,
        help="Or labelled images, which are encoded first, with changed copies.",
    ),
    click.option("--tiles", is_flag=True, help="Take the tiles of images (grids), each with the label of its image."),
    click.option("--labels", type=FILE, help="Their list, or labels in IDX format. [default: the list beside them]"),
    click.option(
        "-m",
        "--model",
        metavar="MODEL",
        shell_complete=complete_models,
        help="The model that wrote the records. [default: the first record says] Needed with --data.",
    ),
    click.option(
        "--teacher",
        metavar="RUN",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="With --data: the folder of a run of the recipe labels, whose teacher helps.",
    ),
)


def input_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name what to learn from."""
    for option in reversed(INPUT):
        command = option(command)
    return command


@click.command(
    cls=Command,
    examples=(
        "atlc train-head --records set.atlc -o mine",
        "atlc train-head --data pictures -m mnist -o mine --copies 4",
    ),
)
@group("Input and output")
@input_options
@parameters.output_options
@group("Images of other kinds")
@fit_options
@group("Details of the training")
@parameters.options({HeadSettings: ""})
@click.pass_context
def train_head(ctx: click.Context, /, output: Path, run: Path | None, force: bool, **given: Any) -> None:
    """Train a new classifier for a model, from records and labels.

    It needs no images: an epoch of 60,000 records takes a second. With --data, images are encoded first, each with
    --copies. OUTPUT is then a folder for atlc models add.

    If training was stopped, the same command resumes it."""
    require_torch()
    from atlcodec.card import is_head, valid_name
    from atlcodec.training import heads, publish
    from atlcodec.training.curves import Curves
    from atlcodec.training.data import torch_device

    settings = parameters.filled(HeadSettings, given)
    torch_device(settings.device)  # say what is wrong before anything is read
    check_output(output, force, replaces=(output / "card.json").is_file() and is_head(output))
    name = valid_name(given["name"] or output.resolve().name)
    run = run or output.with_name(output.name + ".run")
    examples = _examples(given, settings)
    log(f"{len(examples)} labelled records of {examples.model.name}, {len(examples.classes)} labels")
    log(f"checkpoint, metrics and curves.png in {run}")
    with Curves(log) as curves:
        trainer = heads.train(examples, settings, run, log, curves)
    epochs = sum(step.name != "accuracy" for step in trainer.steps)
    made: dict[str, object] = {"architecture": trainer.settings.architecture}
    if fit_of(given).asked():
        made["fit"] = fit_of(given).asked()
    card = {
        "name": name,
        "command": parameters.command_line(ctx, ("records", "data", "labels", "model", "teacher", "output")),
        "recipe": {**asdict(settings), **made, "epochs": epochs},
        "data": [examples.describe],
        "licence": given["licence"],
    }
    accuracy = publish.head(output, trainer, examples, card)
    log(
        f"{output}: {accuracy:.2%} accuracy on validation; to use it with {examples.model.name}: "
        f"atlc models add {output}"
    )


def _examples(given: dict[str, Any], settings: HeadSettings) -> Examples:
    """The records that the options name, or those of the images that they name."""
    from atlcodec import files, zoo
    from atlcodec.reader import codec_of
    from atlcodec.sets import manifest
    from atlcodec.training import heads

    if given["data"]:
        if given["records"] or given["labels"] or given["tiles"] or not given["model"]:
            raise click.UsageError("--data needs -m MODEL, and takes neither --records nor --labels nor --tiles")
        model = zoo.find(given["model"])
        data = load(given["data"], model.card.shape, fit_of(given))
        show_contents(given["data"], data.contents)
        return heads.encode(data, model, settings, log, given["teacher"])
    if not given["records"]:
        raise click.UsageError("name records with --records, or images with --data and -m MODEL")
    if given["teacher"]:
        raise click.UsageError("--teacher needs --data: it looks at images")
    if fit_of(given).asked():
        raise click.UsageError("the options of --fit are for --data: records are what they are")
    if settings.copies:
        raise click.UsageError("--copies needs --data: records alone cannot be changed")
    records: Path = given["records"]
    if records.suffix.lower() == ".parquet" or files.is_parquet(records):
        raise BadData(f"{records}: train-head reads .atlc files; encode the images to one with -o set.atlc")
    labels: Path = given["labels"] or manifest.beside(records)
    if not labels.is_file():
        raise BadData(f"{labels}: no such file; name the labels of {records} with --labels")
    return heads.load(
        records, labels, codec_of(files.open(records).array, str(records), given["model"]).model, tiles=given["tiles"]
    )
