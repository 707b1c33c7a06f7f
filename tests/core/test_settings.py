from __future__ import annotations

import pytest

from bothways.core.errors import SettingsError
from bothways.core.settings import Settings, load_settings


def test_environment(monkeypatch):
    monkeypatch.setenv("BOTHWAYS_LEG_K", "50")
    monkeypatch.setenv("BOTHWAYS_API_KEYS", "one, two,")
    loaded = load_settings()
    assert loaded.leg_k == 50
    assert [key.get_secret_value() for key in loaded.api_keys] == ["one", "two"]


def test_sections_of_cases_are_named_by_commas(monkeypatch):
    monkeypatch.setenv("BOTHWAYS_CASE_SECTIONS", "裁判要旨, 基本案情")
    assert load_settings().case_sections == ("裁判要旨", "基本案情")
    monkeypatch.setenv("BOTHWAYS_CASE_SECTIONS", "案情")
    with pytest.raises(SettingsError, match=r"BOTHWAYS_CASE_SECTIONS.*基本案情"):
        load_settings()


def test_a_wrong_value_names_the_variable(monkeypatch):
    monkeypatch.setenv("BOTHWAYS_LEG_K", "many")
    with pytest.raises(SettingsError, match="BOTHWAYS_LEG_K"):
        load_settings()


def test_secrets_are_not_shown():
    shown = repr(load_settings(es_api_key="hush", llm_api_key="hush", es_password="hush", api_keys="hush"))
    assert "hush" not in shown


def test_the_api_listens_on_loopback_by_default():
    assert Settings.model_fields["host"].default == "127.0.0.1"


@pytest.mark.parametrize("value", [0, 1, 2.5])
def test_rescoring_is_off_or_takes_all_hits_at_least(value):
    assert load_settings(oversample=value).oversample == value


def test_rescoring_of_fewer_than_the_hits_is_refused():
    with pytest.raises(SettingsError, match=r"BOTHWAYS_OVERSAMPLE: .*0 \(none\), or 1 and more"):
        load_settings(oversample=0.5)
