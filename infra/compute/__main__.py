"""``python -m infra.compute``: answer the requests on standard input."""

from __future__ import annotations

import sys

from infra.compute.answers import answer_stream, read_lines


def main() -> int:
    """Answer every request line of standard input on standard output; return 0."""

    def write(answer: str) -> None:
        sys.stdout.write(answer)
        # Whoever asks line by line waits for this line.
        sys.stdout.flush()

    answer_stream(read_lines(sys.stdin.buffer), write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
