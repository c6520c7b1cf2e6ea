"""What the running service holds: its territory from the environment, opened when it can be."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import ConfigurationError, JalonError
from features.territory import Territory
from serving.settings import Language, ServingSettings

if TYPE_CHECKING:
    from serving.answering import Scorer
    from serving.database import Database

__all__ = ["HOME_VARIABLE", "TERRITORY_VARIABLE", "ServiceState", "territory_from_environment"]

log = logging.getLogger(__name__)

TERRITORY_VARIABLE = "JALON_TERRITORY"
HOME_VARIABLE = "JALON_TERRITORY_HOME"
RETRY_SECONDS = 5.0


def territory_from_environment() -> Territory:
    """The territory named by `JALON_TERRITORY` (file), its work folder by `JALON_TERRITORY_HOME`.

    Raises:
        ConfigurationError: the variable is not set, or names no territory.
    """
    file = os.environ.get(TERRITORY_VARIABLE)
    if not file:
        raise ConfigurationError(
            f"starting the service: {TERRITORY_VARIABLE}",
            expected="the path of a territory file",
            got="nothing",
            hint="Start it with 'jalon serve', or set the variable.",
        )
    home = os.environ.get(HOME_VARIABLE)
    return Territory.open(Path(file), home=home or None)


class ServiceState:
    """The opened territory of one server process.

    The service starts even when there is nothing to serve yet, and says so at `/readyz`; it tries
    again from there, at most every few seconds.

    Attributes:
        settings: The `serving:` section; defaults until the file is read.
        database: The state database, once open.
        scorer: What answers, once champion and timelines are loaded.
    """

    def __init__(self) -> None:
        self.settings = ServingSettings()
        self.territory: Territory | None = None
        self.database: Database | None = None
        self.scorer: Scorer | None = None
        self._lock = threading.Lock()
        self._tried = -RETRY_SECONDS

    @property
    def language(self) -> Language:
        """The territory's language."""
        return self.settings.language

    def load(self) -> bool:
        """Open what is not open yet, once per few seconds; True when everything is."""
        if self.scorer is not None:
            return True
        with self._lock:
            if self.scorer is None and time.monotonic() - self._tried >= RETRY_SECONDS:
                self._tried = time.monotonic()
                try:
                    self._open()
                except JalonError as error:
                    log.warning("not ready: %s", error)
        return self.scorer is not None

    def _open(self) -> None:
        from serving.answering import Scorer
        from serving.database import Database

        if self.territory is None:
            territory = territory_from_environment()
            self.settings = territory.section("serving", ServingSettings)
            self.territory = territory
        if self.database is None:
            self.database = Database.open(self.territory, self.settings)
        scorer = Scorer.open(self.territory, self.database)
        scorer.warm()
        self.scorer = scorer

    def close(self) -> None:
        """Give back the connections."""
        if self.database is not None:
            self.database.close()
