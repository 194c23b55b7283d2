"""atlc train: a codec of one's own."""

from __future__ import annotations

import hashlib
import importlib.util
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from click.core import ParameterSource

from atlcodec.cli.common import log
from atlcodec.cli.train_head import OWN, train_head
from atlcodec.errors import AtlcError

if TYPE_CHECKING:
    from atlcodec.sets.dataset import Dataset
    from atlcodec.training.loop import Trainer

COUNT, AT_LEAST_ONE = click.IntRange(0), click.IntRange(1)
RECIPES = [
    "atl",
    "baseline",
    "ae-driven",
    "classifier-driven",
    "transfer",
    "joint",
    "turns",
    "multi-domain",
    "classifier",
]
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
RATE, SHARE = click.FloatRange(0, min_open=True), click.FloatRange(0)


@click.command()
@click.option("--data", multiple=True, metavar="DIR|NAME", help="IDX files, labelled pictures, or a set by name.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Model folder to write.")
@click.option(
    "--recipe", default="atl", show_default=True, type=click.Choice(RECIPES), help="See atlcodec/training/recipes.py."
)
@click.option("--name", help="Name of the model. [default: the name of the folder]")
@click.option("--records", type=FILE, help="classifier: the records to learn from; no pictures are needed.")
@click.option(
    "--labels", type=FILE, help="classifier: their list, or labels in IDX format. [default: the list beside them]"
)
@click.option("-m", "--model", help="classifier: the model whose records they are. [default: the record says]")
@click.option("--head", default="labels", show_default=True, help="Name of its classifier.")
@click.option("--unlabelled", metavar="DIR|NAME", help="More pictures, for the autoencoder alone.")
@click.option("--unlabelled-limit", type=AT_LEAST_ONE, help="Only the first so many of those.")
@click.option(
    "--others", multiple=True, metavar="DIR|NAME", help="Pictures that the classifier, once alone, learns to doubt."
)
@click.option("--start", metavar="MODEL", help="The model whose compressor to begin with. (transfer: to keep)")
@click.option(
    "--run", type=click.Path(path_type=Path), help="Folder of checkpoints, metrics, curves. [default: OUTPUT.run]"
)
@click.option("--licence", default="the trainer's own", show_default=True, help="Licence of the weights, for the card.")
@click.option("--limit", type=click.IntRange(20), help="Use only so many training images, for a quick look.")
@click.option("--architecture", type=click.Choice(["lenet", "mixer"]), help="Of the networks. [default: lenet]")
@click.option("--seed", type=int, help="[default: 0]")
@click.option("--batch", type=AT_LEAST_ONE, help="[default: 512]")
@click.option("--rate", type=RATE, help="Highest learning rate (Adam). [default: 0.002]")
@click.option("--rise", type=COUNT, help="Mini-batches in which each optimiser's rate rises to that. [default: 0]")
@click.option("--schedule", type=click.Choice(["cosine", "constant"]), help="Of the rate. [default: cosine]")
@click.option(
    "--shift", type=click.IntRange(0, 8), help="Moves pictures while learning from labels, by pixels. [default: 0]"
)
@click.option(
    "--augment",
    type=click.Choice(["bend", "mirror", "bend+mirror"]),
    help="Changes half of the pictures while learning.",
)
@click.option("--smoothing", type=click.FloatRange(0, 0.9), help="Of the labels. [default: 0]")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), help="Of products. [default: float32]")
@click.option("--sealed", is_flag=True, help="Seal the records that each half alone learns from, as a user's will be.")
@click.option("--validation", type=AT_LEAST_ONE, help="Last training images, kept out (10 % at most). [default: 5000]")
@click.option("--weight", type=SHARE, help="Of the cross-entropy in the joint loss. [default: 0.002]")
@click.option("--device", help="[default: cpu]")
@click.option(
    "--warmup",
    type=COUNT,
    help="atl: epochs of the autoencoder before the first set; joint: of rising rate. [default: 0]",
)
@click.option("--sets", type=AT_LEAST_ONE, help="atl: sets of turns, at most. [default: 25]")
@click.option("--k-ae", type=COUNT, help="atl: epochs of compressor + decompressor in a set. [default: 1]")
@click.option("--j-class", type=COUNT, help="atl: epochs of the classifier alone in a set. [default: 1]")
@click.option("--k-class", type=COUNT, help="atl: epochs of compressor + classifier in a set. [default: 1]")
@click.option("--j-ae", type=COUNT, help="atl: epochs of the decompressor alone in a set. [default: 1]")
@click.option("--patience", type=AT_LEAST_ONE, help="atl: sets without progress before it stops. [default: 5]")
@click.option("--class-rate", type=SHARE, help="atl: rate of the classifier's turns, relative. [default: 1]")
@click.option(
    "--epochs", type=AT_LEAST_ONE, help="Other recipes: epochs of each phase. [default: 50; classifier: 20 to 200]"
)
@click.option("--turn", type=AT_LEAST_ONE, help="turns: mini-batches in a turn. [default: 1]")
@click.option("--tune", type=COUNT, help="atl, joint, turns: epochs of each half alone at the end. [default: 10]")
@click.option("--tune-class", type=COUNT, help="joint: more of these epochs for the classifier. [default: 0]")
@click.option("-f", "--force", is_flag=True, help="Replace OUTPUT if it is there.")
@click.pass_context
def train(ctx: click.Context, /, output: Path, run: Path | None, force: bool, **options: Any) -> None:
    """Train compressor, decompressor and classifier, by Alternating Transfer Learning unless another recipe is named,
    and write them as a model folder.

    The same command goes on where it was stopped; it stops by itself when a validation split stops improving. Meanwhile
    curves.png in the folder of checkpoints shows the losses, the PSNR and the accuracy so far. OUTPUT is then ready:
    atlc encode -m OUTPUT picture.png. With several --data (multi-domain) it holds a model folder for each.

    The recipe classifier is of another kind: from --records with --labels, without their pictures, it trains a new
    classifier of a model's records, and OUTPUT is the folder of that alone, for atlc models add."""
    if importlib.util.find_spec("torch") is None:
        raise AtlcError("training needs PyTorch: pip install 'atlcodec[train]'")
    if options["recipe"] == "classifier":
        train_head(ctx, _command(ctx), output, run, force, options)
        return
    for key in OWN:
        if options[key] is not None:
            raise click.UsageError(f"--{key} is for the recipe classifier")
    if not options["data"]:
        raise click.UsageError("Missing option '--data'.")
    from atlcodec import zoo
    from atlcodec.card import valid_name
    from atlcodec.sets.dataset import load
    from atlcodec.training import export
    from atlcodec.training.curves import Curves
    from atlcodec.training.loop import Settings, Trainer, split_validation
    from atlcodec.training.recipes import RECIPES as KNOWN

    recipe = KNOWN[options["recipe"]]
    settings, parameters = _parameters(ctx, Settings, recipe.parameters)
    if options["others"] and not recipe.alone(parameters):
        raise click.UsageError(
            "--others is for a classifier that learns alone at some time; here it never does (--tune, --tune-class)"
        )
    if output.exists() and not force:
        raise AtlcError(f"{output}: is there already; -f replaces it")
    if output.exists() and not (output / "card.json").is_file() and not any(output.glob("*/card.json")):
        raise AtlcError(f"{output}: is no model folder, and is not replaced by one")
    name = valid_name(options["name"] or output.resolve().name)
    valid_name(options["head"])
    run = run or output.with_name(output.name + ".run")

    sets = [load(where, log=log) for where in options["data"]]
    for one in sets:
        if sum(other.name == one.name for other in sets) > 1:
            raise click.UsageError(f"two data sets are named {one.name}")
    others = [load(where, log=log) for where in options["others"]]
    if options["limit"]:
        sets, others = ([one.limited(options["limit"]) for one in found] for found in (sets, others))
    more = load(options["unlabelled"], log=log) if options["unlabelled"] else None
    start = zoo.find(options["start"]) if options["start"] else None
    described = [one.describe() for one in (*sets, *([more] if more else []))]
    # Same command, same run: this is what a checkpoint must have been made with.
    card: dict[str, Any] = {
        "command": _command(ctx),
        "recipe": {
            **{key: options[key] for key in ("recipe", "limit", "unlabelled_limit")},
            **({"start": f"{start.name} {start.sha256}"} if start else {}),
            **({"others": [one.describe() for one in others]} if others else {}),
            **asdict(settings),
            **asdict(parameters),
        },
        "data": described,
        "licence": options["licence"],
    }
    curves = Curves(log)
    trainer = Trainer(
        settings,
        sets,
        run,
        unlabelled=more.train.images[: options["unlabelled_limit"]] if more else None,
        others=np.concatenate([split_validation(one.train, settings.validation)[0].images for one in others])
        if others
        else None,
        start=export.weights(start.file("compressor")) if start else None,
        recipe=hashlib.sha256(repr((card["recipe"], described)).encode()).hexdigest(),
        say=log,
        watch=curves,
    )
    for domain in trainer.domains:
        log(f"{domain.name}: {len(domain.labels)} labelled training images, {len(domain.held_out)} for validation")
    log(f"checkpoints, metrics and curves.png in {run}")
    try:
        recipe.run(trainer, parameters)
    finally:  # the end, an error, or Ctrl-C
        curves.finish()
    _export(trainer, sets, output, name, card, options["head"] if recipe.head else None)


