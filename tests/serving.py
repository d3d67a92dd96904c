"""A review that is really served, and a browser's side of speaking to it; `client` goes to all tests by conftest."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from redact import cli, custody, detectors, excerpts
from redact.detectors import Detector
from redact.plan import Plan
from redact.records import load_plan
from redact.review import server
from redact.review.session import Desk
from redact.review.shelf import MakeDesk, Shelf
from redact.review.store import PlanFile


class Client:
    """Speaks to a review as its page does."""

    def __init__(self, link: str) -> None:
        self.link = link
        self.host = link.split("/")[2]
        self.cookie = ""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return the status, headers and body of the answer; headers of None are left out."""
        own = {"Host": self.host, "Cookie": self.cookie, "Origin": f"http://{self.host}"} | (headers or {})
        connection = HTTPConnection(self.host, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None and "Content-Length" not in own and "Transfer-Encoding" not in own:
                own["Content-Length"] = str(len(body))
            for name, value in own.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def enter(self) -> int:
        """Open the link and keep the cookie."""
        status, headers, _ = self.send("GET", "/" + self.link.split("/", 3)[3], headers={"Origin": ""})
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].split(";")[0]
        return status

    def get(self, path: str) -> Any:
        """Return what the page is told at a path."""
        status, _, data = self.send("GET", path)
        assert status == 200, data
        return json.loads(data)

    def post(self, wish: str, expect: int = 200, **body: Any) -> Any:
        """Ask for something, and return the answer."""
        status, _, data = self.send("POST", f"/api/{wish}", json.dumps(body).encode())
        assert status == expect, (status, data)
        return json.loads(data)

    def change(self, wish: str, expect: int = 200, **body: Any) -> Any:
        """Ask for a change of the plan as it is now."""
        return self.post(wish, expect, revision=self.get("/api/state")["revision"], **body)

    def wait(self) -> Any:
        """Return what came of the job."""
        pause = threading.Event()
        while (job := self.get("/api/job"))["running"]:
            pause.wait(0.05)
        return job


def desk_maker(out: Path, never_show: bool = False) -> MakeDesk:
    """Return what makes the desks of the plans in a folder."""

    def make_desk(file: PlanFile, plan: Plan) -> Desk:
        clip = Path(plan.source.path)
        timeline = excerpts.find_timeline(plan, file.path, clip, lambda *_: None)
        space = custody.locate_workspace(out)
        return Desk(file, plan, clip, space, timeline, "Ana", never_show, detectors.load_detectors)

    return make_desk


@contextmanager
def serving(out: Path, never_show: bool = False) -> Iterator[Client]:
    """Serve the review of the plans in a folder, and end it afterwards."""
    paths = sorted((out / "private").glob("*.plan.json"))
    links: list[str] = []
    listening = threading.Event()

    def opened(link: str) -> None:
        links.append(link)
        listening.set()

    with Shelf(paths, desk_maker(out, never_show)) as shelf:
        served = server.make_server(shelf, opened)
        thread = threading.Thread(target=served.run)
        thread.start()
        assert listening.wait(20)
        try:
            yield Client(links[0])
        finally:
            served.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def client(out: Path) -> Iterator[Client]:
    """A review that is open in a browser."""
    with serving(out) as opened:
        assert opened.enter() == 303
        yield opened


def analysed(clip: Path, detector: Detector, out: Path) -> Path:
    """Return the folder of a run in which a clip was analysed by one detector."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(detectors, "load_detectors", lambda *_: [detector])
        cli.main(["analyse", str(clip), "-o", str(out)])
    return out


def plan_in(out: Path) -> Plan:
    """Return the one plan in the folder of a run."""
    (path,) = (out / "private").glob("*.plan.json")
    return load_plan(path.read_text())
