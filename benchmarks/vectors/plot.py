"""A study of a vector index as one plot in SVG text: what a build is worth, in recall against time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.vectors.index import Build
from benchmarks.vectors.report import Arm, VectorStudy
from bothways.evaluation.report.plots import svg

COLOURS = {"flat": "#444444", "hnsw": "#2b5b84", "int8_hnsw": "#c1661c", "int4_hnsw": "#7a5195", "bbq_hnsw": "#2a8c5f"}
"""A colour a type; its builds differ by marker."""

MARKERS = "osD^vP*X"
LARGEST = 140.0
"""Area in square points of the marker of whatever needs most memory; the others are in proportion."""


def plot_study(study: VectorStudy) -> str:
    """Draw recall@k over the median ms of a search; raise `MissingExtraError` without matplotlib.

    A line a build joins the arms that are worth having, over `num_candidates` and `oversample`; faint dots are its
    other arms. The area of a marker is the memory. Time is logarithmic: exact search is an order away from the rest.
    """
    heaviest = max(arm.memory_bytes for arm in study.arms)

    def draw(axes: Any) -> None:  # noqa: ANN401 – matplotlib comes lazily
        for build, front in study.fronts.items():
            style = _style(study, build)
            others = [arm for arm in study.arms if arm.build == build and arm not in front]
            axes.scatter(*_points(others), s=5, color=style["color"], alpha=0.3, linewidths=0)
            axes.plot(*_points(front), color=style["color"], linewidth=1, alpha=0.7)
            area = max(8.0, LARGEST * front[0].memory_bytes / heaviest)
            megabytes = f"{build}: {front[0].memory_bytes / 1e6:.0f} MB"
            axes.scatter(*_points(front), s=area, alpha=0.75, linewidths=0, label=megabytes, **style)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.set_xlabel("median time of a search, ms")
        axes.set_ylabel(f"recall@{study.k}")
        axes.legend(fontsize="x-small", loc="lower right", labelspacing=0.8)

    return svg("vectors", draw)


def _points(arms: Sequence[Arm]) -> tuple[list[float], list[float]]:
    return [arm.p50_ms for arm in arms], [arm.recall for arm in arms]


def _style(study: VectorStudy, build: Build) -> dict[str, Any]:
    """Return the colour of the type and the marker of the build."""
    siblings = [other for other in study.fronts if other.type == build.type]
    return {"color": COLOURS.get(build.type, "#999999"), "marker": MARKERS[siblings.index(build) % len(MARKERS)]}
