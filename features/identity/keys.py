"""The secret keys of a vault: what is hashed and sealed with them, and where they lie."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import DataError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_FILE", "SEPARATOR", "Keys", "check_secret", "read_key", "renamer", "write_key"]

SEPARATOR = "\x1f"
KEY_FILE = "identity.key"
_NONCE = 12


class Keys:
    """Every key a vault ever had, the eldest first; the last is the one in use.

    An identifier is hashed with each in turn, so that a new key takes effect although identifiers
    are stored nowhere: what is stored is hashed once more. Whoever holds a former key alone can
    neither hash an identifier as the vault does, nor tell whose a pseudonym is.

    Example:
        >>> old, new = Keys([b"k" * 32]), Keys([b"k" * 32, b"n" * 32])
        >>> digest, issued = old.of(b"social 1")
        >>> (new.again(digest), new.renamed(issued)) == new.of(b"social 1")
        True
        >>> new.unsealed(new.sealed(b"Jeanne", b"where"), b"where")
        b'Jeanne'
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.all = tuple(keys)
        self.newest = self.all[-1]

    def of(self, text: bytes) -> tuple[bytes, int]:
        """The keyed hash of an identifier, 32 bytes, and the pseudonym that is issued to it."""
        digest = hmac.digest(self.all[0], text, "sha256")
        issued = _positive(hmac.digest(self.all[0], b"subject" + digest, "sha256"))
        for key in self.all[1:]:
            digest, issued = _again(key, digest), _renamed(_renaming(key), issued)
        return digest, issued

    def issued_to(self, digest: bytes) -> int:
        """The pseudonym of an identifier by its hash, while there is but one key."""
        return _positive(hmac.digest(self.newest, b"subject" + digest, "sha256"))

    def digest(self, text: bytes) -> bytes:
        """The keyed hash alone."""
        digest = hmac.digest(self.all[0], text, "sha256")
        for key in self.all[1:]:
            digest = _again(key, digest)
        return digest

    def again(self, digest: bytes) -> bytes:
        """What a hash made without the newest key is with it."""
        return _again(self.newest, digest)

    def renamed(self, pseudonym: int) -> int:
        """What a pseudonym given without the newest key is with it."""
        return _renamed(self.renaming, pseudonym)

    @cached_property
    def renaming(self) -> bytes:
        """What renames pseudonyms, from which the newest key cannot be found."""
        return _renaming(self.newest)

    def fresh(self, digest: bytes, attempt: int) -> int:
        """A pseudonym that no identifier is issued: for a person taken out of another."""
        text = b"apart" + attempt.to_bytes(4, "big") + digest
        return _positive(hmac.digest(self.newest, text, "sha256"))

    def secret_for(self, purpose: str) -> bytes:
        """A secret of 32 bytes for one purpose, from which the key cannot be found."""
        return hmac.digest(self.newest, b"purpose" + purpose.encode(), "sha256")

    def check(self) -> bytes:
        """What tells, later, whether a key is this one."""
        return hmac.digest(self.newest, b"jalon key check", "sha256")

    def tombstones(self, text: bytes) -> list[bytes]:
        """What may be left of an erased identifier: one for each key it may have been erased under.

        Args:
            text: The identifier with its system.
        """
        found: list[bytes] = []
        digest = hmac.digest(self.all[0], text, "sha256")
        for place, key in enumerate(self.all):
            if place:
                digest = _again(key, digest)
                found = [_again(key, one) for one in found]
            found.append(Keys(self.all[: place + 1]).tombstone(digest))
        return found

    def tombstone(self, digest: bytes) -> bytes:
        """What is left of an identifier that is erased now, made from its hash."""
        return hmac.digest(self.secret_for("erased"), digest, "sha256")

    def sealed(self, content: bytes, about: bytes) -> bytes:
        """Content encrypted and authenticated together with what it is about (AES-256-GCM)."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, about)

    def unsealed(self, sealed: bytes, about: bytes) -> bytes:
        """The content again.

        Raises:
            DataError: sealed with another key, or altered.
        """
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
        except InvalidTag:
            raise DataError(
                "reading what the vault keeps sealed",
                expected="content sealed with the vault's key",
                got="content of another key, or altered",
                hint="Restore the identity folder from a backup.",
            ) from None

    @cached_property
    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self.for_attributes)

    @cached_property
    def for_attributes(self) -> bytes:
        """The secret of what tells persons apart."""
        return self.secret_for("attributes")


def _again(key: bytes, digest: bytes) -> bytes:
    return hmac.digest(key, b"again" + digest, "sha256")


def _renaming(key: bytes) -> bytes:
    return hmac.digest(key, b"renaming", "sha256")


def _renamed(renaming: bytes, pseudonym: int) -> int:
    return _positive(hmac.digest(renaming, pseudonym.to_bytes(8, "big"), "sha256"))


def renamer(renaming: bytes) -> Callable[[int], int]:
    """What gives each pseudonym its new one, made from :attr:`Keys.renaming`."""
    return lambda pseudonym: _renamed(renaming, pseudonym)


def _positive(digest: bytes) -> int:
    return (int.from_bytes(digest[:8], "big") >> 1) or 1


def read_key(folder: Path) -> bytes:
    """The key in use: of the environment variable JALON_KEY, or of the file, made if absent.

    Raises:
        DataError: a secret that is too short, or a damaged file.
    """
    given = os.environ.get("JALON_KEY")
    if given is not None:
        return check_secret(given, "JALON_KEY")
    file = folder / KEY_FILE
    if not file.exists():
        write_key(file)
    text = file.read_text(encoding="ascii").strip()
    if len(text) != 64:
        raise DataError(
            f"reading '{file}'",
            expected="64 hexadecimal digits",
            got=f"{len(text)} characters",
            hint="Restore the file from a backup; pseudonyms depend on it.",
        )
    return bytes.fromhex(text)


def check_secret(given: str, variable: str) -> bytes:
    """A key made from a secret of the environment.

    Raises:
        DataError: fewer than 16 characters.
    """
    if len(given) < 16:
        raise DataError(
            f"reading the environment variable {variable}",
            expected="a secret of at least 16 characters",
            got=f"{len(given)} characters",
            hint="Generate one: python -c 'import secrets; print(secrets.token_hex(32))'.",
        )
    return hashlib.sha256(given.encode()).digest()


def write_key(file: Path) -> None:
    """Write a new key whole or not at all; another process may be first."""
    unfinished = file.with_name(f".identity.key.{secrets.token_hex(8)}")
    handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(32) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    with suppress(FileExistsError):
        os.link(unfinished, file)
    unfinished.unlink()
