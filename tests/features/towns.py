"""A small town of two services whose people are known by several numbers, ingested for real."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from features.ingest import ingest
from features.settings import FeaturesSettings
from features.territory import Territory

__all__ = ["PEOPLE", "dossier", "export", "number", "opened", "settings_of"]

PEOPLE = 12
TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 4
  identity: {rules: [[emploi], [social]]}
  sources:
    social:
      service: social
      reader: csv
      options: {delimiter: ";"}
      person: {system: social, columns: dossier}
      persons:
        - path: "personnes.csv"
          keys: {social: dossier, emploi: identifiant}
          attributes: {first_name: prenom, last_name: nom, email: courriel}
      tables:
        - path: "rdv*.csv"
          row_key: id
          contract: {heures: {type: number, max: 35}}
          events:
            - code: "CONTACT//APPOINTMENT//{statut}"
              values: {statut: {HON: SEEN, ABS: NOSHOW}}
              time: le
              recorded_at: saisi
    emploi:
      service: emploi
      reader: csv
      options: {delimiter: ";"}
      person: {system: emploi, columns: identifiant}
      tables:
        - path: "offres.csv"
          row_key: id
          events:
            - {code: "EMPLOYMENT//JOB//STARTED", time: le, recorded_at: saisi}
"""
FIRST = ("Aline", "Bruno", "Chloe", "David", "Emma", "Farid", "Gilda", "Hugo", "Ines", "Jules",
         "Katia", "Louis")  # fmt: skip


def dossier(person: int) -> str:
    """The social service's number."""
    return f"DOS-{person:05d}-{person * 7919 % 1000:03d}"


def number(person: int) -> str:
    """The employment service's number."""
    return f"FT{person * 104729:09d}"


def export(folder: Path, *, more: bool = False) -> None:
    """Write the exports; `more` adds a later file that tells of everyone again."""
    folder.mkdir(exist_ok=True)
    persons = ["dossier;identifiant;prenom;nom;courriel"]
    jobs = ["id;identifiant;le;saisi"]
    visits = ["id;dossier;le;saisi;statut;heures"]
    for n in range(PEOPLE):
        name = FIRST[n]
        persons.append(f"{dossier(n)};{number(n)};{name};Martin{n};{name.lower()}{n}@exemple.fr")
        jobs.append(f"o{n};{number(n)};{date(2024, 2, 1)};{date(2024, 2, 2)}")
        for k in range(6):
            day = date(2023, 1, 10) + timedelta(days=60 * k + n)
            status = "ABS" if (n + k) % 3 == 0 else "HON"
            row = f"v{n}-{k};{dossier(n)};{day};{day + timedelta(days=1)};{status};2"
            visits.append(row)
            if k == 2:  # corrected later
                visits.append(row.replace(str(day + timedelta(days=1)), "2024-01-01"))
                visits[-1] = visits[-1].replace(";HON;", ";ABS;")
        # Set aside: a code that the mapping does not list, and a line that cannot be split.
        visits.append(f"x{n};{dossier(n)};2023-05-05;2023-05-06;???;2")
        visits.append(f"y{n};{dossier(n)};2023-05-05;2023-05-06;HON;2;too;many")
    (folder / "personnes.csv").write_text("\n".join(persons) + "\n")
    (folder / "offres.csv").write_text("\n".join(jobs) + "\n")
    (folder / "rdv.csv").write_text("\n".join(visits) + "\n")
    if more:
        later = [visits[0]]
        later += [f"z{n};{dossier(n)};2024-06-01;2024-06-02;HON;1" for n in range(PEOPLE)]
        (folder / "rdv-2024.csv").write_text("\n".join(later) + "\n")


def opened(folder: Path, *, more: bool = False, text: str = TERRITORY) -> Territory:
    """Export and ingest; the exports lie beside the work folder, which is not theirs."""
    export(folder / "exports", more=more)
    file = folder / "town.yaml"
    file.write_text(text)
    territory = Territory.open(file, home=folder / "home", data=folder / "exports")
    ingest(territory)
    return territory


def settings_of(territory: Territory) -> FeaturesSettings:
    """Its `features:` section."""
    return territory.section("features", FeaturesSettings)
