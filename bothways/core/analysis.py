"""Words for BM25: text in, space-separated tokens out, the same for what is indexed and for what is asked.

Chinese is cut here, by jieba, and Elasticsearch only splits at white space: no plugin has to match the server's
version. `cut` was chosen over `cut_for_search` by measurement (docs/decisions/bm25-analysis.md).
"""

from __future__ import annotations

import hashlib
import threading
import unicodedata
import warnings
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bothways.core.errors import SettingsError
from bothways.core.machine.private_files import private_folder
from bothways.core.settings import Settings

if TYPE_CHECKING:
    import jieba

Mode = Literal["cut", "cut_for_search"]


class Segmenter:
    """Cuts text into lower-case words. Thread-safe; the dictionary is loaded once, at the first use or `warm_up`."""

    def __init__(
        self,
        *,
        mode: Mode = "cut",
        user_dict: Path | None = None,
        stopwords: frozenset[str] = frozenset(),
        cache_dir: Path | None = None,
    ) -> None:
        self.mode = mode
        self.stopwords = stopwords
        self._user_dict = user_dict
        self._cache_dir = cache_dir
        self._tokenizer: jieba.Tokenizer | None = None
        self._lock = threading.Lock()

    @cached_property
    def name(self) -> str:
        """What the index's `_meta` says of the analysis: two indices with equal names hold equal tokens.

        A user dictionary and stop words count by their content.
        """
        own = "".join(sorted(self.stopwords)).encode() + (self._user_dict.read_bytes() if self._user_dict else b"")
        mark = f"-{hashlib.sha1(own, usedforsecurity=False).hexdigest()[:8]}" if own else ""
        return f"jieba-{self.mode.replace('_', '-')}{mark}"

    def warm_up(self) -> None:
        """Load the dictionary now (about a second), so that the first search does not pay for it."""
        self._load()

    def words(self, text: str) -> list[str]:
        """Cut `text` into words in order: NFKC-normalised, lower-cased, without punctuation and stop words."""
        tokenizer = self._load()
        text = unicodedata.normalize("NFKC", text).lower()
        cut = tokenizer.cut if self.mode == "cut" else tokenizer.cut_for_search
        return [
            word
            for word in (token.strip() for token in cut(text))
            if word not in self.stopwords and any(character.isalnum() for character in word)
        ]

    def segment(self, text: str) -> str:
        """Cut `text` into words joined by one space: what `text_kw` holds and what it is asked."""
        return " ".join(self.words(text))

    def _load(self) -> jieba.Tokenizer:
        if self._tokenizer is None:
            with self._lock:
                if self._tokenizer is None:
                    self._tokenizer = self._build()
        return self._tokenizer

    def _build(self) -> jieba.Tokenizer:
        with warnings.catch_warnings():
            # jieba 0.42 is old: invalid escapes in its source and pkg_resources are its business, not our user's.
            warnings.simplefilter("ignore")
            import jieba
        jieba.setLogLevel("ERROR")
        tokenizer = jieba.Tokenizer()
        if self._cache_dir is not None:
            # jieba's own choice is a file of a known name in the shared temporary folder, which it would unmarshal.
            private_folder(self._cache_dir)
            tokenizer.tmp_dir = str(self._cache_dir)
        tokenizer.initialize()
        if self._user_dict is not None:
            try:
                with self._user_dict.open("rb") as file:
                    tokenizer.load_userdict(file)
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"The user dictionary {self._user_dict} cannot be read ({error}); check BOTHWAYS_USER_DICT_PATH."
                ) from error
        return tokenizer


def read_stopwords(path: Path) -> frozenset[str]:
    """Read stop words, one a line, `#` starts a comment; raise `SettingsError` if the file cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The stop words {path} cannot be read ({error}); check BOTHWAYS_STOPWORDS_PATH."
        ) from error
    return frozenset(word.lower() for line in lines if (word := line.split("#")[0].strip()))


@lru_cache(maxsize=4)
def _segmenter(user_dict: Path | None, stopwords: Path | None, cache_dir: Path) -> Segmenter:
    words = read_stopwords(stopwords) if stopwords else frozenset()
    return Segmenter(user_dict=user_dict, stopwords=words, cache_dir=cache_dir / "jieba")


def load_segmenter(settings: Settings) -> Segmenter:
    """Return the process's segmenter for these settings: one dictionary in memory however often it is asked for."""
    return _segmenter(settings.user_dict_path, settings.stopwords_path, settings.cache_dir)


def segment_synonyms(rules: str, segmenter: Segmenter) -> str:
    """Cut the words of a synonyms file as the index cuts them; comments and the two kinds of rule stay.

    A term that is cut into several words is left as those words: `synonym_graph` matches them as a phrase.
    """
    return "\n".join(_segment_rule(line, segmenter) for line in rules.splitlines()) + "\n"


def _segment_rule(line: str, segmenter: Segmenter) -> str:
    if not line.strip() or line.lstrip().startswith("#"):
        return line
    sides = [[segmenter.segment(term) for term in side.split(",")] for side in line.split("=>")]
    return " => ".join(", ".join(term for term in side if term) for side in sides)
