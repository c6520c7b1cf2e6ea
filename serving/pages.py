"""The landing page: what runs here, for whoever opens the address."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from features.facts import day_text
from serving.settings import Language
from serving.wording import text

if TYPE_CHECKING:
    from serving.state import ServiceState

__all__ = ["FEW", "landing"]

FEW = 11
"""Counts of people under this are not shown."""

ROUTES = (
    ("POST", "/score", "score", True),
    ("POST", "/score_timelines", "score_timelines", True),
    ("GET", "/healthz", "healthz", False),
    ("GET", "/readyz", "readyz", False),
    ("GET", "/openapi.json", "openapi", False),
)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("landing.html")


def landing(state: ServiceState, lang: Language, address: str) -> str:
    """The page as HTML, complete in itself but for its own style sheet.

    Args:
        state: The service's; when nothing is loaded the page says so.
        lang: Language of every text.
        address: Where this service answers, for the example.
    """

    def say(key: str, **values: Any) -> str:
        return text(key, lang, **values)

    return _template().render(
        t=say,
        lang=lang,
        address=address,
        other="en" if lang == "fr" else "fr",
        territory=state.territory.name if state.territory else "?",
        ready=state.scorer is not None,
        facts=_facts(state, lang, say),
        routes=[(method, path, say(f"route.{key}"), keyed) for method, path, key, keyed in ROUTES],
    )


def _facts(state: ServiceState, lang: Language, say: Any) -> list[tuple[str, str]]:
    ready = say("page.ready") if state.scorer else say("page.unready")
    scorer = state.scorer
    if scorer is None:
        return [(say("page.model"), say("page.no_model")), (say("page.state"), ready)]
    version = say("page.model_version", name=scorer.model_name, version=scorer.champion.version)
    facts = [
        (say("page.services"), ", ".join(scorer.features.services)),
        (say("page.model"), version),
        (say("page.horizon"), say("page.horizon_days", days=scorer.training.horizon_days)),
    ]
    latest = scorer.latest_run()
    if latest is None:
        facts.append((say("page.people"), say("page.people_none")))
    else:
        count = format_decimal(latest.people, locale=lang)
        few = say("page.people_few", count=FEW)
        facts.append((say("page.people"), count if latest.people >= FEW else few))
        day = day_text(latest.local_day, lang)
        facts.append((say("page.at"), day))
    return [*facts, (say("page.state"), ready)]
