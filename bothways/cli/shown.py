"""A search's result for people: hits with what stands beside them, then facets, then one line about the search."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from rich.text import Text

from bothways.cli.output import out, printable
from bothways.schemas.search import Expansion, Facet, Hit, LegExplain, Neighbour, SearchResult, SelfQuery

_INDENT = "   "
_MARK = re.compile(r"</?em>")
_DIGITS = {"rrf": 4, "convex": 3, "cross_encoder": 2}


def show(result: SearchResult, *, explain: bool) -> None:
    """Print a result for people."""
    for hit in result.hits:
        _hit(hit, explain=explain)
    if result.self_query is not None and (explain or result.self_query.relaxed):
        _print(_self_query(result.self_query), "dim", indent="")
    if explain and result.rewritten is not None:
        _print(f"pseudo-document: {result.rewritten}", "dim", indent="")
    if explain and (done := result.reranking) is not None:
        memory = "" if done.cached is None else f", {done.cached} from memory"
        _print(f"reranked: {done.scored} of {done.candidates} candidates{memory}", "dim", indent="")
    if explain and result.expansion is not None:
        _print(_expansion(result.expansion), "dim", indent="")
    if not result.hits:
        _print(f"There are only {result.total} hits." if result.total else "Nothing was found.", indent="")
    for field, facet in result.facets.items():
        _print(f"{field}: {_counts(facet)}", indent="")
    _print(_about(result), "dim", indent="")


def _hit(hit: Hit, *, explain: bool) -> None:
    _print(f"{hit.rank}. {hit.title}", "bold", indent="", end="  ")
    _print(f"{hit.source}  {hit.score:.4f}", "dim", indent="")
    before, after = (hit.context.before, hit.context.after) if hit.context else ((), ())
    for neighbour in before:
        _neighbour("↑", neighbour, hit)
    _text(hit)
    for neighbour in after:
        _neighbour("↓", neighbour, hit)
    if hit.duplicates:
        copies = ", ".join(copy.source or copy.doc_id for copy in hit.duplicates)
        _print(f"the same text in: {copies}", "dim")
    for line in _explain(hit) if explain else ():
        _print(line, "dim")


def _print(text: str, style: str = "", *, indent: str = _INDENT, end: str = "\n") -> None:
    out.print(Text(indent + printable(text).replace("\n", "\n" + indent), style), end=end)


def _text(hit: Hit) -> None:
    """Print the marked sentences where there are some, else the whole text; without colours, marks are `**`."""
    if not hit.highlights:
        _print(hit.text)
    for sentence in hit.highlights:
        line = Text(_INDENT)
        for number, piece in enumerate(_MARK.split(sentence)):
            line.append(printable(html.unescape(piece)), "bold yellow" if number % 2 else "")
            if not out.is_terminal and number < 2 * sentence.count("<em>"):
                line.append("**")
        out.print(line)


def _neighbour(sign: str, neighbour: Neighbour, hit: Hit) -> None:
    title = "" if neighbour.title == hit.title else f"{neighbour.title}: "
    _print(f"{sign} {title}{neighbour.text}", "dim")


def _explain(hit: Hit) -> Iterator[str]:
    for stage, placed in (hit.explain or {}).items():
        if isinstance(placed, LegExplain):
            yield f"{stage:<10}{f'#{placed.rank}':<5}{placed.score:<9.3f}{'; '.join(_matched(placed))}".rstrip()
        else:
            yield f"{stage.replace('_', '-'):<15}{placed:.{_DIGITS.get(stage, 3)}f}"


def _matched(placed: LegExplain) -> Iterator[str]:
    if placed.matched:
        yield f"“{placed.matched}”"
    matched = [(word, word) for word in placed.words or ()]
    matched += [(found, f"{found} (for {asked})") for found, asked in (placed.synonyms or {}).items()]
    in_questions = set(placed.in_questions or ())
    groups = {
        "words": [shown for found, shown in matched if found not in in_questions],
        "in its questions": [shown for found, shown in matched if found in in_questions],
        "characters": placed.bigrams or (),
    }
    yield from (f"{name}: {' '.join(group)}" for name, group in groups.items() if group)


def _self_query(told: SelfQuery) -> str:
    """Return what the question's own words did, as in `self-query (filter): 刑法 = law 中华人民共和国刑法`."""
    meant = "; ".join(
        f"{each.text} = " + ", ".join(f"{name} {_few(values)}" for name, values in each.values.items())
        for each in told.recognised
    )
    return f"self-query ({told.mode}{', relaxed: nothing matches it' if told.relaxed else ''}): {meant}"


def _expansion(told: Expansion) -> str:
    score = "nothing to tell by" if told.score is None else f"score {told.score:+.3f}"
    signs = ", ".join(f"{name} {value:.3g}" for name, value in told.signs.items())
    return f"expansion {'wanted' if told.wanted else 'not wanted'} (rule {told.rule}, {score}): {signs}"


def _few(values: Sequence[str], most: int = 5) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return " | ".join(values[:most]) + more if values else "(none there)"


def _counts(facet: Facet) -> str:
    named = [f"{one.value} {one.count}" for one in facet.values]
    rest = [f"{count} {name}" for name, count in (("others", facet.others), ("without", facet.missing)) if count]
    return ", ".join([*named, *rest]) or "–"


def _about(result: SearchResult) -> str:
    left_out = f", without: {', '.join(result.degraded)}" if result.degraded else ""
    more = f", go on with --offset {result.next_offset}" if result.next_offset else ""
    found = f"{result.offset + 1}–{result.offset + len(result.hits)} of {result.total}, " if result.hits else ""
    return f"{found}{result.strategy} on {result.index}, {result.timings_ms['total']:.0f} ms{left_out}{more}"
