"""The service as another institution sees it: a real process, real HTTP."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from features.timelines import Timelines
from serving.access import new_key, revoke_key
from serving.database import Score
from serving.guard import OPEN_PATHS
from serving.openapi import description
from serving.problems import CODES
from serving.schemas import Answer
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from tests.serving.conftest import Server

PERSON_ROUTES = ("/score", "/score_timelines")
FRAMEWORK_ROUTES = ("/docs.json", "/schema.json", "/metrics", "/static_content/index.js")
WORDS = ("persons", "id", "system", "timelines", "events", "prediction_time", "lang", "code",
         "recorded_at", "time", "source", "numeric_value")  # fmt: skip
NOWHERE = ("/score/", "/score/D0000001", "/v1/score", "/static/../settings.py", "/admin")


def post(client: httpx.Client, path: str, body: Any, **options: Any) -> httpx.Response:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    headers = {"Content-Type": "application/json"} | options.pop("headers", {})
    return client.post(path, content=content, headers=headers, **options)


def problem(response: httpx.Response, code: str) -> dict[str, Any]:
    assert response.status_code == CODES[code], response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["code"] == code
    assert body["status"] == response.status_code
    assert body["instance"] == f"urn:uuid:{response.headers['x-request-id']}"
    return body


def events_of(server: Server, dossier: str) -> list[dict[str, Any]]:
    """All that is stored of a person, as the body of a request says it."""
    subject = server.town.subjects([dossier])[0]
    rows = Timelines.open(server.town.territory.home / "timelines").person(subject).to_pylist()
    for row in rows:
        del row["subject_id"]
        for name in ("time", "recorded_at", "end_time"):
            row[name] = row[name].isoformat() + "Z" if row[name] else None
    return rows


def stored_scores(server: Server) -> int:
    database = server.town.database()
    with database.engine.connect() as connection:
        count = connection.execute(select(func.count()).select_from(Score)).scalar_one()
    database.close()
    return int(count)


# Access


def test_every_route_but_the_open_ones_refuses_a_caller_without_a_key(server: Server) -> None:
    from serving.service import Jalon

    app = Jalon.to_asgi()
    while not hasattr(app, "routes"):
        app = app.app
    paths = {route.path for route in app.routes if hasattr(route, "path")}
    mounted = {r.path for route in app.routes for r in getattr(route, "routes", None) or ()}
    paths |= mounted | set(description()["paths"]) | set(FRAMEWORK_ROUTES) | set(NOWHERE)
    assert paths >= {*PERSON_ROUTES, "/healthz", "/readyz", "/schema.json"}
    assert not OPEN_PATHS & set(PERSON_ROUTES)
    said = set()
    with server.client(None) as client:
        for path in sorted(paths - OPEN_PATHS - {""}):
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                response = client.request(method, path.replace("{path:path}", "x"))
                body = problem(response, "unauthorized")
                assert response.headers["www-authenticate"].startswith("Bearer")
                said.add(json.dumps({k: v for k, v in body.items() if k != "instance"}))
        for path in OPEN_PATHS:
            assert client.get(path).status_code == 200, path
    assert len(said) == 1


@pytest.mark.parametrize("path", PERSON_ROUTES)
@pytest.mark.parametrize(
    "header",
    [None, "Bearer", "Bearer x", "Basic {key}", "{key}", "Bearer {key}0", "Bearer {other}"],
)
def test_a_wrong_key_gets_the_same_answer_as_none(
    server: Server, path: str, header: str | None
) -> None:
    key = server.town.keys["social"]
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    headers = {"Authorization": header.format(key=key, other=other)} if header else {}
    with server.client(None) as client:
        body = problem(post(client, path, {}, headers=headers), "unauthorized")
    assert body["detail"] == "Une clé valable est nécessaire dans l'en-tête Authorization: Bearer."


def test_a_revoked_key_is_refused_at_once(server: Server) -> None:
    database = server.town.database()
    key = new_key(database, ("social",), "social")
    headers = {"Authorization": f"Bearer {key}"}
    body = {"persons": [{"id": "nobody"}]}
    with server.client(None) as client:
        assert post(client, "/score", body, headers=headers).status_code == 200
        revoke_key(database, key.split("_")[1])
        problem(post(client, "/score", body, headers=headers), "unauthorized")
    database.close()


def test_a_service_uses_its_own_systems_of_identifiers(server: Server) -> None:
    with server.client("health") as client:
        for system in ("nir", "no-such-system"):
            asked = {"persons": [{"id": "1"}, {"id": "1850275056789", "system": system}]}
            body = problem(post(client, "/score", asked), "invalid_body")
            assert [fault["field"] for fault in body["errors"]] == ["persons[1].system"]


def test_known_callers_are_told_what_does_not_exist(server: Server) -> None:
    with server.client() as client:
        problem(client.get("/score/D0000001"), "not_found")
        problem(client.get("/score"), "method_not_allowed")
        problem(client.get("/metrics"), "not_found")


# Scores


def test_two_services_get_the_same_score_of_the_same_person(server: Server) -> None:
    chosen = server.town.at_risk(5, among=list(server.town.same))
    with server.client("social") as social, server.client("employment") as employment:
        ours = post(social, "/score", {"persons": [{"id": d} for d in chosen]})
        theirs = post(
            employment, "/score", {"persons": [{"id": server.town.same[d]} for d in chosen]}
        )
    assert ours.status_code == theirs.status_code == 200, (ours.text, theirs.text)
    assert ours.json() == theirs.json()
    answer = Answer.model_validate(ours.json())
    assert [item.index for item in answer.results] == list(range(5))
    for item in answer.results:
        assert item.status == "scored"
        assert item.reasons is not None
        told = [*item.reasons.raises, *item.reasons.lowers]
        assert max(len(item.reasons.raises), len(item.reasons.lowers)) <= 5
        assert len(told) >= 3
        assert all(reason.facts for reason in told)
    assert answer.model_version == server.town.report.model.split()[-1]
    assert answer.prediction_time == server.town.report.prediction_time


def test_the_answer_is_the_stored_score(server: Server) -> None:
    dossier = server.town.at_risk(1)[0]
    subject = server.town.subjects([dossier])[0]
    with server.client() as client:
        item = post(client, "/score", {"persons": [{"id": dossier}]}).json()["results"][0]
    database = server.town.database()
    with database.engine.connect() as connection:
        row = connection.execute(
            select(Score.__table__).where(Score.score_id == item["score_id"])
        ).one()
    database.close()
    assert (row.subject_id, row.risk) == (subject, item["risk"])


def test_unknown_people_and_closed_pathways_are_answers_not_failures(server: Server) -> None:
    known, closed = server.town.at_risk(1)[0], server.town.not_at_risk(1)[0]
    asked = {"persons": [{"id": "D9999999"}, {"id": known}, {"id": closed}, {"id": 12}]}
    with server.client() as client:
        response = post(client, "/score", asked)
    assert response.status_code == 200
    results = response.json()["results"]
    wanted = ["unknown_person", "scored", "not_at_risk", "unknown_person"]
    assert [item["status"] for item in results] == wanted
    assert results[0]["message"].startswith("Identifiant inconnu")
    assert "risk" not in results[2]
    assert "D9999999" not in response.text


def test_english_at_a_switch(server: Server) -> None:
    dossier = server.town.at_risk(1)[0]
    persons = [{"id": dossier}, {"id": "nobody"}]
    with server.client() as client:
        french = post(client, "/score", {"persons": persons})
        english = post(client, "/score", {"persons": persons, "lang": "en"})
        header = post(client, "/score", {"persons": persons}, headers={"Accept-Language": "en"})
    assert (french.headers["content-language"], english.headers["content-language"]) == ("fr", "en")
    assert english.json() == header.json()
    one, other = french.json()["results"], english.json()["results"]
    assert one[0]["risk"] == other[0]["risk"]
    assert one[0]["band_label"] in ("élevé", "moyen", "faible")
    assert other[0]["band_label"] in ("high", "medium", "low")
    for way in ("raises", "lowers"):
        for ours, theirs in zip(one[0]["reasons"][way], other[0]["reasons"][way], strict=True):
            assert ours["theme"] == theirs["theme"]
            assert ours["facts"] != theirs["facts"]
    assert other[1]["message"].startswith("Unknown identifier")


def test_an_earlier_prediction_time_is_computed_once_and_stored(server: Server) -> None:
    chosen = server.town.dossiers[:60]
    asked = {"persons": [{"id": d} for d in chosen], "prediction_time": "2025-06-01"}
    with server.client() as client:
        first = post(client, "/score", asked)
        second = post(client, "/score", asked)
    assert first.status_code == 200, first.text
    assert first.json() == second.json()
    assert first.json()["prediction_time"] == "2025-06-01T00:00:00+02:00"
    assert {item["status"] for item in first.json()["results"]} >= {"scored", "not_at_risk"}


def test_the_same_events_in_a_request_give_the_stored_score(server: Server) -> None:
    chosen = server.town.at_risk(6)
    timelines = [{"events": events_of(server, dossier)} for dossier in chosen]
    with server.client() as client:
        stored = post(client, "/score", {"persons": [{"id": d} for d in chosen]}).json()
        given = post(client, "/score_timelines", {"timelines": timelines}).json()
    for ours, theirs in zip(stored["results"], given["results"], strict=True):
        assert "score_id" not in theirs
        assert {k: v for k, v in ours.items() if k != "score_id"} == theirs


def test_timelines_of_a_request_leave_no_trace(server: Server) -> None:
    events = events_of(server, server.town.at_risk(1)[0])
    before = stored_scores(server)
    with server.client() as client:
        asked = {"timelines": [{"events": events}, {"events": []}]}
        response = post(client, "/score_timelines", asked)
    assert [item["status"] for item in response.json()["results"]] == ["scored", "not_at_risk"]
    assert stored_scores(server) == before


def test_eight_clients_at_once_get_what_one_gets(server: Server) -> None:
    chosen = server.town.dossiers[:40]
    asked = {"prediction_time": "2025-03-01"}

    with server.client() as client, ThreadPoolExecutor(8) as pool:

        def ask(dossier: str) -> str:
            response = post(client, "/score", asked | {"persons": [{"id": dossier}]})
            assert response.status_code == 200
            return json.dumps(response.json()["results"][0], sort_keys=True)

        together = list(pool.map(ask, chosen * 2))
        assert together[:40] == together[40:]
        assert together[:40] == [ask(dossier) for dossier in chosen]


# Bodies


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "persons"),
        ([], "(body)"),
        ({"persons": []}, "persons"),
        ({"persons": [{"id": "A"}], "langue": "fr"}, "(unknown key)"),
        ({"persons": [{"id": "A"}], "lang": "de"}, "lang"),
        ({"persons": [{"id": "A"}], "prediction_time": "1999-01-01"}, "prediction_time"),
        ({"persons": [{"id": "A"}], "prediction_time": "soon, please"}, "prediction_time"),
        ({"persons": [{"id": "A"}], "prediction_time": 20250101}, "prediction_time"),
        ({"persons": [{"identifier": "SECRET-77"}]}, "persons[0].id"),
        ({"persons": ["SECRET-77"]}, "persons[0]"),
    ],
)
def test_a_body_not_as_agreed_names_the_field_and_the_rule(
    server: Server, body: Any, field: str
) -> None:
    with server.client() as client:
        response = post(client, "/score", body)
    said = problem(response, "invalid_body")
    assert field in [fault["field"] for fault in said["errors"]]
    assert all(fault["rule"] for fault in said["errors"])
    assert "SECRET-77" not in response.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"persons": [{"id": "\\ud800"}]}', b"[" * 200_000,
     b'{"persons": [{"id": NaN}]', b"\x00" * 50],
)  # fmt: skip
@pytest.mark.parametrize("path", PERSON_ROUTES)
def test_what_is_no_json_is_a_problem_of_the_caller(server: Server, path: str, body: bytes) -> None:
    with server.client() as client:
        problem(post(client, path, body), "invalid_json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"persons": [{"id": NaN}]}',
        b'{"persons": [{"id": 1e999}]}',
        b'{"persons": [{"id": ' + b"9" * 4000 + b"}]}",
        b'{"persons": {"0": {"id": "A"}}}',
        b'{"persons": [{"id": ' + b"[" * 150 + b"]" * 150 + b"}]}",
    ],
)
def test_hostile_values_are_refused(server: Server, body: bytes) -> None:
    with server.client() as client:
        problem(post(client, "/score", body), "invalid_body")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=JSON, path=st.sampled_from(PERSON_ROUTES))
def test_no_body_makes_the_service_fail(server: Server, body: Any, path: str) -> None:
    with server.client() as client:
        response = post(client, path, body)
    assert response.status_code in (200, 400, 413, 422), response.text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": "CONTACT//APPOINTMENT//LOST"}, "code"),
        ({"source": "police"}, "source"),
        ({"recorded_at": "2025-01-01T00:00:00"}, "recorded_at"),
        ({"numeric_value": "many"}, "numeric_value"),
        ({"note": "SECRET-77"}, "(unknown key)"),
    ],
)
def test_events_not_as_agreed_name_the_field(
    server: Server, change: dict[str, Any], field: str
) -> None:
    event = events_of(server, server.town.at_risk(1)[0])[-1]
    with server.client() as client:
        response = post(client, "/score_timelines", {"timelines": [{"events": [event | change]}]})
    fields = [fault["field"] for fault in problem(response, "invalid_body")["errors"]]
    assert f"timelines[0].events[0].{field}" in fields
    assert "SECRET-77" not in response.text


def test_too_much_is_413_however_it_is_sent(server: Server) -> None:
    limits = server.town.territory.section("serving", ServingSettings)
    many = {"persons": [{"id": str(i)} for i in range(limits.max_persons + 1)]}
    huge = b'{"persons": [{"id": "' + b"A" * (limits.max_body_bytes + 1) + b'"}]}'
    with server.client() as client:
        said = problem(post(client, "/score", many), "too_large")
        assert f"{limits.max_persons} personnes" in said["detail"]
        for path in PERSON_ROUTES:
            problem(post(client, path, huge), "too_large")
            pieces = (huge[i : i + 65_536] for i in range(0, len(huge), 65_536))
            headers = {"Content-Type": "application/json"}
            problem(client.post(path, content=pieces, headers=headers), "too_large")
        assert client.get("/readyz").status_code == 200


def test_the_body_must_be_announced_as_json(server: Server) -> None:
    with server.client() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            response = post(client, "/score", b"{}", headers={"Content-Type": kind})
            problem(response, "unsupported_media_type")


# Pages, description, logs


def test_the_landing_page_says_what_runs_here_in_both_languages(server: Server) -> None:
    with server.client(None) as client:
        french = client.get("/", headers={"Accept-Language": "en-GB,en"})
        english = client.get("/", params={"lang": "en"})
        style = client.get("/static/jalon.css")
    assert french.headers["content-language"] == "fr"
    assert '<html lang="fr">' in french.text
    assert '<html lang="en">' in english.text
    for said in ("Personnes évaluées", "1er janvier 2026", "POST /score", "jalon key demo"):
        assert said in french.text
    assert "People scored" in english.text
    people = f"{server.town.report.people}"
    assert people in french.text
    assert people in english.text
    for page in (french, english):
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page.text)
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<script" not in page.text
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text


def test_the_description_is_what_is_served(server: Server) -> None:
    with server.client(None) as client:
        served = client.get("/openapi.json").json()
    assert served == json.loads(json.dumps(description()))
    statuses = {}
    with server.client() as client:
        for path in PERSON_ROUTES:
            operation = served["paths"][path]["post"]
            assert operation["security"] == [{"key": []}]
            example = operation["requestBody"]["content"]["application/json"]["example"]
            response = post(client, path, example)
            assert response.status_code == 200, response.text
            statuses[path] = [item["status"] for item in response.json()["results"]]
    assert statuses["/score_timelines"] == ["scored"]


def test_the_log_names_nobody(server: Server) -> None:
    known = server.town.at_risk(3, among=list(server.town.same))
    secrets = [*known, "D7777777", "SECRET-NAME-1", *(server.town.same[d] for d in known)]
    key = server.town.keys["social"]
    with server.client() as client, server.client("employment") as employment:
        post(client, "/score", {"persons": [{"id": d} for d in [*known, "D7777777"]]})
        post(client, "/score", {"persons": [{"id": d, "SECRET-NAME-1": d} for d in known]})
        post(employment, "/score", {"persons": [{"id": server.town.same[d]} for d in known]})
        post(client, f"/score?id={known[0]}", {"persons": known})
        client.get(f"/score/{known[0]}/SECRET-NAME-1")
        post(client, "/score_timelines", {"timelines": [{"events": events_of(server, known[0])}]})
    log = server.log.read_text(encoding="utf-8")
    assert "POST /score 200" in log
    assert "(unknown path) 404" in log
    subjects = [str(subject) for subject in server.town.subjects(known)]
    for secret in [*secrets, *subjects, key, key.split("_")[2]]:
        assert secret not in log
    assert "Traceback" not in log
