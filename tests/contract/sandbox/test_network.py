"""A room that reaches only the hosts of a list: through a proxy, which is served from outside."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.contract.sandbox.rooms import Ended, checkout_in, run_in
from tests.rooms_here import needs_rooms

from interlock.ports import InfrastructureError, Sandbox
from interlock.process import How
from interlock.sandbox import room as rooms

pytestmark = needs_rooms
NAMES = {"public.example": "127.0.0.1", "inside.example": "10.1.2.3", "link.example": "169.254.169.254"}
ASKS = """
import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
except Exception as error:
    print('no:', error)
"""
TUNNELS = """
import socket, sys
s = socket.create_connection(('127.0.0.1', 3128), 10)
s.sendall(f'CONNECT {sys.argv[1]} HTTP/1.1\\r\\nHost: public.example\\r\\n\\r\\n'.encode())
said = s.recv(1000)
print(said.split(b'\\r\\n')[0].decode())
if b' 200 ' in said:
    s.sendall(b'GET /through HTTP/1.0\\r\\n\\r\\n')
    print(s.makefile('rb').read().decode().split('\\r\\n\\r\\n')[1])
"""


class _Says(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://inside.example/secret")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.path} of {self.headers['Host']}".encode())

    def do_POST(self) -> None:
        got = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d bytes" % len(got))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    """The paths that the server was asked for."""
    return []


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> Iterator[int]:
    """Of a server that stands for one on the network."""
    looked_up = socket.getaddrinfo

    def named(host: str, port: int, *more: object, **keys: object) -> object:
        if host in NAMES:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (NAMES[host], port))]
        return looked_up(host, port, *more, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", named)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Says) as server:
        server.asked = asked  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def ask(folder: Path, script: str, target: str, *hosts: str) -> Ended:
    return run_in(checkout_in(folder), (sys.executable, "-c", script, target), hosts=hosts)


@pytest.mark.parametrize("script", [ASKS, TUNNELS])
def test_a_listed_host_is_reached_by_its_name(script: str, port: int, tmp_path: Path) -> None:
    target = f"http://public.example:{port}/through" if script is ASKS else f"public.example:{port}"
    done = ask(tmp_path, script, target, f"public.example:{port}", "127.0.0.1")
    assert done.said.splitlines()[-1].startswith("/through"), done.said
    assert "refused" not in done.log.read_text()


# What is asked for, what is listed, and what is said of it.
REFUSED = {
    "another host": ("other.example:443", ["public.example"], "not in the list `network`"),
    "another port": ("public.example:22", ["public.example"], "not in the list `network`"),
    "an address": ("127.0.0.1:{port}", ["public.example:{port}"], "not in the list `network`"),
    "this machine behind a name": ("public.example:{port}", ["public.example:{port}"], "is not a public one"),
    "a private address behind a name": ("inside.example:443", ["inside.example"], "10.1.2.3 is not a public one"),
    "an address of the link": ("link.example:80", ["link.example"], "169.254.169.254 is not a public one"),
    "an address as one number": ("2130706433:{port}", ["public.example"], "not in the list `network`"),
    "no host at all": ("%00:1", ["public.example"], "is not a host"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_listed_is_refused_and_told(name: str, port: int, tmp_path: Path) -> None:
    target, hosts, why = REFUSED[name]
    done = ask(tmp_path, TUNNELS, target.format(port=port), *(host.format(port=port) for host in hosts))
    assert done.said.splitlines()[0].startswith("HTTP/1.1 403 "), done.said
    log = done.log.read_text()
    assert f"sandbox: no connection to {target.format(port=port)}: " in log
    assert why in log


def test_a_redirect_leads_nowhere_else(port: int, tmp_path: Path) -> None:
    done = ask(tmp_path, ASKS, f"http://public.example:{port}/away", f"public.example:{port}", "127.0.0.1")
    assert "no: HTTP Error 403" in done.said
    assert "no connection to http://inside.example/secret: not in the list" in done.log.read_text()


def test_the_header_host_is_that_of_the_address(port: int, tmp_path: Path) -> None:
    script = f"""
import socket
s = socket.create_connection(('127.0.0.1', 3128), 10)
s.sendall(b'GET http://public.example:{port}/x HTTP/1.1\\r\\nHost: inside.example\\r\\n\\r\\n'
          b'GET http://inside.example/ HTTP/1.1\\r\\n\\r\\n')
print(s.makefile('rb').read().decode().split('\\r\\n\\r\\n')[1])
"""
    done = ask(tmp_path, script, "", f"public.example:{port}", "127.0.0.1")
    assert done.said == f"/x of public.example:{port}"


@pytest.mark.parametrize(
    "head", [r"GET\t/\tHTTP/1.0\nHost:inside.example\n\nGET @", r"GET @ HTTP/1.1\r\nX: y\nHost: inside.example"]
)
def test_no_head_is_hidden_in_another(port: int, tmp_path: Path, head: str) -> None:
    script = f"""
