"""Calculations over standard input and output."""

from __future__ import annotations

from dataclasses import asdict
from typing import BinaryIO, TextIO

from infra.compute import answer_stream, read_lines


def answer_lines(requests: BinaryIO, answers: TextIO) -> None:
    """Answer every request line in order; each answer is written before the next is read."""

    def write(answer: str) -> None:
        answers.write(answer)
        # Whoever asks line by line waits for this line.
        answers.flush()

    answer_stream(read_lines(requests), write)


def described_calculations() -> list[dict[str, object]]:
    """Return what can be calculated and with which fields, as JSON values."""
    from infra.compute.description import describe

    return [asdict(calculation) for calculation in describe()]
