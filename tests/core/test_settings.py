from __future__ import annotations

import pytest

from bothways.core.errors import SettingsError
from bothways.core.settings import FIXED, SETTABLE, Settings, ignored_settings, load_settings


def test_environment(monkeypatch):
    monkeypatch.setenv("BOTHWAYS_LEG_K", "50")
    monkeypatch.setenv("BOTHWAYS_API_KEYS", "one, two,")
    loaded = load_settings()
    assert loaded.leg_k == 50
    assert [key.get_secret_value() for key in loaded.api_keys] == ["one", "two"]


def test_what_is_fixed_is_not_read_from_the_environment_and_says_so(monkeypatch):
    monkeypatch.setenv("BOTHWAYS_SEARCH_QUEUE", "5")
    monkeypatch.setenv("BOTHWAYS_NUM_CANDIDATES", "none")
    assert (load_settings().search_queue, load_settings().search.num_candidates) == (64, 200)
    assert ignored_settings() == [
        "BOTHWAYS_SEARCH_QUEUE is no longer a setting; it is fixed at 64",
        "BOTHWAYS_NUM_CANDIDATES is no longer a setting; it is fixed at 200",
    ]


def test_what_is_fixed_can_be_changed_together(monkeypatch):
    monkeypatch.setenv("BOTHWAYS_FIXED", '{"search_queue": 5, "oversample": 0.5}')
    with pytest.raises(SettingsError, match=r"OVERSAMPLE: .*0 \(none\), or 1 and more"):
        load_settings()
    monkeypatch.setenv("BOTHWAYS_FIXED", '{"search_queue": 5, "rank_constant": 20}')
    assert (load_settings().search_queue, load_settings().search.rank_constant) == (5, 20)
    assert load_settings(search_queue=6).search_queue == 6
    for wrong in ("{", "[]", '{"leg_k": 5}'):
        monkeypatch.setenv("BOTHWAYS_FIXED", wrong)
        with pytest.raises(SettingsError, match="BOTHWAYS_FIXED"):
            load_settings()


def test_every_setting_is_described():
    assert all(field.description for field in SETTABLE.values())
    assert not SETTABLE.keys() & FIXED.keys()


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
