"""Which Host and Origin the page answers to."""

from __future__ import annotations

import pytest

from interlock.cli.verbs.servers import _hosts
from interlock.web.guard import _origins
from interlock.web.site import _port


@pytest.mark.parametrize(
    ("remote", "accepted", "refused"),
    [
        ("box", {"box:7475"}, {"box", "box:443"}),
        ("Box.example:443", {"box.example:443", "box.example", "box.example:7475"}, {"box.example:80", "example"}),
        ("10.0.0.1:443", {"10.0.0.1"}, {"10.0.0.1:80"}),
        ("box:80", {"box:80", "box"}, {"box:443"}),
        ("box:8443", {"box:8443", "box:7475"}, {"box"}),
        ("[fe80::1]:443", {"[fe80::1]:443", "[fe80::1]"}, {"fe80"}),
        ("[fe80::1]", {"[fe80::1]:7475"}, {"[fe80::1]", "[fe80:"}),
    ],
)
def test_a_proxy_in_front_has_a_port_of_its_own(remote: str, accepted: set[str], refused: set[str]) -> None:
    names = _hosts((remote,), 7475)
    assert {"127.0.0.1:7475", "localhost:7475", "[::1]:7475", *accepted} <= names
    assert not names & refused
    assert _port(names) == "7475"


def test_a_browser_leaves_the_usual_port_out_of_the_origin() -> None:
    assert "https://box" in _origins("box:443")
    assert "http://box" not in _origins("box:443")
    assert "http://box" in _origins("box:80")
    assert "https://box" not in _origins("box:8443")
