"""JSON Lines in, JSON Lines out: one answer per request, in order, whatever the line holds.

request  {"id": "...", "calculation": "<name>", "inputs": {...}}
answer   {"id": "...", "outputs": {...}}
     or  {"id": "...", "error": {"type": "ModelInputError", "message": "..."}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from engine.errors import ContractViolation, MarginPlatformError
from infra.compute.registry import find_calculation

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
# Beyond 308 digits every whole number is infinite as a float; int() refuses from 4,300 on.
_INTEGER_DIGITS_MAX: Final = 308
_REQUEST_FIELDS: Final = ("id", "calculation", "inputs")


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """Requests answered, and how many of the answers are errors."""

    n_requests: int
    n_errors: int


def compute(calculation: str, inputs: object) -> dict[str, object]:
    """Return the outputs of one calculation, as plain JSON values.

    Parameters
    ----------
    calculation : str
        Its name.
    inputs : object
        The request's ``inputs``, as parsed from JSON.

    Raises
    ------
    ContractViolation
        If the calculation is unknown or the inputs are not shaped as it declares.
    ModelInputError
        If a value is unusable.
    """
    return find_calculation(calculation).run(inputs)


def answer_line(line: str | bytes) -> str:
    """Return the answer to one request line, without a line end.

    Never raises for what a line may hold: text that is no JSON, too deep or too long gets an
    error answer. The answer's ``id`` is the request's, or null where there is none to read.
    """
    answer, _ = _answer(line)
    return answer


def answer_stream(lines: Iterable[str | bytes], write: Callable[[str], object]) -> StreamSummary:
    """Write one answer line per request line, in order; blank lines are no requests.

    Parameters
    ----------
    lines : iterable of str or bytes
        Request lines; ``read_lines`` reads them from a binary stream within a bound.
    write : callable
        Takes each answer with its line end as soon as it is known.

    Returns
    -------
    StreamSummary
        How many requests were answered, and how many with an error.
    """
    n_requests = n_errors = 0
    for line in lines:
        if not line.strip():
            continue
        answer, is_error = _answer(line)
        write(answer + "\n")
        n_requests += 1
        n_errors += is_error
    return StreamSummary(n_requests, n_errors)


def read_lines(stream: BinaryIO, *, line_bytes_max: int = LINE_BYTES_MAX) -> Iterator[bytes]:
    """Yield the lines of a stream; of a longer one only so much that it is refused.

    Memory stays bounded however long a line is, and the line after it is read as it should be.
    """
    while line := stream.readline(line_bytes_max + 1):
        yield line
        rest = line
        while len(rest) > line_bytes_max and not rest.endswith(b"\n"):
            rest = stream.readline(line_bytes_max + 1)


def _answer(line: str | bytes) -> tuple[str, bool]:
    identifier: object = None
    try:
        request = _parse(line)
        identifier = _readable_id(request)
        name, inputs = _checked(request)
        return json.dumps({"id": identifier, "outputs": compute(name, inputs)}), False
    except MarginPlatformError as error:
        is_contract = isinstance(error, ContractViolation)
        kind = "ContractViolation" if is_contract else "ModelInputError"
        content = {"id": identifier, "error": {"type": kind, "message": str(error)}}
        return json.dumps(content), True


def _parse(line: str | bytes) -> object:
    if len(line) > LINE_BYTES_MAX:
        raise ContractViolation(f"request line is longer than {LINE_BYTES_MAX} bytes")
    try:
        text = line.decode("utf-8-sig") if isinstance(line, bytes) else line
        return json.loads(text, parse_int=_integer, object_pairs_hook=_object)
    except RecursionError as error:
        raise ContractViolation("request line is nested too deeply") from error
    except ValueError as error:
        raise ContractViolation(f"request line is no JSON: {error}") from error


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _INTEGER_DIGITS_MAX else float(digits)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ContractViolation(f"field {name[:60]!r} is given twice")
            seen.add(name)
    return found


def _readable_id(request: object) -> object:
    found = request.get("id") if isinstance(request, dict) else None
    is_number = isinstance(found, int | float) and math.isfinite(found)
    return found if isinstance(found, str) or is_number else None


def _checked(request: object) -> tuple[str, object]:
    if not isinstance(request, dict):
        raise ContractViolation("request is no JSON object")
    for name in _REQUEST_FIELDS:
        if name not in request:
            raise ContractViolation(f"request has no field {name!r}", identifier=name)
    for name in request:
        if name not in _REQUEST_FIELDS:
            raise ContractViolation(f"request has an unknown field {name[:60]!r}")
    identifier, calculation = request["id"], request["calculation"]
    if not isinstance(identifier, str) or not isinstance(calculation, str):
        raise ContractViolation("id and calculation of a request are texts")
    if not isinstance(request["inputs"], dict):
        raise ContractViolation("inputs of a request are a JSON object")
    return calculation, request["inputs"]
