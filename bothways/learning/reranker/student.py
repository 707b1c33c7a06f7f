"""How a student of fewer layers begins: with some of the layers of a model that knows more, in their order."""

from __future__ import annotations

from typing import Any

from bothways.core.errors import ModelError, UsageError

NAMED = ("lowest", "spread", "ends")


def chosen_layers(of: int, number: int, begin_with: str) -> list[int]:
    """Return which of the layers 0 to `of` - 1 a student of `number` layers begins with.

    `lowest`; `spread`: evenly, the last among them, as DistilBERT (Sanh et al. 2019); `ends`: evenly, the first and the
    last among them; or numbers from 1 on, as in "1,4". Raises `ModelError` where there are fewer, `UsageError` where
    the numbers are none or not so many.
    """
    if number > of:
        raise ModelError(f"The base has {of} layers, not {number}: name fewer layers.")
    if begin_with == "lowest":
        return list(range(number))
    if begin_with == "spread":
        return [of * place // number - 1 for place in range(1, number + 1)]
    if begin_with == "ends":
        return [round(place * (of - 1) / (number - 1)) for place in range(number)] if number > 1 else [of - 1]
    try:
        named = [int(word) - 1 for word in begin_with.split(",")]
    except ValueError:
        named = []
    if len(named) != number or sorted({*named}) != named or not set(named) <= set(range(of)):
        raise UsageError(
            f"begin_with is {', '.join(NAMED)} or {number} rising numbers of 1 to {of}, as in 1,{of}; not "
            f"{begin_with[:40]!r}."
        )
    return named


def keep_layers(model: Any, number: int, begin_with: str) -> None:  # noqa: ANN401 - transformers is untyped here
    """Let a model keep `number` of its layers, chosen by `chosen_layers`; raises as that does, and `ModelError`.

    The layers are those of BERT, RoBERTa and XLM-RoBERTa, of DistilBERT, or of ModernBERT.
    """
    for path in ("encoder.layer", "transformer.layer", "layers"):
        holder, _, name = path.rpartition(".")
        owner = getattr(model.base_model, holder, None) if holder else model.base_model
        layers = getattr(owner, name, None)
        if layers is not None:
            chosen = chosen_layers(len(layers), number, begin_with)
            setattr(owner, name, type(layers)(layers[place] for place in chosen))
            model.config.num_hidden_layers = number
            return
    raise ModelError(f"{type(model).__name__} keeps its layers where we do not know: leave layers unset.")