def _parameters(ctx: click.Context, *classes: type[Any]) -> list[Any]:
    """The dataclasses filled with what was asked for; what none of them knows was asked of the wrong recipe."""
    from atlcodec.training.recipes import RECIPES as KNOWN

    asked = {
        key: value for key, value in ctx.params.items() if ctx.get_parameter_source(key) is not ParameterSource.DEFAULT
    }
    recipe = ctx.params["recipe"]
    others = {key for other in KNOWN.values() for key in other.parameters.__dataclass_fields__}
    for key in asked.keys() & others - KNOWN[recipe].parameters.__dataclass_fields__.keys():
        raise click.UsageError(f"--{key.replace('_', '-')} is no parameter of the recipe {recipe}")
    if recipe == "transfer" and not ctx.params["start"]:
        raise click.UsageError("transfer needs --start MODEL, whose compressor it keeps")
    if (recipe == "multi-domain") != (len(ctx.params["data"]) > 1):
        raise click.UsageError("several --data are for the recipe multi-domain, which needs two or more")
    return [one(**{key: value for key, value in asked.items() if key in one.__dataclass_fields__}) for one in classes]


def _export(
    trainer: Trainer, sets: list[Dataset], output: Path, name: str, card: dict[str, Any], head: str | None
) -> None:
    """Write OUTPUT, whole or not at all: one model folder, or one for each domain."""
    from atlcodec import evaluation, refine, zoo
    from atlcodec.card import update_card, write_model
    from atlcodec.codec import Codec
    from atlcodec.training import export

    part = output.with_name(f".{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    # The model that this one replaces may keep its id.
    taken = {model.id for model in zoo.models().values() if not model.folder.resolve().is_relative_to(output.resolve())}
    lines = []
    for number, data in enumerate(sets):
        own = name if len(sets) == 1 else f"{name}-{data.name}"
        folder = part if len(sets) == 1 else part / own
        files = export.files(trainer.nets, taken, number)
        write_model(
            folder, files, {"name": own, **card}, {"name": head, "labels": list(data.classes)} if head else None
        )
        codec = Codec.load(folder)
        taken.add(codec.id)
        split = data.test or trainer.domains[number].held_out
        figures = evaluation.measure(codec, split.images, split.labels, data.classes)
        searched = evaluation.measure(codec, split.images, split.labels, data.classes, refine.DEFAULT_EFFORT).summary()
        source = f"{data.name}, {'test' if data.test else 'validation'}"
        update_card(
            folder,
            {
                "figures": {"measured on": source, **figures.summary()},
                "searched": {
                    "effort": refine.DEFAULT_EFFORT,
                    **{key: searched[key] for key in evaluation.MAIN_FIGURES if key in searched},
                },
            },
        )
        lines.append(f"{output / own if len(sets) > 1 else output}: id {codec.id:08x}, {figures.line()}")
    if output.exists():
        shutil.rmtree(output)
    part.rename(output)
    for line in lines:
        log(line)


def _command(ctx: click.Context) -> str:
    """This command as the card gives it: what was asked for, with folders by name, without their paths."""
    words = ["atlc train"]
    for parameter in ctx.command.params:
        asked = ctx.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
        if not asked or parameter.name in ("force", "run"):
            continue
        value = ctx.params[str(parameter.name)]
        for one in value if isinstance(value, tuple) else [value]:
            if parameter.name in ("data", "unlabelled", "others", "output", "start", "records", "labels", "model"):
                one = Path(one).resolve().name
            words += [parameter.opts[-1], *([] if one is True else [shlex.quote(str(one))])]
    return " ".join(words)
