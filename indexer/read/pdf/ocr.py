"""Scanned pages: the text that an image shows, by RapidOCR, whose models for Chinese and English are in its wheel.

An extra: `pip install "bothways[ocr]"`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import pymupdf

from bothways.core.errors import MissingExtraError, ReadError
from bothways.indexer.read.pdf.lines import Line, add

INSTALL_OCR = 'pip install "bothways[ocr]"'
_PIXELS = 2_000
_MAX_ZOOM = 4.0
_MAX_RATIO = 8
"""Longer side to shorter. The recogniser enlarges the shorter one to 736 pixels: a thin strip would fill the memory."""
_LETTER = 0.85
"""A box is this much higher than its letters are large."""
_SAME_SIZE = 0.3
_SLANTED = 0.2

Image = npt.NDArray[np.uint8]
"""Pixels, shape (height, width, 3), blue first."""

Recognise = Callable[[Image], Any]
"""Tells what an image shows: `boxes` of four corners each, shape (n, 4, 2) in pixels, and their `txts`, or None."""


@lru_cache(maxsize=1)
def load_ocr() -> Recognise:
    """Load the models, once (0.6 s). Raises `MissingExtraError` without the extra `ocr`."""
    try:
        import cv2
        from rapidocr import RapidOCR
        from rapidocr.inference_engine.onnxruntime.main import ONNXRuntimeError

        from bothways.models.onnx.graph import cores
    except ImportError as error:
        raise MissingExtraError(f"OCR reads scanned pages: {INSTALL_OCR}.") from error
    quiet = {"Global.log_level": "critical"}  # a page without text is no error to log
    engine = RapidOCR(params={**quiet, "EngineConfig.onnxruntime.intra_op_num_threads": cores()})

    def recognise(image: Image) -> Any:  # noqa: ANN401
        try:
            return engine(image)
        except (cv2.error, ONNXRuntimeError, RuntimeError, ValueError, MemoryError) as error:
            raise ReadError(f"OCR failed: {error}") from error

    return recognise


def ocr_lines(page: Any, recognise: Recognise) -> list[Line]:  # noqa: ANN401  (pymupdf has no types)
    """Read a page as an image: its lines from top to bottom, with boxes in points as those of text have.

    The image's longer side has 2,000 pixels, which is what the models look at (A4: about 170 dpi). A page that they
    cannot work on is a `ReadError`.
    """
    zoom = min(_MAX_ZOOM, _PIXELS / max(page.rect.width, page.rect.height))
    pixels = page.get_pixmap(matrix=pymupdf.Matrix(zoom, zoom), colorspace=pymupdf.csRGB, alpha=False)
    image = np.frombuffer(pixels.samples, dtype=np.uint8).reshape(pixels.height, pixels.width, 3)
    least = max(image.shape[:2]) // _MAX_RATIO
    if min(image.shape[:2]) < least:
        below, beside = (max(0, least - side) for side in image.shape[:2])
        image = np.pad(image, ((0, below), (0, beside), (0, 0)), constant_values=255)
    seen = recognise(np.ascontiguousarray(image[:, :, ::-1]))
    return to_lines(seen.boxes / zoom, seen.txts) if seen.txts else []


def to_lines(boxes: npt.NDArray[np.float32], texts: Sequence[str]) -> list[Line]:
    """Make lines of recognised boxes, shape (n, 4 corners, 2) in points: from top to bottom, pieces put together.

    A box is as high as its letters happen to be, so lines of about the median height count as one size. Slanted text is
    a watermark and left out.
    """
    usual = median(float(np.ptp(box[:, 1])) for box in boxes)
    pieces = []
    for box, text in zip(boxes, texts, strict=True):
        (x0, y0), (x1, y1) = box.min(axis=0).tolist(), box.max(axis=0).tolist()
        across, down = abs(box[1] - box[0]).tolist()
        if min(across, down) > _SLANTED * max(across, down):
            continue
        height = usual if abs(y1 - y0 - usual) < _SAME_SIZE * usual else y1 - y0
        pieces.append(Line(x0=x0, y0=y0, x1=x1, y1=y1, size=height * _LETTER, text=text.strip()))
    lines: list[Line] = []
    for row in _rows(pieces, usual):
        for piece in sorted(row, key=lambda piece: piece.x0):
            add(lines, piece)
    return lines


def _rows(pieces: Sequence[Line], usual: float) -> list[list[Line]]:
    """Put pieces of about one height on the page into one row."""
    rows: list[list[Line]] = []
    for piece in sorted((piece for piece in pieces if piece.text), key=lambda piece: piece.y0):
        if rows and piece.y0 - rows[-1][0].y0 < usual / 2:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return rows
