"""The HTTP client: how long a server asks us to wait, and what of a request and an answer goes where."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from interlock.process.http import HttpError, HttpRequest, send

NOW = 1_760_000_000.0  # Thu, 09 Oct 2025 08:53:20 GMT


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("", 0.0),
        ("0", 0.0),
        ("17", 17.0),
        ("99999", 99_999.0),
        ("100000", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Thu, 09 Oct 2025 08:54:20 GMT", 60.0),
        ("Thu, 09 Oct 2025 08:52:20 GMT", 0.0),
        ("Thu, 99 Oct 2025 08:52:20 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, wait_s: float) -> None:
    headers = Message()
    headers["Retry-After"] = header
    assert HttpError("HTTP 429", status=429, headers=headers).retry_after(NOW) == wait_s


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Answers with ten bytes; /moved is a redirect. Beside its address, each request's path and credential."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization", "")))
            moved = self.path == "/moved"
            self.send_response(302 if moved else 200)
            if moved:
                self.send_header("Location", "/there")
            self.end_headers()
            self.wfile.write(b"" if moved else b"0123456789")

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}", seen
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_an_answer_is_bounded(server: tuple[str, list[tuple[str, str]]]) -> None:
    request = HttpRequest(server[0], {})
    assert send(request, 5, bytes_max=10) == b"0123456789"
    with pytest.raises(HttpError, match="more than 9 bytes") as error:
        send(request, 5, bytes_max=9)
    assert (error.value.too_large, error.value.status) == (True, 0)


def test_a_redirect_is_followed_if_asked_for_and_without_the_credential(
    server: tuple[str, list[tuple[str, str]]],
) -> None:
    address, seen = server
    request = HttpRequest(f"{address}/moved", {}, credential="Bearer x")
    with pytest.raises(HttpError, match="HTTP 302") as error:
        send(request, 5)
    assert (error.value.status, seen) == (302, [("/moved", "Bearer x")])
    assert send(request, 5, bytes_max=10, redirects=True) == b"0123456789"
    assert seen[1:] == [("/moved", "Bearer x"), ("/there", "")]


def test_an_error_does_not_name_the_address() -> None:
    with pytest.raises(HttpError) as error:
        send(HttpRequest("http://127.0.0.1:1/secret", {}), 5)
    assert (str(error.value), error.value.status) == ("cannot be reached: Connection refused", 0)
