"""Two exports of a French service, as it would write them: windows-1252, semicolons, d/m/Y."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from stdnum.fr import nir

APPOINTMENTS = "N° RDV;N° dossier;nom;date_rdv;statut;date_statut;date_création;durée;commentaire"
PERSONS = "N° dossier;NIR;nom;prénom;date_naissance;téléphone"
STATUSES = ("HON", "HON", "ABS", "HON", "EXC", "HON", "ANN", "ABS", "HON", "REP")
NAMES = ("MARTIN", "DURAND", "LEFÈVRE", "PETIT", "NOËL")
FIRST = ("Éloïse", "Zoé", "André", "Inès")


def number_of(person: int) -> str:
    """A valid NIR, of nobody."""
    start = f"{1 + person % 2}{60 + person % 35}{1 + person % 12:02}35{101 + person}{1 + person:03}"
    return start + nir.calc_check_digits(start)


def write_appointments(folder: Path, rows: int = 200) -> None:
    """Appointments of forty people; one in twenty has no outcome yet."""
    lines = [APPOINTMENTS]
    for n in range(rows):
        person = n * 7 % 40
        day = date(2024, 1, 8) + timedelta(days=n * 3 % 500)
        made = day - timedelta(days=5 + n % 20)
        open_ = n % 20 == 19
        status = "" if open_ else STATUSES[n * 3 % 10]
        told = "" if open_ else f"{day + timedelta(days=n % 3):%d/%m/%Y}"
        remark = f"rappeler au 06 11 22 33 {person:02}" if n % 9 == 0 else ""
        fields = [f"R{n + 1:05}", f"D{person:04}", NAMES[person % 5], f"{day:%d/%m/%Y} 14:30"]
        fields += [status, told, f"{made:%d/%m/%Y}", f"0,{25 + 25 * (n % 3)}", remark]
        lines.append(";".join(fields))
    write(folder / "rendez_vous.csv", lines)


def write_persons(folder: Path) -> None:
    """Who has which number; one in eight has no NIR."""
    lines = [PERSONS]
    for n in range(40):
        born = date(1970, 1, 1) + timedelta(days=n * 211)
        fields = [f"D{n:04}", "" if n % 8 == 7 else number_of(n), NAMES[n % 5], FIRST[n % 4]]
        lines.append(";".join([*fields, f"{born:%d/%m/%Y}", f"06112233{n:02}"]))
    write(folder / "personnes.csv", lines)


def write(file: Path, lines: list[str]) -> None:
    """As a French Windows writes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(("\r\n".join(lines) + "\r\n").encode("windows-1252"))
