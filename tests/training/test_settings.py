"""The settings of training, as the commands show them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from atlcodec.training.settings import RECIPES, HeadSettings, Settings
from kit import Cli


@pytest.mark.parametrize(
    ("command", "classes"),
    [("train", [Settings, *{recipe.parameters for recipe in RECIPES.values()}]), ("train-head", [HeadSettings])],
)
def test_the_help_shows_every_default(command: str, classes: list[type[Any]], cli: Cli) -> None:
    shown = " ".join(cli(command, "--help").out.decode().split()).replace("- ", "-")
    options = {part.split()[0]: part for part in shown.split(" --")}
    for cls in classes:
        for field in fields(cls):
            assert field.metadata["help"].replace("- ", "-") in options[field.name.replace("_", "-")], field.name
            if field.default is not False:
                assert f"[default: {field.default}" in options[field.name.replace("_", "-")], field.name
