import pytest

from bothways.models.llm.usage import Prices, TokenUsage, estimate_tokens


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        (Prices(), None),
        (Prices(0.5, 2.0), 0.5 * 1.2 + 2.0 * 0.3),
        (Prices(completion=2.0), 2.0 * 0.3),
        (Prices(0.0, 0.0), 0.0),
    ],
)
def test_what_tokens_cost(prices, cost):
    used = TokenUsage(1_000_000, 250_000) + TokenUsage(200_000, 50_000, uncounted=1)
    assert used == TokenUsage(1_200_000, 300_000, 1)
    assert prices.cost(used) == (None if cost is None else pytest.approx(cost))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("民法调整。", 5), ("abcd", 1), ("abcde", 2), ("第 12 条 the rescuers", 2 + 5)],  # 17 others
)
def test_tokens_are_guessed_by_characters(text, tokens):
    assert estimate_tokens(text) == tokens
