"""How a machine is let in by a server: TLS, certificates, keys; and what is said where it is not."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from tests.contract.temporal.tls import Authority, fronted
from tests.contract.temporal.world import Server as RealServer
from tests.contract.temporal.world import until

from interlock.engines.temporal import checks
from interlock.engines.temporal.access import access_of, plainly
from interlock.engines.temporal.needs import Seen, offer_of
from interlock.engines.temporal.server import Server
from interlock.journal import MemoryBlobs
from interlock.ports import InfrastructureError, UsageError
from interlock.settings import TemporalSettings, TlsSettings

EXPIRED = timedelta(days=-1)


@dataclass
class Front:
    """A server behind TLS on `localhost:port`, and settings that are right for it."""

    port: int
    right: TemporalSettings
    ours: Authority
    folder: Path

    def refused(self, tls: TlsSettings | None, address: str = "") -> str:
        given = replace(self.right, tls=tls, address=address or self.right.address)
        with pytest.raises((InfrastructureError, UsageError)) as raised:
            connect(given)
        return str(raised.value)


def connect(given: TemporalSettings, **environ: str) -> None:
    access = access_of(given, environ)
    asyncio.run(Server(given.address, given.namespace, given.queue, MemoryBlobs(), access=access).connect())


@pytest.fixture(scope="module", autouse=True)
def healthy(server: RealServer) -> None:
    """The server takes connections before it answers."""

    def answers() -> bool:
        try:
            connect(TemporalSettings(f"127.0.0.1:{server.port}"))
        except InfrastructureError as error:
            return "the server is starting: try again" not in str(error)
        return True

    until(answers)


@pytest.fixture(scope="module")
def front(server: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("tls")
    ours = Authority(folder, "ours")
    cert, key = ours.sign("client")
    with fronted(server.port, ours.sign("server"), ours.file) as port:
        tls = TlsSettings(str(ours.file), str(cert), str(key))
        yield Front(port, TemporalSettings(f"localhost:{port}", tls=tls), ours, folder)


def test_right_certificates_open_the_connection(front: Front) -> None:
    assert front.right.tls is not None
    connect(front.right)
    named = replace(front.right.tls, server_name="localhost")
    connect(replace(front.right, address=f"127.0.0.1:{front.port}", tls=named))


def test_each_wrong_certificate_says_which_file_and_what_to_do(front: Front, server: RealServer) -> None:
    right = front.right.tls
    assert right is not None
    other = Authority(front.folder, "other")
    stranger, its_key = map(str, other.sign("stranger"))
    assert f"is not signed by {other.file}: set temporal.tls.ca" in front.refused(replace(right, ca=str(other.file)))
    assert "is not signed by the certificates of this system" in front.refused(replace(right, ca=""))
    assert "set temporal.tls.cert and temporal.tls.key" in front.refused(replace(right, cert="", key=""))
    assert f"does not accept the certificate {stranger}" in front.refused(replace(right, cert=stranger, key=its_key))
    assert "for another name: use that name" in front.refused(right, f"127.0.0.1:{front.port}")
    assert "take temporal.tls out of the settings" in front.refused(right, f"localhost:{server.port}")
    assert "it speaks TLS" in front.refused(None)


def test_files_that_cannot_be_right_are_refused_before_anything_is_sent(front: Front) -> None:
    right = front.right.tls
    assert right is not None
    nowhere = TemporalSettings("localhost:1", tls=right)
    old, its_key = map(str, front.ours.sign("old", until=EXPIRED))
    text = front.folder / "text"
    text.write_text("no certificate\n")
    for tls, words in {
        replace(right, cert=old, key=its_key): rf"temporal.tls.cert: {old} has expired on \d{{4}}-\d\d-\d\d: renew it",
        replace(right, key=its_key): f"{its_key} is not the key of the certificate {right.cert}",
        replace(right, ca=str(text)): f"temporal.tls.ca: {text} holds no certificate in PEM form",
        replace(right, key=str(text)): f"temporal.tls.key: {text} holds no private key",
        replace(right, ca=str(front.folder / "none")): "temporal.tls.ca: .*none cannot be read: No such file",
    }.items():
        with pytest.raises(UsageError, match=words):
            connect(replace(nowhere, tls=tls))


def test_a_server_whose_certificate_has_expired_says_so(front: Front, server: RealServer) -> None:
    with fronted(server.port, front.ours.sign("former", until=EXPIRED), front.ours.file) as port:
        assert "the certificate of the server has expired" in front.refused(front.right.tls, f"localhost:{port}")


def test_no_server_no_host_no_namespace_and_no_key(server: RealServer) -> None:
    here = TemporalSettings(f"127.0.0.1:{server.port}")
    for given, words in {
        replace(here, address="127.0.0.1:1"): r"answers at 127.0.0.1:1 \(tried without TLS: connection refused\): start"
        " one with `interlock dev`, or correct temporal.address in the settings$",
        replace(here, address="nowhere.invalid:1"): "there is no host of that name: correct temporal.address",
        replace(here, namespace="nope"): "no namespace nope: correct temporal.namespace .* namespace create nope",
    }.items():
        with pytest.raises(InfrastructureError, match=words):
            connect(given)
    with pytest.raises(UsageError, match=r"temporal.api_key names the environment variable KEY, which is not set"):
        connect(replace(here, api_key="KEY"))
    with pytest.raises(InfrastructureError, match="speaks no TLS"):  # a key is never sent in the open
        connect(replace(here, api_key="KEY"), KEY="secret")


@pytest.mark.parametrize("tls", [None, TlsSettings()])
@pytest.mark.parametrize("says", [b"", b"SSH-2.0-other\r\n", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"])
def test_what_is_no_server_is_told_in_words_of_ours(says: bytes, tls: TlsSettings | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        Thread(target=_answer_all, args=(other, says), daemon=True).start()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(InfrastructureError, match=address) as refused:
            connect(TemporalSettings(address, tls=tls))
    said = str(refused.value)
    assert re.search(r"temporal\.(tls|address)", said)
    assert not re.search(r"::[a-zA-Z]|[({\[]{1}code|kind:|rpc|tonic|hyper", said), said


def _answer_all(listening: socket.socket, says: bytes) -> None:
    with suppress(OSError):  # it is closed
        while True:
            made, _ = listening.accept()
            with made:
                made.sendall(says)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("tonic::transport::Error(Transport, Os { code: 99, kind: Other })", "the connection failed"),
        ('ConnectError("tcp connect error", 10.0.0.1:1, Os { kind: HostUnreachable })', "the host cannot be reached"),
        ("Namespace not found", "Namespace not found"),
        ("", "the connection failed"),
    ],
)
def test_what_the_client_says_for_its_makers_is_told_in_words(said: str, words: str) -> None:
    assert plainly(RuntimeError(said)) == words


def test_the_clock_and_the_version_of_the_server_are_looked_at(
    server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Server(f"127.0.0.1:{server.port}", "default", "interlock", MemoryBlobs())
    seen = checks.looked(here)
    assert list(seen.warnings()) == []
    assert seen.ahead_s is not None
    hour = checks.time.time

    class Late:
        @staticmethod
        def time() -> float:
            return hour() - 3700

    monkeypatch.setattr(checks, "time", Late)
    assert "the clock of the server is 1.0 hours ahead of that of this machine" in next(checks.looked(here).warnings())
    old = replace(seen, version="1.24.9", offers=(Seen(offer_of([]), ("7@host interlock-0.0.1",)),))
    assert list(old.warnings()) == [
        "the server is Temporal 1.24.9: runs need 1.28 or newer: upgrade it",
        f"7@host has interlock 0.0.1, and this is {checks.__version__}: upgrade all machines of the queue to one"
        " version",
    ]
