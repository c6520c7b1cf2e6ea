"""The report of a source: golden figures, both languages, readable by everyone, no person in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from features.contracts import RULES
from features.facts import LANGUAGES
from features.heartbeat import heartbeat, weeks
from features.quality import REASONS, FileFigures, IngestReport, SourceFigures
from features.report_pages import Words, page_of, pages_of, write_pages

GOLDEN = Path(__file__).with_name("golden_report.json")


def report() -> IngestReport:
    visits = FileFigures("social", "visits.csv", "visits.csv", rows=1200, mapped=1190)
    visits.without_event, visits.events, visits.versions, visits.duplicates = 3, 1180, 4, 6
    visits.first, visits.last = "2025-01-06T08:00:00", "2025-03-07T08:00:00"
    visits.delays[2], visits.delays[30] = 900, 280
    for _ in range(4):
        visits.refused("unknown_code", "statut")
    visits.refused("contract", "heures", RULES["max"])
    visits.refused("bad_date", "le <b>&")
    visits.refused("wrong_number_of_columns", None)
    visits.unknown = Counter({"statut=A-REVOIR": 4})
    visits.filled = {"statut": [1200, 1200], "heures": [1199, 1200], "motif": [0, 1200]}
    gone = FileFigures("social", "visits.csv", "old.csv", rows=10, mapped=10, events=10, gone=True)
    start = date(2025, 1, 6)
    days = {start + timedelta(7 * week + day): 20 for week in range(9) for day in range(5)}
    feed = heartbeat([*days], date(2025, 4, 30))
    never = SourceFigures("health", "health", (), heartbeat([], date(2025, 4, 30)))
    return IngestReport(
        sources=[SourceFigures("social", "social", (visits, gone), feed, weeks(days)), never],
        added=1184,
        read=1,
        skipped=0,
        failures=["social: reading 'contracts.csv'. Expected a file; got a folder."],
        identity={"persons": 3},
        subjects=3,
        version=4,
        places={},
        seconds=1.25,
        when=datetime(2025, 5, 1, tzinfo=UTC),
    )


class Page(HTMLParser):
    """What a page holds: its texts by tag, its tags, and its references."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.cells.append((self.open[-1], re.sub(r"[ \n\t]+", " ", data).strip(" ")))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def texts(self, tag: str) -> list[str]:
        return [text for name, text in self.cells if name == tag]


def test_the_figures_are_those_of_the_golden_report() -> None:
    made = json.loads(json.dumps(report().as_dict()))
    assert made == json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pages_are_whole_accessible_and_self_contained(lang: str) -> None:
    made = report()
    for html in (page_of(made.sources[0], made, lang), pages_of(made, lang),
                 page_of(made.sources[1], made, lang)):  # fmt: skip
        page = Page(html)
        assert page.open == []
        assert page.all("html") == [{"lang": lang}]
        assert len(page.all("h1")) == 1
        assert len(page.all("title")) >= 1
        assert len(page.texts("caption")) == len(page.all("table"))
        assert all(attrs.get("scope") in {"col", "row"} for attrs in page.all("th"))
        for drawn in page.all("svg"):
            assert drawn["role"] == "img"
            assert drawn["aria-labelledby"]
        assert not {"script", "link", "img", "iframe", "form"} & {tag for tag, _ in page.tags}
        assert not re.search(r"https?://|url\(|@import|\son\w+=", html)
        outside = [a["href"] for a in page.all("a") if not re.fullmatch(
            r"(\.\./)?(sources/)?[a-z]+(\.en)?\.html", a["href"] or "")]  # fmt: skip
        assert outside == []


def test_the_french_page_says_what_a_reader_needs() -> None:
    made = report()
    html = page_of(made.sources[0], made, "fr")
    text = " ".join(text for _, text in Page(html).cells)
    assert "«\u00a0values\u00a0»" in text
    text = text.replace("\u00a0", " ")
    assert "Aucune saisie depuis le 7 mars 2025, soit 54 jours." in text
    assert "Le silence d'une source n'est pas celui des personnes" in text
    assert "code absent de la correspondance" in text
    assert "Ajouter le code à « values », puis relancer avec --retry." in text
    assert "valeur contraire au contrat de la table : valeur au-dessus du maximum" in text
    assert "La moitié des faits est saisie en 2 jours au plus, neuf sur dix en 30 jours" in text
    assert "1\u202f210" in text
    assert "99,9\u202f%" in text
    assert "fichier retiré des exports" in text
    assert "statut=A-REVOIR" in text
    assert "reading 'contracts.csv'" in text
    assert "le <b>&" in text
    assert "<b>" not in html


def test_every_bar_of_the_chart_stands_in_its_table() -> None:
    made = report()
    page = Page(page_of(made.sources[0], made, "en"))
    assert len(page.all("rect")) == len([n for n in made.sources[0].activity.values() if n]) == 9
    weeks_told = [text for text in page.texts("th") if text.endswith("2025")]
    assert "6 January 2025" in weeks_told
    assert "3 March 2025" in weeks_told


def test_silent_sources_are_named_in_every_place() -> None:
    made = report()
    assert made.as_dict()["silent"] == ["social", "health"]
    assert "social: nothing since 2025-03-07, 54 days; it used to every 1 day(s)" in made.text()
    assert "health: no event at all" in made.text()
    index = " ".join(text for _, text in Page(pages_of(made, "en")).cells)
    assert "Some sources have stopped sending." in index
    assert "No entry since 7 March 2025, 54 days ago." in index


def test_pages_and_figures_are_written(tmp_path: Path) -> None:
    made = report()
    write_pages(made, tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    names = ("health", "social")
    expected = {f"sources/{name}{end}" for name in names for end in (".json", ".html", ".en.html")}
    assert found == expected | {"sources.html", "sources.en.html"}
    written = json.loads((tmp_path / "sources" / "social.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(made.sources[0].as_dict()))


def test_every_reason_and_rule_has_its_words_in_both_languages() -> None:
    french, english = Words.of("fr").texts, Words.of("en").texts
    assert french.keys() == english.keys()
    wanted = {f"{kind}.{code}" for kind in ("reason", "remedy") for code in REASONS}
    wanted |= {f"rule.{rule}" for rule in RULES}
    assert wanted <= french.keys()
    for key, text in french.items():
        places = set(re.findall(r"\{(\w+)\}", text))
        assert places == set(re.findall(r"\{(\w+)\}", english[key])), key


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_texts_and_lines_have_contrast() -> None:
    style = page_of(report().sources[0], report(), "fr").partition("</style>")[0]
    colours = set(re.findall(r"#[0-9a-f]{6}", style))
    grounds = {"#fdeeee", "#eef4fb"}
    for colour in colours - grounds - {"#767676"}:
        assert all(contrast(colour, ground) >= 4.5 for ground in (*grounds, "#ffffff"))
    assert contrast("#767676", "#ffffff") >= 3


def test_the_page_on_quality_names_every_reason() -> None:
    page = (Path(__file__).parents[2] / "docs" / "quality.md").read_text(encoding="utf-8")
    words = Words.of("en")
    for code, said in REASONS.items():
        assert f"| `{code}` | {said} | {words.remedy(code)} |" in page
