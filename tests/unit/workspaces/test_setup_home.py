"""The home of setup in a room: the user's settings of package indexes, and no credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.ports import Checkout, Sandbox
from interlock.workspaces.setup_home import environment_in_room, holds_credential, put_settings

PLAIN = {
    ".config/pip/pip.conf": "[global]\nindex-url = https://pypi.example.org/simple\n",
    ".npmrc": "registry=https://npm.example.org/\nfund=false\n",
    ".cargo/config.toml": '[source.mirror]\nregistry = "https://crates.example.org"\n',
    ".m2/settings.xml": "<settings><mirrors><mirror><url>https://m.example.org</url></mirror></mirrors></settings>\n",
}
SECRET = {
    ".config/pip/pip.conf": "[global]\nindex-url = https://ann:hunter2@pypi.example.org/simple\n",
    ".npmrc": "//npm.example.org/:_authToken=npm_0123456789abcdefghij\n",
    ".yarnrc.yml": "npmAuthToken: 0123456789abcdef\n",
    ".m2/settings.xml": "<server><username>ann</username><password>hunter2</password></server>\n",
    ".gradle/gradle.properties": "mavenPassword=hunter2\n",
}


@pytest.mark.parametrize("text", PLAIN.values())
def test_settings_without_a_credential(text: str) -> None:
    assert not holds_credential(text)


@pytest.mark.parametrize("text", SECRET.values())
def test_settings_with_one(text: str) -> None:
    assert holds_credential(text)


def test_only_settings_without_a_credential_are_copied(tmp_path: Path) -> None:
    for name, text in {**PLAIN, ".yarnrc.yml": SECRET[".yarnrc.yml"], ".ssh/id": "key"}.items():
        (tmp_path / "ann" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ann" / name).write_text(text)
    put_settings(str(tmp_path / "ann"), tmp_path / "home")
    found = {str(path.relative_to(tmp_path / "home")) for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert found == PLAIN.keys()


def test_variables_that_name_what_is_not_shown_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "ann/tools/bin").mkdir(parents=True)
    root = tmp_path / "one"
    made = Checkout(root, root / "tree", root / "home", root / "tmp", sandbox=Sandbox("full"))
    home = tmp_path / "ann"
    env = {
        "HOME": str(home), "PATH": f"{home}/tools/bin:/usr/bin", "XDG_CACHE_HOME": f"{home}/.cache",
        "CARGO_HOME": f"{home}/.cargo", "TOOLS": f"{home}/tools/bin", "CC": "/usr/bin/gcc", "PIP_INDEX_URL": "https://x",
    }  # fmt: skip
    assert environment_in_room(env, made) == {
        "HOME": "/w/home", "PATH": env["PATH"], "TOOLS": env["TOOLS"], "CC": "/usr/bin/gcc", "PIP_INDEX_URL": "https://x",
    }  # fmt: skip
