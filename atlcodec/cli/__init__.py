"""atlc: the command line. Turns exceptions into messages and exit codes; the work is the library's."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # what is imported before `main` runs is not protected from Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from atlcodec.cli.commands import COMMANDS as COMMANDS
    from atlcodec.cli.commands import atlc as atlc
else:

    def __getattr__(name: str) -> Any:
        """The commands need click, whose import Ctrl-C may stop, too."""
        if name in ("atlc", "COMMANDS"):
            from atlcodec.cli import commands

            return getattr(commands, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command. An expected failure is one line on stderr and an exit code: 1 for bad input, 2 for bad usage,
    130 for Ctrl-C, which may also come while a command is imported."""
    try:
        _run()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("atlc: interrupted\n")
        sys.exit(130)


def _run() -> None:
    import io

    import click

    from atlcodec.cli.commands import atlc
    from atlcodec.cli.common import log
    from atlcodec.errors import AtlcError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for labels and names that the terminal cannot encode
    try:
        atlc.main(prog_name="atlc", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
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
    import contextlib
    import os

    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
