"""The page and its API over HTTP: who is let in, what is shown, what is answered, and what stays harmless."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import LIMIT_S, World, new_world
from tests.contract.web.world import Served, hidden, served

_SCRIPT = "<script>alert(1)</script>"
_AGENT = f"""\
echo '{_SCRIPT}' | tee app.txt
mkdir -p $ARTIFACTS
echo '# {_SCRIPT}' > $ARTIFACTS/notes.md
"""
_PIPELINE = f"""\
version: 1
agents:
  own: {{use: command, run: [bash, agent]}}
stages:
  code:
    agent: own
    produces:
      notes: {{file: notes.md}}
    gates:
      - {{id: made, run: test -s app.txt}}
      - {{id: look, approve: "Is {_SCRIPT} right?"}}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = new_world(tmp_path_factory.mktemp("web"), {"interlock.yaml": _PIPELINE, "agent": _AGENT})
    assert made.ask("run", "-t", f"Do {_SCRIPT}", "--plain").code == 3
    return made


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Served]:
    with served(world) as one:
        yield one


@pytest.fixture(scope="module")
def run(world: World) -> str:
    return str(world.show()["id"])


def test_without_the_token_there_is_nothing(site: Served, run: str) -> None:
    with site.client(known=False) as client:
        for path in ("/", f"/runs/{run}", "/api/v1/runs", "/static/page.js", "/?token=wrong"):
            assert client.get(path).status_code == 401, path
        assert client.get("/api/v1/runs", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/api/v1/runs", headers={"authorization": f"Bearer {site.token}"}).status_code == 200


def test_the_token_leaves_the_address_and_becomes_a_cookie(site: Served) -> None:
    with site.client(known=False) as client:
        answer = client.get(f"/?token={site.token}&q=x")
        assert (answer.status_code, answer.headers["location"]) == (303, "/?q=x")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert site.token not in cookie


def test_another_host_or_site_is_refused(site: Served, run: str) -> None:
    with site.client() as client:
        assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        form = {"action": "cancel", "csrf": _csrf(client.get(f"/runs/{run}").text)}
        path = f"/runs/{run}/answers"
        assert client.post(path, data=form, headers={"origin": "http://evil.example"}).status_code == 403
        assert client.post(path, data=form).status_code == 403  # no origin: no browser of ours
        own = {"origin": site.base}
        assert client.post(path, data={**form, "csrf": "wrong"}, headers=own).status_code == 403
        assert client.post(path, data={**form, "action": "destroy"}, headers=own).status_code == 400
        assert client.post(path, content=b"x" * 200_000, headers=own).status_code == 413


def test_a_run_is_started_by_our_own_form_alone(site: Served, world: World) -> None:
    own = {"origin": site.base}
    with site.client() as client:
        before = len(client.get("/api/v1/runs").json()["runs"])
        form = {"task": "Do it.", "pipeline": "interlock.yaml", "csrf": _csrf(client.get("/").text)}
        assert client.post("/runs", data={**form, "csrf": "wrong"}, headers=own).status_code == 403
        assert client.post("/runs", data=form, headers={"origin": "http://evil.example"}).status_code == 403
        for wrong in ({"pipeline": "/etc/passwd"}, {"pipeline": "--help"}, {"inputs": "no equals"}, {"task": ""}):
            refused = client.post("/runs", data={**form, **wrong}, headers=own)
            assert refused.status_code == 400, wrong
            assert "root:" not in refused.text
        kept = client.post("/runs", data={**form, "task": "Do <it>.", "inputs": "no equals"}, headers=own).text
        assert ">\nDo &lt;it&gt;.</textarea>" in kept
        assert ">\nno equals</textarea>" in kept
        assert "an input is NAME=VALUE" in kept
        assert '<details class="act" id="start" open>' in kept
        assert len(client.get("/api/v1/runs").json()["runs"]) == before


def test_every_answer_carries_the_headers_that_keep_scripts_out(site: Served) -> None:
    with site.client() as client:
        for path in ("/", "/static/page.css", "/nothing"):
            headers = client.get(path).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"


def test_what_others_wrote_is_text(site: Served, run: str) -> None:
    with site.client() as client:
        pages = [client.get(path).text for path in ("/", f"/runs/{run}", f"/runs/{run}/attempts/code/1.1")]
    for page in pages:
        assert _SCRIPT not in page
        assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("path", [
    "/static/../../pages.py", "/static/%2e%2e/pages.py", "/static/..%2f..%2fpages.py", "/runs/../../etc/passwd",
    "/runs/nothing", "/runs/%2e%2e%2f%2e%2e", "/api/v1/runs/nothing",
])  # fmt: skip
def test_a_path_that_leads_elsewhere_is_not_found(site: Served, path: str) -> None:
    with site.client() as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert "import " not in answer.text


def test_the_api_says_what_the_command_line_says(site: Served, world: World, run: str) -> None:
    with site.client() as client:
        assert client.get(f"/api/v1/runs/{run}").json() == world.ask("show", run, "--json").json()
        assert client.get("/api/v1/runs").json() == world.ask("list", "--json").json()
        told = client.get(f"/api/v1/runs/{run}/attempts/code/1.1").json()
        assert told == world.ask("show", run, "code/1.1", "--json").json()
        assert client.get(f"/api/v1/runs/{run}/stages/none").status_code == 404
        document = client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert "/api/v1/runs/{run}" in document["paths"]


def test_events_come_with_numbers_and_go_on_behind_the_last_one(site: Served, run: str, world: World) -> None:
    last = world.show()["seq"]
    with site.client() as client:
        for after in (0, last - 2):
            seen = []
            with client.stream("GET", f"/api/v1/runs/{run}/events", headers={"last-event-id": str(after)}) as stream:
                for line in stream.iter_lines():
                    if line.startswith("id: "):
                        seen.append(int(line[4:]))
                    if seen and seen[-1] == last:
                        break
            assert seen == list(range(after + 1, last + 1))


def test_the_stream_of_a_run_ends_with_it_and_then_there_is_none(site: Served, world: World) -> None:
    assert world.ask("run", "-t", "Cancelled soon.", "--plain").code == 3
    run = max(one["id"] for one in world.ask("list", "--json").json()["runs"])
    world.ask("cancel", run, "--plain")
    last = world.show(run)["seq"]
    with site.client() as client:
        for after, status in ((0, 200), (last - 1, 200), (last, 204)):
            answer = client.get(f"/api/v1/runs/{run}/events", headers={"last-event-id": str(after)})
            assert answer.status_code == status
            seen = [int(line[4:]) for line in answer.text.splitlines() if line.startswith("id: ")]
            assert seen == list(range(after + 1, last + 1))


def test_a_finding_leads_to_its_line(site: Served, run: str) -> None:
    with site.client() as client:
        page = client.get(f"/runs/{run}/attempts/code/1.1").text
    assert re.search(r'class="l added" id="f-app.txt-L1"', page)
    assert "interlock diff" in page


def test_an_approval_is_journalled_with_who_and_where_and_the_run_goes_on(world: World) -> None:
    assert world.ask("run", "-t", "Another.", "--plain").code == 3
    run = max(one["id"] for one in world.ask("list", "--json").json()["runs"])
    with served(world) as site, site.client() as client:
        page = client.get(f"/runs/{run}").text
        form = {**hidden(page), "action": "approve", "comment": "fine"}
        answer = client.post(f"/runs/{run}/answers", data=form, headers={"origin": site.base})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"/runs/{run}?answer=")
    end = time.monotonic() + LIMIT_S
    while not world.show(run)["answers"]:  # until the process that goes on with it has come that far
        assert time.monotonic() < end
    assert world.ask("watch", run, "--plain").code == 0
    view = world.show(run)
    assert view["phase"] == "accepted"
    assert view["answers"][0]["by"].endswith(" (web)")
    assert view["answers"][0]["comment"] == "fine"


