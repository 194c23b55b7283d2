"""The options of `atlc train` that say what it learns from and for how long, and the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from atlcodec.cli.common import log
from atlcodec.cli.contents import dry_run_option, load, show_contents
from atlcodec.cli.fitting import ShapeType, fit_of, fit_options
from atlcodec.cli.help import NAMES_DATA, complete_models
from atlcodec.fit import Fit
from atlcodec.shape import Shape

if TYPE_CHECKING:
    from atlcodec.sets.dataset import Dataset
    from atlcodec.training.trainer import Trainer

    Sets = tuple[Sequence[Dataset], Sequence[Dataset], Dataset | None]  # the data, outliers, unlabelled

FEW = 5_000  # training images: for fewer, a bundled codec may be a better start
LOOKED_AT = 100  # of them, to choose it by
SHAPE_HELP = (
    "Rows and columns of the codec's images, and x3 for colours: 32x32x3. [default: told from the images, or that of "
    "--start]"
)
OPTIONS = (
    click.option(
        "--unlabelled",
        **NAMES_DATA,
        help="More images, for the autoencoder alone.",
    ),
    click.option(
        "--unlabelled-limit", type=click.IntRange(1), metavar="N", help="Use only the first N unlabelled images."
    ),
    click.option(
        "--outliers",
        multiple=True,
        **NAMES_DATA,
        help="Images of other kinds: the classifier is trained to be unsure of them.",
    ),
    click.option("--limit", type=click.IntRange(20), help="Use only the first training images, for a quick look."),
    click.option("--shape", type=ShapeType(), metavar="HxW[x3]", help=SHAPE_HELP),
    fit_options,
    click.option(
        "--crops",
        type=click.IntRange(1),
        metavar="N",
        help="Of each image that is larger than the shape, N parts at random places and scales instead of the whole.",
    ),
    click.option(
        "--start",
        metavar="MODEL",
        shell_complete=complete_models,
        help="Begin with this model: with all of it, if its architecture is pca, and with its compressor otherwise "
        "(transfer: keep that; labels: keep its pictures).",
    ),
    click.option(
        "--minutes",
        type=click.FloatRange(0, min_open=True),
        help="About how long to train, if nothing else runs. The epochs that this gives are found once, by timing a "
        "few mini-batches.",
    ),
    click.option("--no-comparison", is_flag=True, help="Do not compare with other codecs at the end."),
    dry_run_option,
)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def load_sets(given: dict[str, Any], shape: Shape | None) -> Sets:
    """The data sets that the options name, of a shape, if you have one."""
    how, crops = fit_of(given), given["crops"] or 0
    sets: list[Dataset] = []
    for where in given["data"]:
        wanted = sets[0].shape if sets else shape  # the first one's is that of all
        sets.append(_loaded(where, wanted, how, crops))
    shape = sets[0].shape
    names = [one.name for one in sets]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"two data sets are named {name}")
    outliers = [_loaded(where, shape, how, crops) for where in given["outliers"]]
    if given["limit"]:
        sets, outliers = ([one.limited(given["limit"]) for one in found] for found in (sets, outliers))
    where = given["unlabelled"]
    return sets, outliers, _loaded(where, shape, how, crops) if where else None


def _loaded(where: str, shape: Shape | None, how: Fit, crops: int) -> Dataset:
    data = load(where, shape, how, crops)
    show_contents(where, data.contents)
    return data


def about_data(given: dict[str, Any], outliers: Sequence[Dataset]) -> dict[str, object]:
    """What the card says of them beside what they are."""
    about: dict[str, object] = {key: given[key] for key in ("limit", "unlabelled_limit")}
    if fit_of(given).asked():
        about["fit"] = fit_of(given).asked()
    if given["crops"]:
        about["crops"] = given["crops"]
    if outliers:
        about["outliers"] = [one.describe() for one in outliers]
    return about


def propose_start(trainer: Trainer, count: int) -> None:
    """If there are few images, and a bundled codec of their shape already reproduces them better than the start of this
    training, say so. Both see images of the validation split."""
    from atlcodec import choice, metrics
    from atlcodec.errors import AtlcError
    from atlcodec.training import measure

    if count >= FEW or trainer.steps:
        return
    images = trainer.domains[0].held_out.images[:LOOKED_AT]
    try:
        found = choice.suited(images)
    except AtlcError:  # no bundled codec has this shape
        return
    made = [codec.decode(records) for codec, records in zip(found.codecs, found.records, strict=True)]
    reached = [metrics.psnr(float(metrics.squared_error(images, each).mean())) for each in made]
    begun, best = measure.psnr(trainer.nets, images), max(range(len(made)), key=lambda number: reached[number])
    if reached[best] > begun:
        name = found.codecs[best].name
        log(
            f"{count} images are few: {name} has {reached[best]:.1f} dB on them already, this training begins at "
            f"{begun:.1f} dB; --start {name} trains it further"
        )
