"""What setup sees of the user's environment."""

from pathlib import Path

import pytest

from interlock.core.pipeline import CommandLine, Setup
from interlock.workspaces.setup_inputs import key_variables, setup_environment, withheld_names

PLAIN = Setup(CommandLine(shell="true"))
PASSED = {
    "PATH": "/bin", "HOME": "/home/u", "LANG": "C", "LC_ALL": "C", "https_proxy": "http://proxy:3128", "NO_PROXY": "*",
    "PIP_INDEX_URL": "https://index.example/simple", "UV_CACHE_DIR": "/c", "npm_config_registry": "https://n.example/",
    "NPM_CONFIG_USERCONFIG": "/home/u/.npmrc", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "CARGO_HOME": "/c", "CC": "cc",
    "SSL_CERT_FILE": "/etc/ssl/cert.pem", "XDG_CACHE_HOME": "/c", "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_EXTRA_INDEX_URL": "git+ssh://git@host.example/x",
}  # fmt: skip
CREDENTIALS = {
    "PIP_INDEX_URL": "https://u:secret@index.example/simple",
    "PIP_EXTRA_INDEX_URL": "https://token@index.example/simple",
    "HTTPS_PROXY": "http://u:secret@proxy:3128",
    "UV_PUBLISH_TOKEN": "t",
    "UV_INDEX_MINE_USERNAME": "u",
    "UV_INDEX_MINE_PASSWORD": "p",
    "POETRY_HTTP_BASIC_MINE_PASSWORD": "p",
    "POETRY_PYPI_TOKEN_MINE": "t",
    "npm_config__auth": "a",
    "NPM_CONFIG_KEY": "k",
    "YARN_NPM_AUTH_TOKEN": "t",
    "CARGO_REGISTRIES_MINE_TOKEN": "t",
    "GOAUTH": "netrc",
}
UNKNOWN = {
    "GITHUB_TOKEN": "t",
    "AWS_SECRET_ACCESS_KEY": "s",
    "OPENAI_API_KEY": "k",
    "SSH_AUTH_SOCK": "/tmp/agent",
    "PYTHONPATH": "/x",
    "VIRTUAL_ENV": "/v",
    "NODE_OPTIONS": "--require /x",
    "GOOGLE_APPLICATION_CREDENTIALS": "/g",
    "GIT_DIR": "/g",
    "EDITOR": "vi",
}


def test_what_is_passed_on() -> None:
    assert setup_environment(PASSED, PLAIN, Path("/tmp/x")) == {**PASSED, "TMPDIR": "/tmp/x"}
    assert withheld_names(PASSED, PLAIN) == ()


@pytest.mark.parametrize("name", [*CREDENTIALS, *UNKNOWN])
def test_what_is_not(name: str) -> None:
    environ = {name: {**UNKNOWN, **CREDENTIALS}[name]}
    assert setup_environment(environ, PLAIN, Path("/t")) == {"TMPDIR": "/t"}
    assert withheld_names(environ, PLAIN) == ((name,) if name in CREDENTIALS else ())


def test_what_setup_names_is_passed_on() -> None:
    named = Setup(CommandLine(shell="true"), env=("GITHUB_TOKEN", "UV_PUBLISH_TOKEN", "GIT_DIR", "NOT_SET"))
    environ = {**UNKNOWN, **CREDENTIALS}
    assert setup_environment(environ, named, Path("/t")) == {
        "GITHUB_TOKEN": "t",
        "UV_PUBLISH_TOKEN": "t",
        "TMPDIR": "/t",
    }
    assert "UV_PUBLISH_TOKEN" not in withheld_names(environ, named)


def test_what_decides_on_the_packages_is_in_the_key() -> None:
    names = [
        name for name, _ in key_variables({**PASSED, "TOKEN": "t"}, Setup(CommandLine(shell="true"), env=("TOKEN",)))
    ]
    assert {"PIP_INDEX_URL", "GOPROXY", "CC", "TOKEN"} < set(names)
    assert {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"}.isdisjoint(names)