def test_mcp_over_http_with_the_same_token(world: World) -> None:
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    with served(world, "--mcp") as site, site.client(known=False) as client:
        accept = {"accept": "application/json, text/event-stream"}
        known = {**accept, "authorization": f"Bearer {site.token}"}
        assert client.post("/mcp/", json=hello, headers=accept).status_code in (401, 403)
        answer = client.post("/mcp/", json=hello, headers=known)
        assert answer.status_code == 200, answer.text
        assert '"serverInfo"' in answer.text


def test_other_interfaces_need_a_word_and_answers_need_agents(world: World) -> None:
    world.ask("serve", "--host", "0.0.0.0").ended(2, "--allow-remote")
    world.ask("serve", "--allow-answers").ended(2, "--mcp")


def test_the_token_is_for_its_owner_and_outlives_a_restart(world: World) -> None:
    with served(world) as first:
        pass
    with served(world) as second:
        assert second.token == first.token
    with served(world, "--new-token") as third:
        assert third.token != first.token
    path = next(Path(world.root / "state").rglob("web-token"))
    assert path.stat().st_mode & 0o077 == 0


def _csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found, json.dumps(page[:2000])
    return found[1]


def test_an_empty_token_lets_nobody_in(world: World) -> None:
    with served(world):
        pass
    (file,) = (world.root / "state").rglob("web-token")
    file.write_text("")  # of a machine that lost its power
    with served(world) as site, site.client(known=False) as client:
        assert client.get("/", headers={"authorization": "Bearer"}).status_code == 401
        assert client.get("/?token=").status_code == 401


def test_a_form_with_a_nul_is_refused_with_a_reason(site: Served) -> None:
    with site.client() as client:
        page = client.get("/").text
        given = {**dict(re.findall(r'name="(csrf)" value="([^"]*)"', page)), "task": "x", "pipeline": "quick"}
        answer = client.post("/runs", data={**given, "inputs": "a=\0"}, headers={"origin": site.base})
        assert (answer.status_code, "NUL character" in answer.text) == (400, True)
        assert 'src="/static/decision.js"' in page  # a form is sent once
