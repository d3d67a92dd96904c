"""Who may speak to the review page: the browser that came by the one-time link, and no other.

Other programs and users of this machine can reach the port, and any page that is open in the browser can make it send
requests there. So each request must carry the cookie, the right `Host`, and, where it changes something, the right
`Origin`; and nothing that is sent may be kept on disk, shown in another page, or bring in anything from elsewhere.
"""

from __future__ import annotations

import hmac
import secrets
import threading

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY = 64 << 10  # bytes; the largest that the page sends are frames seen, some 10 KiB
MOST_HEADERS = 16 << 10  # bytes
SAFE = ("GET", "HEAD")
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Gate:
    """Lets requests through to an application, or refuses them.

    Args:
        app: the application.
        host: what the `Host` of a request must be, as "127.0.0.1:49152"; may be set later.
    """

    def __init__(self, app: ASGIApp, host: str = "") -> None:
        self._app = app
        self.host = host
        self._token = secrets.token_urlsafe(32)
        self._key = secrets.token_urlsafe(32)
        self._used = False
        self._lock = threading.Lock()

    @property
    def link(self) -> str:
        """The link that opens the page, once."""
        return f"http://{self.host}/enter?token={self._token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._judge(scope)
        if answer is None:
            body = await _read(receive, Headers(scope=scope))
            if body is None:
                answer = PlainTextResponse("The request is too large.", 413)
            else:
                await self._app(scope, _replay(body, receive), send_guarded)
                return
        await answer(scope, receive, send_guarded)

    def _judge(self, scope: Scope) -> Response | None:
        """Return the answer to a request that does not go through, or None for one that does."""
        headers = Headers(scope=scope)
        if sum(len(name) + len(value) for name, value in headers.raw) + len(scope["query_string"]) > MOST_HEADERS:
            return PlainTextResponse("The request is too large.", 431)
        if headers.getlist("host") != [self.host]:
            return PlainTextResponse("This is not the address of the review.", 421)
        if scope["method"] not in (*SAFE, "POST"):
            return PlainTextResponse("The review knows GET and POST only.", 405)
        if scope["path"] == "/enter":
            return self._enter(scope, headers)
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("Another page may not ask for this.", 403)
        if not hmac.compare_digest(_cookie(headers, self._cookie_name), self._key):
            return PlainTextResponse("Open the link that `redact review` has printed.", 403)
        if scope["method"] not in SAFE and headers.get("origin") != f"http://{self.host}":
            return PlainTextResponse("Another page may not change anything.", 403)
        return None

    def _enter(self, scope: Scope, headers: Headers) -> Response:
        """Give the cookie to who brings the token, once."""
        token = scope["query_string"].removeprefix(b"token=")
        fits = scope["method"] == "GET" and hmac.compare_digest(token, self._token.encode())
        with self._lock:
            again, self._used = self._used, self._used or fits
        if not fits:
            return PlainTextResponse("That is not the link that `redact review` has printed.", 403)
        if again and not hmac.compare_digest(_cookie(headers, self._cookie_name), self._key):
            return PlainTextResponse(
                "This link was used already, and works once. If it was not you who opened it, end the review with"
                " Ctrl-C and start it again.",
                403,
            )
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie_name, self._key, httponly=True, samesite="strict", path="/")
        return answer

    @property
    def _cookie_name(self) -> str:
        """The cookie's name: cookies do not tell ports apart, so that two reviews must not take one for the other."""
        return f"redact-{self.host.rpartition(':')[2]}"


def _cookie(headers: Headers, name: str) -> str:
    """Return the value of a cookie; ASCII only, for comparing."""
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and value.isascii():
            return value
    return ""


async def _read(receive: Receive, headers: Headers) -> bytes | None:
    """Return the body of a request, or None where it is larger than `MOST_BODY`."""
    said = headers.get("content-length", "0")
    if not said.isdecimal() or len(said) > 9 or int(said) > MOST_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
