"""Identity: the only room that sees an identifier; every other one sees keyed pseudonyms."""

from features.identity.keys import SEPARATOR
from features.identity.vault import ERASED, Act, Linked, Met, Vault

__all__ = ["ERASED", "SEPARATOR", "Act", "Linked", "Met", "Vault"]