import socket
s = socket.create_connection(('127.0.0.1', 3128), 10)
s.sendall(b'{head.replace("@", f"http://public.example:{port}/x")}\\r\\n\\r\\n')
print(s.makefile('rb').readline().decode())
"""
    done = ask(tmp_path, script, "", f"public.example:{port}", "127.0.0.1")
    assert done.said.startswith("HTTP/1.1 403"), done.said


def test_a_port_of_this_machine_that_is_listed_is_there_at_the_same_port(port: int, tmp_path: Path) -> None:
    done = ask(tmp_path, ASKS, f"http://127.0.0.1:{port}/local", f"localhost:{port}")
    assert done.said == f"/local of 127.0.0.1:{port}"
    assert ask(tmp_path / "b", ASKS, f"http://127.0.0.1:{port}/local", "public.example").said.startswith("no: ")


# What asks the network for packages, and the path that it asks for.
TOOLS = {
    "pip": (f"{sys.executable} -m pip download -q --no-deps --retries 0 --trusted-host public.example"
            " --index-url http://public.example:@port@/simple some-package", "/simple/some-package/"),
    "npm": ("npm view some-package --registry http://public.example:@port@/ --fetch-retries=0", "/some-package"),
    "git": ("git ls-remote http://public.example:@port@/x.git", "/x.git/info/refs?service=git-upload-pack"),
    "curl": ("curl -s http://public.example:@port@/x", "/x"),
    "wget": ("wget -q -O- http://public.example:@port@/x", "/x"),
    "go": ("GOPROXY=http://public.example:@port@ GOTOOLCHAIN=local go list -m x.example/y@v1.0.0",
           "/x.example/y/@v/v1.0.0.info"),
    "cargo": ("printf '@crates@' > c.toml && touch lib.rs && printf '@manifest@' > Cargo.toml &&"
              " cargo --config c.toml fetch", "/config.json"),
}  # fmt: skip


CRATES = """[source.crates-io]
replace-with = "own"
[source.own]
registry = "sparse+http://public.example:@port@/"
"""
MANIFEST = """[package]
name = "a"
version = "0.1.0"
[lib]
path = "lib.rs"
[dependencies]
serde = "1"
"""


@pytest.mark.parametrize("name", TOOLS)
def test_tools_that_fetch_packages_find_the_proxy(name: str, port: int, asked: list[str], tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    command, path = TOOLS[name]
    rust = os.environ.get("RUSTUP_HOME") or f"{pwd.getpwuid(os.getuid()).pw_dir}/.rustup"
    made = checkout_in(tmp_path, Sandbox("full", (rust,) if Path(rust).exists() else ()))
    script = command.replace("@crates@", CRATES).replace("@manifest@", MANIFEST).replace("@port@", str(port))
    env = {"RUSTUP_HOME": rust, "RUSTUP_TOOLCHAIN": "stable"}
    done = run_in(made, script, env=env, hosts=(f"public.example:{port}", "127.0.0.1"), timeout_s=60)
    if "could not choose" in done.said or "could not download" in done.said:
        pytest.skip(f"{name}: rustup has no toolchain `stable`")
    assert path in asked, done.said


def test_a_large_body_goes_through(port: int, tmp_path: Path) -> None:
    script = (
        "import sys, urllib.request; r = urllib.request.Request(sys.argv[1], data=b'x' * 5_000_000); "
        "print(urllib.request.urlopen(r, timeout=20).read().decode())"
    )
    done = ask(tmp_path, script, f"http://public.example:{port}/", f"public.example:{port}", "127.0.0.1")
    assert done.said == "5000000 bytes"


def test_a_program_ends_as_ever_and_its_connections_with_it(port: int, tmp_path: Path) -> None:
    made, before = checkout_in(tmp_path), threading.active_count()
    assert run_in(made, "exit 3", hosts=["public.example"]).finished.code == 3
    assert run_in(made, ("no-such-program",), hosts=["public.example"]).finished.how is How.NOT_FOUND
    made.home.rmdir()
    with pytest.raises(InfrastructureError, match="no sandbox could be made"):
        run_in(made, "true", hosts=["public.example"])
    for _ in range(100):
        if threading.active_count() <= before:
            break
        threading.Event().wait(0.05)
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://example.org/x", "has a scheme: write the name alone, such as example.org"),
        ("*.example.org", "has a wildcard"),
        ("exa mple.org", "is not a host"),
        ("example.org:99999", "is not a host"),
        ("", "is not a host"),
    ],
)
def test_what_is_no_host(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rooms.listeners((text,))
