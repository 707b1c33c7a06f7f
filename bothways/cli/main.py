"""`bothways`: one module a verb; here they come together, and every error becomes one line and an exit code.

0: done. 1: the work failed. 2: bad usage.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from bothways import __version__
from bothways.cli.commands import COMMANDS
from bothways.cli.lazy import Verbs
from bothways.cli.output import fail, out
from bothways.core.errors import BothwaysError, UsageError
from bothways.core.machine.private_files import private_umask


class Root(Verbs):
    """Runs a verb; Ctrl-C ends it with one line and exit code 1 instead of a bare "Aborted"."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(verbs=COMMANDS, **attributes)

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 – typer keeps the type private
        """Run what was typed; bad usage is one line, as every other error is."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not hasattr(error, "format_message") or "NoArgsIsHelp" in type(error).__name__:
                raise
            what = " ".join(str(error.format_message()).replace("Value error, ", "").split())
            path = getattr(getattr(error, "ctx", None), "command_path", "bothways")
            fail(f"{what} See `{path} --help`.", getattr(error, "exit_code", 2))
        except KeyboardInterrupt:
            fail("Interrupted. Nothing is lost: run the same command again to go on.", 1)


app = typer.Typer(
    name="bothways",
    cls=Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"bothways {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks and debug logs")] = False,
    version: Annotated[  # noqa: ARG001 – its callback prints it
        bool, typer.Option("--version", help="show the version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hybrid search on your own Elasticsearch that rewrites from both sides."""
    from structlog import get_logger

    from bothways.core.machine.logs import configure_logs
    from bothways.core.settings import ignored_settings, settings

    configure_logs("debug" if debug else settings().log_level)
    for line in ignored_settings():
        get_logger().warning(line)


def main() -> None:
    """Run the command line; the console script's entry."""
    try:
        with private_umask():  # what is written holds documents and questions: it is the user's alone
            app(prog_name="bothways")
    except BrokenPipeError:
        # The reader of our output left, as `head` does; what remains is not wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (BothwaysError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        fail(str(error), 2 if isinstance(error, UsageError) else 1)
    except ModuleNotFoundError:
        raise  # bothways/__main__.py says what to install
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        fail(f"Something failed that should not have: {type(error).__name__}: {error} (--debug shows where).", 1)
