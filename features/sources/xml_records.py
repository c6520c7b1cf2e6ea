"""An XML file as a stream of its records: memory bounded, nothing declared, nothing fetched."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NoReturn
from xml.etree.ElementTree import (
    Element,
    ParseError,
    XMLPullParser,
)
from xml.parsers import expat

from features.errors import DataError
from features.sources.files import SourceFile

__all__ = ["records", "tag"]

CHUNK = 1 << 16

PROLOG = 1 << 16
"""Bytes in which the root element must begin."""

DEPTH = 64
"""Elements inside one another; deeper ones are no export's."""

_CUT = (
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
)


def records(
    file: SourceFile, root: str, *, deepest: int, limit: int
) -> Generator[tuple[Element, str], None, None]:
    """The elements of a file down to a depth, each at its end and whole, with its parent's name.

    Once the caller asks for the next, an element is let go. So what is held is one record, and
    what lies outside the records counts as one.

    A document type is refused, and with it all that it could declare: entities, whether they expand
    or lead to other files, and defaults. So are a nesting deeper than :data:`DEPTH` and a record
    larger than the limit.

    Args:
        file: Its encoding is the one that it declares.
        root: The name of the root element, without its namespace.
        deepest: 1 for the children of the root, 2 for theirs, too.
        limit: Bytes of one record; looked at every 64 KiB.

    Yields:
        The element and the name of the one around it, without their namespace: :func:`tag`.

    Raises:
        DataError: no XML, another root, a document type, damage with its line, a file that is cut
            off, a record or a nesting beyond the bounds.

    Example:
        >>> text = b"<log><trace><event a='1'/><event a='2'/></trace></log>"
        >>> file = SourceFile.in_memory("log.xes", text)
        >>> [(tag(one), around) for one, around in records(file, "log", deepest=2, limit=1024)]
        [('event', 'trace'), ('event', 'trace'), ('trace', 'log')]
        >>> bomb = b'<!DOCTYPE log [<!ENTITY a "aaaa">]><log>&a;</log>'
        >>> list(records(SourceFile.in_memory("log.xes", bomb), "log", deepest=1, limit=1024))
        Traceback (most recent call last):
        features.errors.DataError: reading 'log.xes' as XML. Expected no document type; got one. \
Hint: Ask for an export without <!DOCTYPE ...>: it could lead to other files or grow without bound.
    """
    with file.open() as stream:
        first = stream.read(PROLOG)
        _check_prolog(file, first, root)
        parser: Any = XMLPullParser(("start", "end"))
        opened: list[Element] = []
        held = 0
        chunk = first
        while True:
            held += len(chunk)
            try:
                if chunk:
                    parser.feed(chunk)
                else:
                    parser.close()
                for event, element in parser.read_events():
                    if event == "start":
                        opened.append(element)
                        if len(opened) > DEPTH:
                            _refuse(file, f"at most {DEPTH} elements inside one another", "more")
                        continue
                    opened.pop()
                    if 0 < len(opened) <= deepest:
                        yield element, tag(opened[-1])
                        opened[-1].remove(element)
                        held = 0
            except ParseError as error:
                _damaged(file, error.code, error.position[0])
            if held > limit + CHUNK:
                _refuse(
                    file,
                    f"records of at most {limit} bytes",
                    "a larger one",
                    "If the export is meant to be so, raise 'max_line_bytes' in 'options'.",
                )
            if not chunk:
                return
            chunk = stream.read(CHUNK)


def tag(element: Element) -> str:
    """The name of an element, without its namespace."""
    return element.tag.rpartition("}")[2]


class _Begun(Exception):  # noqa: N818  (no error: the root was met)
    pass


class _Declared(Exception):  # noqa: N818
    pass


def _check_prolog(file: SourceFile, first: bytes, root: str) -> None:
    """A document type can stand before the root only: what is not there does not come later."""
    met: list[str] = []

    def begun(name: str, attributes: dict[str, str]) -> None:
        met.append(name.rpartition(":")[2])
        raise _Begun

    def declared(*_: object) -> None:
        raise _Declared

    parser = expat.ParserCreate()
    parser.StartElementHandler = begun
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(first, len(first) < PROLOG)
    except _Begun:
        pass
    except _Declared:
        _refuse(
            file,
            "no document type",
            "one",
            "Ask for an export without <!DOCTYPE ...>: it could lead to other files or grow "
            "without bound.",
        )
    except expat.ExpatError as error:
        _damaged(file, error.code, error.lineno)
    except (LookupError, ValueError):
        _refuse(
            file,
            "an encoding that XML readers know",
            "another one declared",
            "Ask for the export in UTF-8 or windows-1252.",
        )
    if met != [root]:
        _refuse(
            file,
            f"the root element '{root}'",
            "another one" if met else f"none in the first {PROLOG} bytes",
            "Correct 'reader' or 'path' of the source.",
        )


def _damaged(file: SourceFile, code: int, line: int) -> NoReturn:
    if code in _CUT:
        _refuse(file, "a file that is whole", f"one that is cut off at line {line}")
    _refuse(file, "well-formed XML", f"at line {line}: {expat.ErrorString(code)}")


def _refuse(
    file: SourceFile, expected: str, got: str, hint: str = "Ask for the export again."
) -> NoReturn:
    raise DataError(f"reading '{file.name}' as XML", expected=expected, got=got, hint=hint)
