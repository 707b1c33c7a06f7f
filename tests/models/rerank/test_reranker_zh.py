"""The reranker that comes with the package: whole, small, and of use where no hub is in reach."""

from __future__ import annotations

import re
import socket

import numpy as np

from bothways.core.settings import Settings
from bothways.learning.reranker.export import MAX_BYTES
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.models.rerank.shipped import NAME, shipped_folder
from bothways.search.rank.rerank import Reranker

WAGES = "工资应当以货币形式按月支付给劳动者本人。不得克扣或者无故拖欠劳动者的工资。"
MINIMUM = "国家实行最低工资保障制度。最低工资的具体标准由省、自治区、直辖市人民政府规定，报国务院备案。"
CRIME = (
    "以转移财产、逃匿等方法逃避支付劳动者的劳动报酬或者有能力支付而不支付劳动者的劳动报酬，数额较大，经政府有关部门责令支付"
    "仍不支付的，处三年以下有期徒刑或者拘役，并处或者单处罚金。"
)
TOTAL = "工资总额由国家统计局规定的各项组成。"
NEAR = [WAGES, MINIMUM, CRIME, TOTAL]
"""What a first stage brings of such questions. It learnt to tell these apart; far passages never reach it."""


def test_it_is_small_and_its_card_tells_what_it_is():
    folder = shipped_folder()
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MAX_BYTES
    card = (folder / "README.md").read_text("utf-8")
    for told in ("base_model: BAAI/bge-small-zh-v1.5", "bothways learn reranker", "STARD: MIT", "seed 42", "SHA-256"):
        assert told in card
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", card), "a path of one machine"


def test_it_is_put_together_without_a_network_and_tells_near_passages_apart(packaged_cache, monkeypatch):
    def refused(*_arguments, **_more):
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    model = load_cross_encoder(
        Settings(_env_file=None, cache_dir=packaged_cache, reranker_model=NAME, reranker_precision="fp32")
    )
    assert Reranker(model).alpha == 0.6, "what was measured on questions that it was not trained on"
    # In fp32: what int8 rounds away depends on the CPU.
    for query, answer in (("老板拖欠工资不给，该怎么办？", WAGES), ("老板恶意欠薪跑路了，要坐牢吗", CRIME)):
        assert NEAR[np.argmax(model.score(query, NEAR))] == answer
