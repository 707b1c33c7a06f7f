import re

from bothways.core.text.han import HAN, count_han, has_han


def test_characters_of_all_planes_are_chinese_and_punctuation_is_not():
    assert count_han("差旅费㐀𠀀豈，。ＡあA1") == 6
    assert has_han("a 费")
    assert not any(map(has_han, ("a、b", "かな한글", "", "😀")))
    assert re.findall(f"[^{HAN}]+", "差a1旅") == ["a1"]
