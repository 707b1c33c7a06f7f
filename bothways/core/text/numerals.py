"""Numbers as people write them: 590, ５９０, 五百九十, 五九〇, 1千2百, 贰拾, XIV; text in, an integer out.

cn2an was looked at: it reads decimals and negatives that no article has, takes no mixed "2百", and brings a second
package; what is needed here is one pass over a few characters.
"""

from __future__ import annotations

import re

NUMERALS = "〇零○一二两三四五六七八九十百千万廿卅壹贰叁肆伍陆柒捌玖拾佰仟萬兩"
"""The characters that a Chinese number is made of, financial ones and 廿, 卅 included."""

_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")}
_DIGITS |= {digit: value for value, digit in enumerate("〇壹贰叁肆伍陆柒捌玖")} | {"○": 0, "两": 2, "兩": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100, "仟": 1000}
_MYRIAD = {"万", "萬"}
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_WELL_FORMED_ROMAN = re.compile(r"(?=.)c{0,3}(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})")
_LONGEST = 16


def parse_number(text: str) -> int | None:
    """Read a whole number below 10^8 in Arabic or Chinese digits, full-width ones included, or None where it is none.

    Digits without 十, 百, 千 are read one after another: 五九〇 is 590, as 590 is.
    """
    if not text or len(text) > _LONGEST:
        return None
    if text.isascii():
        return int(text) if text.isdigit() and len(text) <= 8 else None
    text = text.replace("廿", "二十").replace("卅", "三十")
    if not any(char in _UNITS or char in _MYRIAD for char in text):
        return _by_place(text)
    high, myriad, low = text.partition("万") if "万" in text else text.partition("萬")
    if not myriad:
        return _below_myriad(text)
    upper, lower = _below_myriad(high), _below_myriad(low) if low else 0
    return None if not upper or lower is None else upper * 10_000 + lower


def chinese_number(number: int) -> str:
    """Return a number below 10,000 as statutes write it: 103 is 一百零三, 12 is 十二; others in Arabic digits."""
    if not 0 < number < 10_000:
        return str(number)
    text = ""
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            text += "零一二三四五六七八九"[digit] + name
        elif text and not text.endswith("零"):
            text += "零"
    text = text.rstrip("零")
    return text[1:] if text.startswith("一十") else text


def parse_roman(text: str) -> int | None:
    """Read a Roman number below 400, or None where it is none."""
    text = text.lower()
    if not _WELL_FORMED_ROMAN.fullmatch(text):
        return None
    values = [_ROMAN[char] for char in text]
    following = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


def _by_place(text: str) -> int | None:
    number = 0
    for char in text:
        digit = _digit(char)
        if digit is None:
            return None
        number = 10 * number + digit
    return number if len(text) <= 8 else None


def _below_myriad(text: str) -> int | None:
    """Read thousands, hundreds, tens and ones, each smaller than the one before: 一百二十, 1百20, 十五."""
    if not text:
        return None
    total, last, pending = 0, 10_000, ""
    for char in text:
        unit = _UNITS.get(char)
        if unit is None:
            pending += char
            continue
        count = _by_place(pending.lstrip("零〇○")) if pending.strip("零〇○") else 1
        if count is None or count >= 10 or unit >= last:
            return None
        total, last, pending = total + count * unit, unit, ""
    ones = _by_place(pending) if pending else 0
    return None if ones is None or ones >= last else total + ones


def _digit(char: str) -> int | None:
    return int(char) if char.isdecimal() else _DIGITS.get(char)
