"""Which numbers a training computes with: half of the bits where the machine multiplies them faster."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "fp16", "bf16"]


def training_precision() -> Precision:
    """Return what the machine trains fastest with, weights and their updates staying fp32 (mixed precision).

    On a GPU bf16 where it has it, else fp16. On a CPU bf16 where AVX-512 or AMX multiply it; elsewhere it would be
    emulated, and slower than fp32.
    """
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    able = torch.cpu.get_capabilities()
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"
