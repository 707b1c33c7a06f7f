"""`bothways kibana export | import`: the dashboard over searches, clicks, collections and jobs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from pydantic import SecretStr

from bothways.cli.options import JsonOption
from bothways.cli.output import err, fail, out, print_json
from bothways.core.settings import Settings, settings
from bothways.core.text.address import public_url
from bothways.kibana.dashboard import saved_objects
from bothways.kibana.importing import Kibana
from bothways.kibana.saved_objects import to_ndjson
from bothways.node import Login, find_login, resolve_url
from bothways.node.local import LOOPBACK

app = typer.Typer(name="kibana", help="Data views and a dashboard for Kibana.", no_args_is_help=True)


@app.command("export")
def export(
    out_file: Annotated[Path, typer.Option("--out", help="file to write; - for stdout", allow_dash=True)] = Path("-"),
) -> None:
    """Write the saved objects as NDJSON, the form that Kibana's own import takes."""
    ndjson = to_ndjson(saved_objects())
    if str(out_file) == "-":
        sys.stdout.write(ndjson)
        return
    out_file.write_text(ndjson, encoding="utf-8")
    err.print(f"{len(saved_objects())} saved objects are in {out_file}.", markup=False)


@app.command("import")
def import_objects(
    url: Annotated[str | None, typer.Option("--url", help="Kibana's address; unset: BOTHWAYS_KIBANA_URL")] = None,
    space: Annotated[str, typer.Option("--space", help="the id of a space; unset: the default one")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite/--no-overwrite", help="write over what an earlier import brought")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Bring the saved objects into a Kibana; run again, it brings them up to date."""
    kibana = _kibana(settings(), url)
    result = kibana.import_objects(to_ndjson(saved_objects()), overwrite=overwrite, space=space)
    if as_json:
        print_json(asdict(result))
    for one in result.refused:
        err.print(f"{one.type}/{one.id}: {one.reason}", markup=False)
    if result.refused:
        fail(f"Kibana refused {len(result.refused)} of {result.taken + len(result.refused)} objects.", 1)
    if not as_json:
        out.print(f"{result.taken} objects are in Kibana at {public_url(kibana.url)}: see the dashboard “Bothways”.")


def _kibana(chosen: Settings, url: str | None) -> Kibana:
    """Say how Kibana is entered: by its own key, else as Elasticsearch is, whose users it takes."""
    key = chosen.kibana_api_key or chosen.es_api_key
    user, password = chosen.es_user, _plain(chosen.es_password)
    url = url or chosen.kibana_url
    if key is None and user is None and (login := _login_of_our_node(chosen, url)):
        user, password = login.user, login.password
    return Kibana(url=url, api_key=_plain(key), user=user, password=password, ca_certs=chosen.es_ca_certs)


def _login_of_our_node(chosen: Settings, url: str) -> Login | None:
    """Give the login of the node of our own where both it and Kibana are on this machine: it is shown to no other."""
    try:
        is_here = urlsplit(url).hostname in LOOPBACK
    except ValueError:  # no address: the import says so
        return None
    es_url = resolve_url(chosen)
    return find_login(chosen, es_url) if es_url and is_here else None


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
