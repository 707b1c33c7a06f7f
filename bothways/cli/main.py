"""`bothways`: one module a verb; here they come together, and every error becomes one line and an exit code.

0: done. 1: the work failed. 2: bad usage.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bothways.cli.output import fail, printable
from bothways.cli.verbs import (
    ask,
    calibrate,
    collections,
    documents,
    es,
    evaluate,
    feedback,
    index,
    jobs,
    judgements,
    kibana,
    learn,
    learn_distill,
    learn_distill_encoder,
    learn_expansion,
    learn_reranker,
    learn_run,
    mcp,
    search,
    serve,
    synonyms,
    tune,
)
from bothways.core.errors import BothwaysError, UsageError
from bothways.core.logs import configure_logs
from bothways.core.machine.private_files import private_umask
from bothways.core.settings import settings


class Verbs(TyperGroup):
    """Runs a verb; Ctrl-C ends it with one line and exit code 1 instead of a bare "Aborted"."""

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 – typer keeps the type private
        """Run what was typed."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if hasattr(error, "format_message"):  # of bad usage: names of files that `*` stands for may hold anything
                error.message = printable(str(getattr(error, "message", "")))  # type: ignore[attr-defined]
            raise
        except KeyboardInterrupt:
            fail("Interrupted. Nothing is lost: run the same command again to go on.", 1)


app = typer.Typer(
    name="bothways",
    cls=Verbs,
    help="Hybrid search on your own Elasticsearch that rewrites from both sides.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("ask")(ask.ask)
app.command("serve")(serve.serve)
app.command("mcp")(mcp.mcp)
app.add_typer(collections.app, name="collections")
app.command("documents")(documents.documents)
collections.delete_app.command("document")(documents.delete)
app.add_typer(collections.delete_app, name="delete")
app.add_typer(jobs.app, name="jobs")
app.command("feedback")(feedback.feedback)
evaluate.app.command("tune")(tune.tune_fusion)
evaluate.app.command("vectors")(tune.study)
evaluate.app.command("calibrate")(calibrate.calibrate)
app.add_typer(evaluate.app, name="eval")
learn.app.command("judgements")(judgements.judgements)
learn.app.command("reranker")(learn_reranker.reranker)
learn.app.command("expansion")(learn_expansion.expansion)
learn.app.command("run")(learn_run.run)
learn.app.command("questions")(learn_run.questions)
learn.app.command("rollback")(learn_run.rollback)
learn.app.command("ship")(learn_reranker.ship_reranker)
learn.app.command("distill-reranker")(learn_distill.distill)
learn.app.command("distill-encoder")(learn_distill_encoder.distill)
app.add_typer(learn.app, name="learn")
app.add_typer(synonyms.app, name="synonyms")
app.add_typer(kibana.app, name="kibana")
app.add_typer(es.app, name="es")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks and debug logs")] = False,
) -> None:
    """Hybrid search on your own Elasticsearch that rewrites from both sides."""
    configure_logs("debug" if debug else settings().log_level)


def main() -> None:
    """Run the command line; the console script's entry."""
    try:
        with private_umask():  # what is written holds documents and questions: it is the user's alone
            app()
    except BrokenPipeError:
        # The reader of our output left, as `head` does; what remains is not wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (BothwaysError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        fail(str(error), 2 if isinstance(error, UsageError) else 1)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        fail(f"Something failed that should not have: {type(error).__name__}: {error} (--debug shows where).", 1)
