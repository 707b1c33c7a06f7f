from __future__ import annotations

import pytest

from bothways.core.analysis import Segmenter, load_segmenter, read_stopwords, segment_synonyms
from bothways.core.errors import SettingsError
from bothways.core.settings import load_settings


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    return Segmenter(cache_dir=tmp_path_factory.mktemp("jieba"))


def test_cuts_lowers_and_drops_punctuation(segmenter):
    assert segmenter.words("什么是 Java 17？！") == ["什么", "是", "java", "17"]


def test_full_width_is_half_width(segmenter):
    assert segmenter.words("ＡＢＣ１２３") == segmenter.words("ABC123")


@pytest.mark.parametrize("text", ["", "   ", "？！…", "😀😀"])
def test_nothing_to_cut(segmenter, text):
    assert segmenter.words(text) == []


def test_user_dictionary(tmp_path, segmenter):
    path = tmp_path / "words.txt"
    path.write_text("見死不救罪 10\n云杉净水器 1000\n", encoding="utf-8")
    own = Segmenter(user_dict=path, cache_dir=tmp_path)
    assert "云杉净水器" in own.words("我家的云杉净水器坏了")
    assert "云杉净水器" not in segmenter.words("我家的云杉净水器坏了")
    assert own.name != segmenter.name


def test_missing_user_dictionary(tmp_path):
    with pytest.raises(SettingsError, match="BOTHWAYS_USER_DICT_PATH"):
        Segmenter(user_dict=tmp_path / "none.txt", cache_dir=tmp_path).warm_up()


def test_stop_words_are_off_by_default_and_change_the_name(tmp_path):
    path = tmp_path / "stop.txt"
    path.write_text("# comment\n的\nThe # article\n", encoding="utf-8")
    stop = Segmenter(stopwords=read_stopwords(path), cache_dir=tmp_path)
    assert stop.words("the 合同 的 效力") == ["合同", "效力"]
    assert Segmenter().name == "jieba-cut"
    assert stop.name.startswith("jieba-cut-")
    assert stop.name != Segmenter(stopwords=frozenset({"的"})).name


def test_search_mode_cuts_finer(tmp_path):
    fine = Segmenter(mode="cut_for_search", cache_dir=tmp_path)
    assert len(fine.words("中华人民共和国")) > 1
    assert fine.name == "jieba-cut-for-search"


def test_one_segmenter_a_process(tmp_path):
    chosen = load_settings(cache_dir=tmp_path)
    assert load_segmenter(chosen) is load_segmenter(chosen)


def test_synonyms_are_cut_like_the_index(segmenter):
    rules = "# 注释, 不动\n\n离职, 解除劳动合同\nＣＰＵ => 处理器\n"
    assert segment_synonyms(rules, segmenter) == "# 注释, 不动\n\n离职, 解除 劳动合同\ncpu => 处理器\n"
