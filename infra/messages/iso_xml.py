"""ISO 20022 messages to XML and back, safely: no document type, no entity, bounded in size.

The classes come from the extra ``iso``; without it everything else works and this says so.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final
from xml.parsers import expat

from engine.errors import ContractViolation, ParameterError
from infra.messages.iso_facets import require_facets

BYTES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 64


def message_classes(name: str) -> Any:
    """Return the module of a message's classes, for example ``colr_003_001_05``.

    Raises
    ------
    ParameterError
        If the extra is not installed.
    """
    try:
        return import_module(f"pyiso20022.colr.{name}.{name}")
    except ModuleNotFoundError as error:
        raise ParameterError(
            "ISO 20022 messages need the extra `iso`: pip install 'plimsoll[iso]'",
            identifier="iso",
            limit="pyiso20022 and xsdata installed",
        ) from error


def to_xml(document: Any) -> bytes:
    """Return a document as XML, after its facets were checked.

    Raises
    ------
    ContractViolation
        If it is not what its schema demands.
    """
    from xsdata.formats.dataclass.serializers import XmlSerializer
    from xsdata.formats.dataclass.serializers.config import SerializerConfig

    require_facets(document)
    serializer = XmlSerializer(config=SerializerConfig(encoding="UTF-8"))
    text: str = serializer.render(document, ns_map={None: type(document).Meta.namespace})
    return text.encode()


def from_xml(raw: bytes, document_class: Any) -> Any:
    """Return the document of a message, checked like one of our own.

    Raises
    ------
    ContractViolation
        If it is too large or too deep, has a document type, is no well-formed XML, has an element
        that the schema does not know, or breaks a facet.
    """
    from xsdata.exceptions import ConverterWarning, ParserError
    from xsdata.formats.dataclass.parsers import XmlParser
    from xsdata.formats.dataclass.parsers.config import ParserConfig

    namespace = require_safe(raw)
    wanted = document_class.Meta.namespace
    if namespace != wanted:
        raise ContractViolation(
            f"message is of {namespace or 'no namespace'}, limit {wanted}",
            value=namespace,
            limit=wanted,
        )
    config = ParserConfig(
        fail_on_unknown_properties=True,
        fail_on_unknown_attributes=True,
        fail_on_converter_warnings=True,
        process_xinclude=False,
    )
    try:
        document = XmlParser(config=config).from_bytes(raw, document_class)
    except (ParserError, ConverterWarning, TypeError, ValueError, LookupError) as error:
        raise ContractViolation(f"no {document_class.Meta.namespace}: {error}") from error
    require_facets(document)
    return document


def require_safe(raw: bytes) -> str:
    """Return the namespace of the outermost element; raise ContractViolation for what is unsafe.

    The parser itself reports a document type or entity, so no encoding hides one from us.
    """
    if len(raw) > BYTES_MAX:
        raise ContractViolation(
            f"message has {len(raw)} bytes, limit {BYTES_MAX}", value=len(raw), limit=str(BYTES_MAX)
        )
    parser = expat.ParserCreate(namespace_separator="\n")
    outermost: list[str] = []
    depth = 0

    def start(name: str, _: object) -> None:
        nonlocal depth
        depth += 1
        if not outermost:
            outermost.append(name.rpartition("\n")[0])
        if depth > DEPTH_MAX:
            raise ContractViolation(
                f"message is nested deeper than {DEPTH_MAX}", limit=str(DEPTH_MAX)
            )

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    for kind in ("StartDoctypeDecl", "EntityDecl", "ExternalEntityRef", "ProcessingInstruction"):
        setattr(parser, f"{kind}Handler", _refusal(kind))
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        # An encoding that Python does not know is a LookupError.
        raise ContractViolation(f"message is no well-formed XML: {error}") from error
    return outermost[0]


def _refusal(kind: str) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise ContractViolation(
            f"message has a {kind}, limit: elements alone", value=kind, limit="no document type"
        )

    return refuse
