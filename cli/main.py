"""`bothways`: one module a verb; here they come together, and every error becomes one line and an exit code.

0: done. 1: the work failed. 2: bad usage.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cli import collections, es, evaluate, index, search, serve
from cli.output import fail
from core.errors import BothwaysError, UsageError
from core.logs import configure_logs
from core.settings import settings

app = typer.Typer(
    name="bothways",
    help="Hybrid search on your own Elasticsearch that rewrites from both sides.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("serve")(serve.serve)
app.command("eval")(evaluate.evaluate)
app.command("collections")(collections.collections)
app.add_typer(collections.delete_app, name="delete")
app.add_typer(es.app, name="es")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks and debug logs")] = False,
) -> None:
    """Hybrid search on your own Elasticsearch that rewrites from both sides."""
    if debug:
        os.environ["BOTHWAYS_DEBUG"] = "1"
    configure_logs("debug" if debug else settings().log_level)


def main() -> None:
    """Run the command line; the console script's entry."""
    try:
        app(standalone_mode=True)
    except UsageError as error:
        _say(error, 2)
    except BothwaysError as error:
        _say(error, 1)
    except KeyboardInterrupt:
        fail("Interrupted. Nothing is lost: run the same command again to go on.", 1)
    except BrokenPipeError:
        # The reader of our output left, as `head` does; what remains is not wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _say(error, 1)


def _say(error: Exception, code: int) -> None:
    if os.environ.get("BOTHWAYS_DEBUG"):
        raise error
    fail(str(error), code)
