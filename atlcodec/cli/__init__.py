"""atlc: the command line. Turns exceptions into messages and exit codes; the work is the library's."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys

import click

COMMANDS = {
    "encode": "Encode images to records of 200 bytes.",
    "decode": "Decode records to images.",
    "classify": "Print the labels of records, without decoding them.",
    "similar": "Find the records of a set that are nearest to a record.",
    "info": "Show what a file of records contains.",
    "models": "List the installed models; add one.",
    "train": "Train your own model.",
    "train-head": "Train your own classifier for a model's records.",
    "evaluate": "Measure PSNR and accuracy of a model on a data set.",
}


class _Commands(click.Group):
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atlcodec")
def atlc() -> None:
    """Store small images in records of 200 bytes, and classify the records without decoding them."""


def main() -> None:
    """Run the command. An expected failure is one line on stderr and an exit code: 1 for bad input, 2 for bad usage,
    130 for Ctrl-C, which may also come while a command is imported."""
    try:
        _run()
    except (click.Abort, KeyboardInterrupt):
        click.echo("atlc: interrupted", err=True)
        sys.exit(130)


def _run() -> None:
    from atlcodec.cli.common import log
    from atlcodec.errors import AtlcError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for labels and names that the terminal cannot encode
    try:
        atlc.main(prog_name="atlc", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        for line in shown.getvalue().rstrip("\n").split("\n"):
            log(line)
        sys.exit(error.exit_code)
    except AtlcError as error:
        log(f"atlc: {error}")
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output closed it, as `head` does
        _give_up_stdout()
        sys.exit(1)
    except OSError as error:
        log(f"atlc: {error.filename or 'input or output'}: {error.strerror or error}")
        _give_up_stdout()
        sys.exit(1)
    except MemoryError:
        log("atlc: not enough memory")
        sys.exit(1)


def _give_up_stdout() -> None:
    """Python would write the rest of its buffer at the end, and fail again: let it go nowhere."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
