"""The recipe `classifier` of atlc train: a classifier of one's own from records alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from atlcodec.cli.common import log
from atlcodec.errors import AtlcError, BadData

OWN = ("records", "labels", "model")  # what no other recipe takes
SHARED = ("recipe", "output", "name", "run", "licence", "force")


def train_head(
    ctx: click.Context, command: str, output: Path, run: Path | None, force: bool, options: dict[str, Any]
) -> None:
    """Write OUTPUT, the folder of a head; `command` is for its card."""
    from atlcodec import files
    from atlcodec.card import is_head, valid_name
    from atlcodec.reader import codec_of
    from atlcodec.sets import manifest
    from atlcodec.training import heads
    from atlcodec.training.modules import architecture
    from atlcodec.training.networks import CLASSIFIERS

    asked = {
        key: value for key, value in ctx.params.items() if ctx.get_parameter_source(key) is not ParameterSource.DEFAULT
    }
    for key in asked.keys() - {*OWN, *SHARED, *heads.Settings.__dataclass_fields__}:
        raise click.UsageError(f"--{key.replace('_', '-')} is no parameter of the recipe classifier")
    if options["records"] is None:
        raise click.UsageError("the recipe classifier needs --records FILE")
    if output.exists() and not force:
        raise AtlcError(f"{output}: is there already; -f replaces it")
    if output.exists() and not ((output / "card.json").is_file() and is_head(output)):
        raise AtlcError(f"{output}: is not the folder of a classifier, and is not replaced by one")
    name = valid_name(options["name"] or output.resolve().name)
    run = run or output.with_name(output.name + ".run")

    records: Path = options["records"]
    labels: Path = options["labels"] or manifest.beside(records)
    if not labels.is_file():
        raise BadData(f"{labels}: is not there; name the labels of {records} with --labels")
    model = codec_of(files.open(records).array, str(records), options["model"]).model
    given = {key: value for key, value in asked.items() if key in heads.Settings.__dataclass_fields__}
    if (own := architecture(model.card.recipe)) in CLASSIFIERS:  # that of the codec, if it is known
        given = {"architecture": own, **given}
    settings = heads.Settings(**given)
    examples = heads.load(records, labels, model)
    log(
        f"{len(examples)} labelled records of {model.name}, {len(examples.classes)} labels; checkpoints and metrics "
        f"in {run}"
    )
    network, epochs = heads.train(examples, settings, run, log)
    card = {
        "name": name,
        "command": command,
        "recipe": {"recipe": "classifier", **asdict(settings), "epochs": len(epochs)},
        "data": [examples.describe],
        "licence": options["licence"],
    }
    accuracy = heads.write(output, network, examples, settings, model, card)
    log(
        f"{output}: {accuracy:.2%} right on its validation records; to use it with {model.name}: atlc models add "
        f"{output}"
    )
