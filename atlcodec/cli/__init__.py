"""atlc: the command line. Turns exceptions into messages and exit codes; the work is the library's."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys

import click

COMMANDS = {
    "encode": "Pictures to records of 200 bytes.",
    "decode": "Records to pictures.",
    "classify": "The labels of records, without decoding them.",
    "similar": "The records of a set that are nearest to a record.",
    "info": "What is in a file of records.",
    "models": "The installed models; add one.",
    "train": "Train a model of one's own.",
    "evaluate": "PSNR and accuracy of a model on a data set.",
}


class _Commands(click.Group):
    """A command's module is imported when it is called: `classify` does not wait for what `train` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"atlcodec.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atlcodec")
def atlc() -> None:
    """28 x 28 grey pictures in records of 200 bytes, which can be classified without being decoded."""


def main() -> None:
    """The command, with every expected failure as one line on stderr and an exit code: 1 for bad input, 2 for bad
    usage."""
    from atlcodec.cli.common import say
    from atlcodec.errors import AtlcError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a label or a name that the terminal's encoding lacks
    try:
        atlc.main(prog_name="atlc", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        for line in shown.getvalue().rstrip("\n").split("\n"):
            say(line)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("atlc: interrupted")
        sys.exit(130)
    except AtlcError as error:
        say(f"atlc: {error}")
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has had enough
        _give_up_stdout()
        sys.exit(1)
    except OSError as error:
        say(f"atlc: {error.filename or 'input or output'}: {error.strerror or error}")
        _give_up_stdout()
        sys.exit(1)
    except MemoryError:
        say("atlc: not enough memory")
        sys.exit(1)


def _give_up_stdout() -> None:
    """What could not be written is still in Python's buffer; it would try again at the end, and complain again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
