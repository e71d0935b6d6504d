"""Texts by number, in the order in which they arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from engine.arrays import Int64Array1D, ObjectArray1D


class Names:
    """Texts, each with a number that it keeps."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: list[str] = []
        self._codes: dict[str, int] = {}
        # Names are only added: what is made of all of them holds as long as there are as many.
        self._made: dict[str, tuple[int, np.ndarray[Any, Any]]] = {}
        for text in texts:
            self.code(text)

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, code: int) -> str:
        return self._texts[code]

    @property
    def texts(self) -> tuple[str, ...]:
        """Return all texts by number."""
        return tuple(self._texts)

    def code(self, text: str) -> int:
        """Return the number of ``text``, a new one where it is not known."""
        found = self._codes.setdefault(text, len(self._texts))
        if found == len(self._texts):
            self._texts.append(text)
        return found

    def find(self, text: str) -> int:
        """Return the number of ``text``, or -1."""
        return self._codes.get(text, -1)

    def codes(self, texts: Iterable[object]) -> Int64Array1D:
        """Return the numbers of many texts."""
        return np.array([self.code(str(text)) for text in texts], dtype=np.int64)

    def of(self, codes: Int64Array1D) -> ObjectArray1D:
        """Return the texts of many numbers."""
        texts: ObjectArray1D = np.array(self._texts, dtype=object)
        return texts[codes] if len(texts) else np.zeros(0, dtype=object)

    def ranks(self) -> Int64Array1D:
        """Return the place of each number in the order of the texts."""
        return self._kept("ranks", self._ranked)

    def sorted_array(self) -> np.ndarray[Any, Any]:
        """Return all texts in their order, as an array."""
        return self._kept("sorted", lambda: text_array(sorted(self._texts)))

    def array(self) -> np.ndarray[Any, Any]:
        """Return all texts by number, as an array."""
        return self._kept("array", lambda: text_array(self._texts))

    def copied(self) -> Names:
        """Return the names of this moment."""
        found = Names()
        found._texts, found._codes = list(self._texts), dict(self._codes)
        found._made = dict(self._made)
        return found

    def _ranked(self) -> Int64Array1D:
        order = sorted(range(len(self._texts)), key=self._texts.__getitem__)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return rank

    def _kept(self, name: str, make: Callable[[], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        known = self._made.get(name)
        if known is None or known[0] != len(self._texts):
            known = self._made[name] = len(self._texts), make()
        return known[1]


def text_array(texts: Iterable[object]) -> np.ndarray[Any, Any]:
    """Return texts as an array, of one character where there are none."""
    listed = [str(text) for text in texts]
    return np.array(listed, dtype=str) if listed else np.zeros(0, dtype="U1")
