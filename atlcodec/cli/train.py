"""atlc train: your own codec."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlcodec.cli import parameters
from atlcodec.cli.common import log
from atlcodec.cli.contents import dry_run
from atlcodec.cli.fitting import fit_of
from atlcodec.cli.help import NAMES_DATA, Command, group
from atlcodec.cli.train_data import about_data, data_options, load_sets, propose_start
from atlcodec.errors import AtlcError
from atlcodec.shape import Shape
from atlcodec.training.settings import FINE_TUNING, RECIPES, Settings

if TYPE_CHECKING:
    from atlcodec.card import Model
    from atlcodec.cli.train_data import Sets
    from atlcodec.sets.dataset import Dataset
    from atlcodec.training.trainer import Trainer

PATHS = ("data", "unlabelled", "outliers", "output", "start")  # by name in the card's command
# The classes of the recipes' parameters, each with the recipes that take them.
CLASSES = {
    cls: ", ".join(name for name, recipe in RECIPES.items() if recipe.parameters is cls)
    for cls in dict.fromkeys(recipe.parameters for recipe in RECIPES.values())
}


RECIPE = click.option(
    "--recipe",
    default="atl",
    show_default=True,
    type=click.Choice(list(RECIPES)),
    help="; ".join(f"{name}: {recipe.help}" for name, recipe in RECIPES.items()) + ".",
)


EXAMPLES = (
    "atlc train --data pictures -o mine --minutes 10",
    "atlc train --data photos -o mine --fit cover --shape 48x64x3",
)


@click.command(cls=Command, examples=EXAMPLES)
@group("Input and output")
@click.option("--data", multiple=True, required=True, help="IDX files, labelled images, or a name.", **NAMES_DATA)
@parameters.output_options
@group("How to train")
@RECIPE
@click.option("--head", default="labels", show_default=True, help="Name of its classifier.")
@group("Images, and the time")
@data_options
@group("Details of the training")
@parameters.options({Settings: "", **CLASSES})
@click.pass_context
def train(ctx: click.Context, /, output: Path, run: Path | None, force: bool, **given: Any) -> None:
    """Train your own codec on your own images.

    Compressor, decompressor and classifier are trained by Alternating Transfer Learning or another recipe. OUTPUT is
    then a model folder: atlc encode -m OUTPUT image.png.

    The images may have any sizes with --fit or --crops. If training was stopped, the same command resumes it. It stops
    after --minutes, or by itself when the validation split no longer improves. In the folder of the run, curves.png
    shows losses, PSNR and accuracy so far. With several --data (multi-domain), OUTPUT holds a model folder for each."""
    own = _recipe_parameters(ctx)
    require_torch()
    from atlcodec import zoo
    from atlcodec.card import valid_name
    from atlcodec.training import publish
    from atlcodec.training.data import torch_device

    start = zoo.find(given["start"]) if given["start"] else None
    shape = given["shape"] or (start.card.shape if start else None)
    if given["dry_run"]:
        _dry_run(given, shape)
        return
    settings = _settings(parameters.asked(ctx), given["recipe"], start)
    check_output(output, force, replaces=(output / "card.json").is_file() or any(output.glob("*/card.json")))
    torch_device(settings.device)  # say what is wrong before anything is read
    name = valid_name(given["name"] or output.resolve().name)
    head = valid_name(given["head"]) if RECIPES[given["recipe"]].head else None
    sets, outliers, unlabelled = load_sets(given, shape)
    card: dict[str, Any] = {
        "command": parameters.command_line(ctx, PATHS, without=("no_comparison",)),
        "recipe": {**_about(given, start), **about_data(given, outliers), **asdict(settings), **asdict(own)},
        "data": [one.describe() for one in (*sets, *([unlabelled] if unlabelled else []))],
        "licence": _licence(given["licence"], start),
    }
    trainer, own = _run(ctx, settings, own, run or run_folder(output), card, (sets, outliers, unlabelled), start)
    if given["minutes"]:
        card["command"] = _command_without_minutes(ctx, own)
        card["recipe"] |= asdict(own)
    base = start if given["recipe"] == "labels" else None
    tuned = getattr(own, "exact_epochs", 0)
    for done in publish.codecs(trainer, sets, output, name, card, head, base, exact_epochs=tuned):
        log(f"{done.folder}: id {done.id:08x}, {done.figures.line()}")
    if len(sets) == 1 and not given["no_comparison"]:
        _compare(output, sets[0], trainer)


def _dry_run(given: dict[str, Any], shape: Shape | None) -> None:
    for where in (*given["data"], *given["outliers"], *filter(None, [given["unlabelled"]])):
        dry_run(where, shape, fit_of(given), given["crops"] or 0)


def _compare(output: Path, data: Dataset, trainer: Trainer) -> None:
    """Say how the new codec does beside others, and keep that in the folder of the run."""
    from atlcodec import atomic
    from atlcodec.codec import Codec
    from atlcodec.training import rivals

    where = str(output) if output.is_absolute() or len(output.parts) > 1 else f"./{output}"
    held_out = trainer.domains[0].held_out
    found = rivals.compare(Codec.load(Path(output)), data, held_out, where, trainer.origin, log)
    with atomic.file(trainer.folder / "comparison.json") as file:
        file.write(json.dumps(found.describe(), indent=1).encode() + b"\n")
    for line in found.lines():
        log(line)


def _command_without_minutes(ctx: click.Context, own: Any) -> str:
    """The command for the card, with the epochs that the minutes gave: these give the same model anywhere."""
    names = budget_fields(own)
    ctx.params |= {key: getattr(own, key) for key in names}
    return parameters.command_line(ctx, PATHS, also=names, without=("minutes", "no_comparison"))


def _settings(asked: dict[str, Any], recipe: str, start: Model | None) -> Settings:
    """The settings that were asked for, with others by default if training begins with a model."""
    from atlcodec.training import pretrained

    settings: Settings = parameters.filled(Settings, asked)
    if start is None:
        return settings
    if "architecture" not in asked:  # its weights fit no other
        settings = replace(settings, architecture=pretrained.architecture(start.card.recipe) or "lenet")
    if "size" not in asked:
        settings = replace(settings, size=pretrained.size(start.card.recipe))
    if recipe == "labels" and settings.architecture != "pca":
        raise AtlcError(f"{start.name}: not of the architecture pca, which alone has latents for labels")
    if _begins_whole(recipe, settings) and "learning_rate" not in asked:
        settings = replace(settings, learning_rate=FINE_TUNING)
    return settings


def _begins_whole(recipe: str, settings: Settings) -> bool:
    """Whether --start gives all networks, and not the compressor alone, or the pictures."""
    return settings.architecture == "pca" and not RECIPES[recipe].start


def _about(given: dict[str, Any], start: Model | None) -> dict[str, Any]:
    """What the card says of the recipe beside its parameters."""
    about: dict[str, Any] = {"recipe": given["recipe"]}
    if given["minutes"]:
        about["minutes"] = given["minutes"]
    if start:
        about["start"] = f"{start.name} {start.sha256}"
        if given["recipe"] == "labels":
            own = {"command": start.card.command, "recipe": start.card.recipe}
            about["pictures"] = start.card.recipe.get("pictures", own)  # labels may have been trained anew before
    return about


def _licence(given: str, start: Model | None) -> str:
    """What the card says. What begins with a model is under the terms of that model, too."""
    if start is None:
        return given
    terms = start.card.licence or "not stated"
    log(f"begins with {start.name}, whose licence holds for what you make of it, too: {terms}")
    return terms if given in ("not stated", terms) else f"{given}; begins with {start.name}: {terms}"


def _run(
    ctx: click.Context,
    settings: Settings,
    own: Any,
    run: Path,
    card: dict[str, Any],
    data: Sets,
    start: Model | None,
) -> tuple[Trainer, Any]:
    """Run the recipe, or resume it. Returns its parameters, too, which --minutes may have changed."""
    from atlcodec.training import budget, export, recipes
    from atlcodec.training.curves import Curves
    from atlcodec.training.data import outlier_images
    from atlcodec.training.trainer import Trainer

    (sets, outliers, unlabelled), given = data, ctx.params
    recipe, minutes = given["recipe"], given["minutes"]
    base = start if recipe == "labels" else None
    parent = start if _begins_whole(recipe, settings) else None
    with Curves(log) as curves:
        trainer = Trainer(
            settings,
            sets,
            run,
            unlabelled=unlabelled.train.images[: given["unlabelled_limit"]] if unlabelled else None,
            outliers=outlier_images(outliers, settings.validation),
            start=export.weights(start.file("compressor")) if start and not base and not parent else None,
            base=base,
            parent=parent,
            taught_by=own.teacher_size if base and own.teacher else None,
            # The same command resumes the same run, so a checkpoint must have been made with all of this.
            fingerprint=_fingerprint(card),
            log=log,
            watch=curves,
        )
        for domain, one in zip(trainer.domains, sets, strict=True):
            tested = f", {len(one.test)} for the test" if one.test else ""
            log(f"{domain.name}: {len(domain.labels)} to learn from, {len(domain.held_out)} for validation{tested}")
        log(f"checkpoint, metrics and curves.png in {run}")
        if start is None and settings.architecture == "pca" and len(sets) == 1:
            propose_start(trainer, len(sets[0].train))
        if minutes:
            own = budget.decided(trainer, recipe, own, minutes, parameters.asked(ctx))
            counts = ", ".join(f"--{key.replace('_', '-')} {getattr(own, key)}" for key in budget_fields(own))
            needs = budget.expected(trainer)
            log(f"{minutes:g} minutes: {counts}" + (f"; this takes {needs:.1f}" if needs > 1.2 * minutes else ""))
        recipes.run(recipe, trainer, own)
    return trainer, own


def _fingerprint(card: dict[str, Any]) -> str:
    """Of the recipe and the data, up to the last phase, which may be done again with other epochs."""
    recipe = {key: value for key, value in card["recipe"].items() if key not in ("exact_epochs", "floats")}
    return hashlib.sha256(repr((recipe, card["data"])).encode()).hexdigest()


def budget_fields(own: Any) -> list[str]:
    """The parameters of a recipe that --minutes may decide."""
    return [key for key in ("epochs", "sets", "tune", "patience", "exact_epochs") if hasattr(own, key)]


def run_folder(output: Path) -> Path:
    return output.with_name(output.name + ".run")


def require_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise AtlcError("training needs PyTorch: pip install 'atlcodec[train]'")


def check_output(output: Path, force: bool, *, replaces: bool) -> None:
    """Raise `AtlcError` if OUTPUT exists, unless it is a folder of the right kind and the user wants it replaced."""
    if output.exists() and not force:
        raise AtlcError(f"{output}: already exists; -f replaces it")
    if output.exists() and not replaces:
        raise AtlcError(f"{output}: is not a model folder, so -f does not replace it; choose another -o")


def _recipe_parameters(ctx: click.Context) -> Any:
    """The recipe's parameters. An option of another recipe, or one that is missing, is a usage error."""
    name, given = ctx.params["recipe"], parameters.asked(ctx)
    recipe = RECIPES[name]
    own = recipe.parameters.__dataclass_fields__
    for key in given:
        if key not in own and any(key in cls.__dataclass_fields__ for cls in CLASSES):
            raise click.UsageError(f"--{key.replace('_', '-')} does not apply to --recipe {name}")
    if recipe.start and "start" not in given:
        raise click.UsageError(f"the recipe {name} needs --start MODEL and keeps its compressor")
    if recipe.domains and len(given["data"]) < 2:
        raise click.UsageError(f"the recipe {name} needs two or more --data")
    if not recipe.domains and len(given["data"]) > 1:
        raise click.UsageError("several --data are for the recipe multi-domain")
    made = parameters.filled(recipe.parameters, given)
    decided = "sets" if hasattr(made, "sets") else "epochs"
    if "minutes" in given and decided in given:
        raise click.UsageError(f"--minutes decides --{decided}; give one of them")
    if "outliers" in given and not recipe.classifier_epochs(made):
        raise click.UsageError("--outliers needs epochs of the classifier alone; see --tune and --tune-class")
    return made
