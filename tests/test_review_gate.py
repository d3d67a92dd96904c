"""The review's server: who may speak to it, and what is refused."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from redact.review.gate import MOST_BODY
from tests.conftest import FRAMES
from tests.serving import Client, plan_in, serving

pytestmark = pytest.mark.usefixtures("fake")


def test_the_link_works_once_and_nothing_is_said_without_it(out: Path) -> None:
    with serving(out) as client:
        for path in ("/", "/api/state", "/frame/0", "/static/main.js", "/enter", "/enter?token=", "/enter?token=abc"):
            status, _, data = client.send("GET", path)
            assert (status, b"script" in data) == (403, False), path
        assert client.enter() == 303
        assert client.enter() == 303  # the same browser may go back to it
        assert client.send("GET", "/")[0] == 200
        other = Client(client.link)
        assert other.enter() == 403
        assert other.send("GET", "/api/state", headers={"Cookie": client.cookie[:-1] + "x"})[0] == 403
        assert other.send("GET", "/api/state", headers={"Cookie": "redact-1=" + client.cookie.split("=")[1]})[0] == 403


def test_another_host_is_refused_so_that_no_name_can_be_turned_to_this_machine(client: Client) -> None:
    for host in ("localhost", "evil.example", "127.0.0.1", "127.0.0.1:1", ""):
        status, _, data = client.send("GET", "/api/state", headers={"Host": host})
        assert status in (400, 421), data
        assert b"tracks" not in data


def test_other_pages_can_neither_change_nor_read_anything(client: Client, out: Path) -> None:
    before = plan_in(out)
    body = json.dumps({"revision": 0, "tracks": [1], "share": 0.1}).encode()
    for method, headers, status in (
        ("POST", {"Origin": ""}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("PUT", {}, 405),
        ("OPTIONS", {}, 405),
        ("DELETE", {}, 405),
    ):
        sent: dict[str, str] = headers
        assert client.send(method, "/api/widen", body if method == "POST" else None, sent)[0] == status, (method, sent)
    assert plan_in(out) == before
    assert client.send("POST", "/api/widen", body)[0] == 200  # it is not refused for what it says


def test_every_answer_forbids_keeping_framing_and_loading_from_elsewhere(client: Client) -> None:
    for path in ("/", "/static/main.js", "/static/style.css", "/api/state", "/frame/3", "/nowhere", "/frame/999"):
        status, headers, data = client.send("GET", path)
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert not headers.get("access-control-allow-origin")
        assert status in (200, 404)
        assert b"http://" not in data.replace(b"http://www.w3.org", b"")
        assert b"https://" not in data


def test_no_path_leads_out_of_the_page_and_nonsense_is_answered_in_words(client: Client) -> None:
    for path in (
        "/static/../session.py",
        "/static/..%2fsession.py",
        "/static/%2e%2e/%2e%2e/plan.py",
        "//etc/passwd",
        "/static/",
        "/static//etc/passwd",
        "/frame/-1",
        "/frame/1e3",
        "/frame/99999999999999999999",
        "/frame/0/../../x",
        "/api/../../x",
        "/static/main.js%00.html",
        "/frame/0?w=-5",
        "/frame/0?w=" + "9" * 400,
        "/frame/0?w=1.5",
        "/api/keys/77",
    ):
        status, _, data = client.send("GET", path)
        assert status in (400, 404), (path, data)
        assert not any(word in data for word in (b"import", b"root:", b"bug")), path


def test_bodies_that_are_too_large_are_refused_unread_whatever_they_say_of_themselves(client: Client) -> None:
    def answer(body: bytes, **headers: str) -> int:
        try:
            return client.send("POST", "/api/seen", body, {k.replace("_", "-"): v for k, v in headers.items()})[0]
        except ConnectionError:  # the refusal was overtaken by the end of the connection on which more was coming
            return 413

    large = b"x" * (MOST_BODY + 1)
    assert answer(large) == 413
    assert answer(b"{}", Content_Length=str(10**12)) in (400, 413)
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
    assert answer(chunked, Transfer_Encoding="chunked") == 413
    assert client.send("GET", "/api/state", headers={"X-Long": "x" * 70000})[0] >= 400
    assert client.send("GET", "/api/state")[0] == 200


def test_what_is_no_wish_is_refused_in_words_and_changes_nothing(client: Client, out: Path) -> None:
    before = plan_in(out)
    bodies = (b"", b"{", b"[]", b"null", b"[" * 5000, b'{"revision": true}', b'{"revision": 1e99}', b"\xff\xfe")
    for wish, body in itertools.product(
        ("widen", "show", "draw", "follow", "cut", "signoff", "seen", "uncover", "mark", "camera", "bogus"), bodies
    ):
        status, _, data = client.send("POST", f"/api/{wish}", body)
        assert status == 400, (wish, data)
        assert json.loads(data)["error"]
        assert "bug" not in json.loads(data)["error"]
    assert plan_in(out) == before


def test_a_thousand_requests_at_once_do_no_harm(client: Client) -> None:
    name, port = client.host.split(":")

    async def one(n: int) -> int:
        try:
            reader, writer = await asyncio.open_connection(name, int(port))
            text = f"GET /frame/{n % FRAMES} HTTP/1.1\r\nHost: {client.host}\r\nCookie: {client.cookie}\r\n"
            writer.write(f"{text}Connection: close\r\n\r\n".encode())
            line = await asyncio.wait_for(reader.readline(), 60)
            writer.close()
            return int(line.split()[1]) if line else 0
        except OSError:
            return 0

    async def flood() -> list[int]:
        answers: list[int] = []
        for part in range(4):  # a process may hold some 1,000 files, and each end of a connection is one
            answers += await asyncio.gather(*(one(n) for n in range(part * 250, part * 250 + 250)))
        return answers

    answers = asyncio.run(flood())
    assert answers == [200] * 1000
    assert client.get("/api/state")["frames"] == FRAMES
