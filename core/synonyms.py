"""The synonyms file: where it is, and its rules as people wrote them."""

from __future__ import annotations

from importlib.resources import files

from core.errors import SettingsError
from core.settings import Settings


def read_synonyms(settings: Settings) -> str:
    """Give the rules of `BOTHWAYS_SYNONYMS_PATH`, or those that come with the package."""
    path = settings.synonyms_path
    if path is None:
        return files("es_mappings").joinpath("synonyms.txt").read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The synonyms {path} cannot be read ({error}); check BOTHWAYS_SYNONYMS_PATH.") from error
