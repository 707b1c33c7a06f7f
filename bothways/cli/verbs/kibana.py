"""`bothways kibana`: the dashboard over searches, clicks, collections and jobs."""

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


def kibana(
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", help="write the objects to this file (-: stdout), for Kibana's own import", allow_dash=True
        ),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Kibana's address; unset: BOTHWAYS_KIBANA_URL")] = None,
    space: Annotated[str, typer.Option("--space", help="id of a Kibana space; unset: the default one")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite/--no-overwrite", help="replace what an earlier import brought")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Bring the dashboard into Kibana, or write it to a file.

    The dashboard shows searches, clicks, collections and jobs. Run again, the command brings it up to date.
    """
    objects = saved_objects()
    if out_file is not None:
        _write(to_ndjson(objects), len(objects), out_file)
        return
    there = _kibana(settings(), url)
    result = there.import_objects(to_ndjson(objects), overwrite=overwrite, space=space)
    if as_json:
        print_json(asdict(result))
    for refused in result.refused:
        err.print(f"{refused.type}/{refused.id}: {refused.reason}", markup=False)
    if result.refused:
        fail(f"Kibana refused {len(result.refused)} of {result.taken + len(result.refused)} objects.", 1)
    if not as_json:
        out.print(f"{result.taken} objects are in Kibana at {public_url(there.url)}: see the dashboard “Bothways”.")


def _write(ndjson: str, objects: int, path: Path) -> None:
    if str(path) == "-":
        sys.stdout.write(ndjson)
        return
    path.write_text(ndjson, encoding="utf-8")
    err.print(f"{objects} saved objects are in {path}.", markup=False)


def _kibana(chosen: Settings, url: str | None) -> Kibana:
    """Return how Kibana is entered: by its own key, else as Elasticsearch is, whose users it takes."""
    key = chosen.kibana_api_key or chosen.es_api_key
    user, password = chosen.es_user, _plain(chosen.es_password)
    url = url or chosen.kibana_url
    if key is None and user is None and (login := _login_of_our_node(chosen, url)):
        user, password = login.user, login.password
    return Kibana(url=url, api_key=_plain(key), user=user, password=password, ca_certs=chosen.es_ca_certs)


def _login_of_our_node(chosen: Settings, url: str) -> Login | None:
    """Return the login of the node of our own where both it and Kibana are on this machine: it is shown to no other."""
    try:
        is_here = urlsplit(url).hostname in LOOPBACK
    except ValueError:  # no address: the import says so
        return None
    es_url = resolve_url(chosen)
    return find_login(chosen, es_url) if es_url and is_here else None


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
