"""The one family of errors that Jalon raises for a person to act on."""

from __future__ import annotations

__all__ = ["ConfigurationError", "DataError", "JalonError"]


class JalonError(Exception):
    """What failed, the rule that was broken, what was found, and the next action.

    The text never holds a person's values or identifiers: it names columns, files, counts.

    Args:
        what: What failed, and where: ``"reading 'rdv.csv': column 'DATE_RDV'"``.
        expected: The rule, as a noun phrase.
        got: A count or a type, never a value that belongs to a person.
        hint: The next action, as an imperative sentence.

    Example:
        >>> print(JalonError("reading 'rdv.csv': column 'DATE'", expected="a column of that name",
        ...                  got="7 others", hint="Correct 'time.column' in the mapping."))
        reading 'rdv.csv': column 'DATE'. Expected a column of that name; got 7 others. \
Hint: Correct 'time.column' in the mapping.
        >>> print(JalonError("no measure 'coutn'. Did you mean 'count'?", got="1 fault"))
        no measure 'coutn'. Did you mean 'count'? Got 1 fault.
    """

    def __init__(
        self,
        what: str,
        *,
        expected: str | None = None,
        got: object | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.expected = expected
        self.got = None if got is None else str(got)
        self.hint = hint
        super().__init__(self._text())

    def _text(self) -> str:
        text = self.what.rstrip(".")
        # A fault that ends in a question, "Did you mean 'x'?", needs no full stop.
        ended = text.endswith(("?", "…"))
        if self.expected is not None:
            text += f"{'' if ended else '.'} Expected {self.expected.rstrip('.')}"
            if self.got is not None:
                text += f"; got {self.got.rstrip('.')}"
        elif self.got is not None:
            text += f"{'' if ended else '.'} Got {self.got.rstrip('.')}"
        elif ended:
            return text if self.hint is None else f"{text} Hint: {self.hint}"
        text += "."
        if self.hint is not None:
            text += f" Hint: {self.hint}"
        return text


class ConfigurationError(JalonError):
    """A territory file, a mapping or an option that cannot be used as written."""


class DataError(JalonError):
    """A source, a table or a matrix that does not hold what it must."""
