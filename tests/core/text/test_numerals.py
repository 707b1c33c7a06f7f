from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.core.text.numerals import NUMERALS, chinese_number, parse_number, parse_roman


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("590", 590), ("007", 7), ("0", 0), ("五百九十", 590), ("五九〇", 590), ("五九零", 590), ("十", 10),
        ("５９０", 590), ("十五", 15), ("二十", 20), ("一百零八", 108), ("一百〇八", 108), ("一百一十", 110),
        ("一百二十", 120), ("一千二百六十", 1260), ("一千零五", 1005), ("一千零五十", 1050), ("两百", 200),
        ("廿三", 23), ("卅", 30), ("贰拾伍", 25), ("壹仟零壹", 1001), ("1千2百", 1200), ("3百20", 320),
        ("一万", 10000), ("十二万三千", 123000), ("一万零五", 10005), ("二〇二〇", 2020), ("零", 0),
    ],
)  # fmt: skip
def test_numbers(text, number):
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "一百千",
        "百百",
        "十十",
        "五十百",
        "二三百",
        "万",
        "五x",
        "九" * 17,
        "1" * 9,
        "一百二百",
        "10百",
        "²",
        "-1",
        "1.5",
    ],
)
def test_what_is_none(text):
    assert parse_number(text) is None


def test_numbers_as_statutes_write_them():
    assert [chinese_number(n) for n in (1, 10, 12, 35, 103)] == ["一", "十", "十二", "三十五", "一百零三"]
    assert chinese_number(1260) == "一千二百六十"
    assert [chinese_number(n) for n in (0, 10_000)] == ["0", "10000"]


@given(st.integers(1, 9999))
def test_what_laws_write_is_read_back(number):
    assert parse_number(chinese_number(number)) == number


@given(st.text(alphabet=NUMERALS + "0123456789", max_size=20))
def test_no_text_breaks_it(text):
    number = parse_number(text)
    assert number is None or 0 <= number < 10**8


@pytest.mark.parametrize(
    ("text", "number"),
    [("I", 1), ("iv", 4), ("IX", 9), ("xiv", 14), ("XL", 40), ("XCIX", 99), ("CCCXC", 390), ("", None), ("iiii", None),
     ("vx", None), ("mix", None), ("civil", None), ("a", None)],
)  # fmt: skip
def test_roman(text, number):
    assert parse_roman(text) == number
