"""The commands of `atlc`, and what `atlc --help` says of them."""

from __future__ import annotations

import importlib

import click

from atlcodec.cli.help import Group

COMMANDS = {
    "encode": "Encode images to records of 200 bytes.",
    "decode": "Decode records to images.",
    "classify": "Print the labels of records, without decoding them.",
    "similar": "Find the records of a set that are nearest to a record.",
    "show": "Look at images and labels: in the terminal, as a sheet, as a page.",
    "info": "Show what a file of records contains.",
    "models": "List the installed models; add, check or remove one.",
    "train": "Train your own model.",
    "train-head": "Train your own classifier for a model's records.",
    "evaluate": "Measure PSNR and accuracy of a model on a data set.",
}


FIRST = ("encode", "decode", "classify")
VARIABLES = {
    "ATLC_MODELS": "Folders of models, divided by : (; on Windows).",
    "ATLC_DATA": "A folder of data sets, which --data and --outliers look in by name.",
    "ATLC_MIRROR": "An address that official data sets are downloaded from.",
    "ATLC_THREADS": "How many threads to use at most. [default: one for each core]",
    "ORT_DISABLE_TELEMETRY": "Set to 1 by atlc, so that ONNX Runtime sends nothing; your own value stays.",
}


class _Commands(Group):
    """A command's module is imported when it is called: `classify` does not wait for what `train` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"atlcodec.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The three verbs come first."""
        for title, names in (
            ("Commands", FIRST),
            ("More commands", [name for name in COMMANDS if name not in FIRST]),
        ):
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name]) for name in names])
        super(Group, self).format_options(ctx, formatter)
        with formatter.section("Environment variables"):
            formatter.write_dl(list(VARIABLES.items()))
        with formatter.section("Completion in the shell"):
            formatter.write_text('bash: eval "$(_ATLC_COMPLETE=bash_source atlc)"; also zsh_source, fish_source')


@click.group(
    cls=_Commands,
    examples=("atlc encode cat.png", "atlc classify cat.atlc"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="atlcodec")
def atlc() -> None:
    """Store small images in records of 200 bytes, and classify the records without decoding them.

    'atlc COMMAND --help' says more. The guide: docs/guide.md."""
