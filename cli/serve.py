"""`bothways serve`: the REST API."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from core.settings import load_settings, settings


def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="its port")] = None,
    retriever: Annotated[str | None, typer.Option(help="embedding model, instead of the one set")] = None,
    rewrite_model: Annotated[str | None, typer.Option(help="LLM model, instead of the one set")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, max=1000, help="hits that each leg brings")] = None,
) -> None:
    """Serve the REST API until Ctrl-C."""
    chosen = load_settings(
        **settings().model_dump(exclude_unset=True)
        | {
            key: value
            for key, value in {
                "host": host,
                "port": port,
                "embedding_model": retriever,
                "llm_model": rewrite_model,
                "leg_k": top_k,
            }.items()
            if value is not None
        }
    )
    uvicorn.run(create_app(chosen), host=chosen.host, port=chosen.port, log_level=chosen.log_level, access_log=False)
