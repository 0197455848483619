"""The user's settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.ports import UsageError
from interlock.settings import Settings, TemporalSettings, TlsSettings, load_settings


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none") == Settings()


def test_yaml_and_toml_say_the_same(tmp_path: Path) -> None:
    yaml, toml = tmp_path / "y", tmp_path / "t"
    yaml.mkdir()
    toml.mkdir()
    (yaml / "settings.yaml").write_text("sandbox: none\nslots: 3\n")
    (toml / "settings.toml").write_text('sandbox = "none"\nslots = 3\n')
    assert load_settings(yaml) == load_settings(toml) == Settings(sandbox="none", slots=3)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("# later\n")
    assert load_settings(tmp_path) == Settings()


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        "slot: 3\nsandbox: some\nmax_parallel: true\nwhatever: 1\ndaily_tokens: 0\ndaily_cost_usd: x\n"
        "ci: {endpoint: 'http://example.org', token: a-b, pol_s: 1, grace_s: 0}\n"
    )
    with pytest.raises(UsageError) as raised:
        load_settings(tmp_path)
    assert str(raised.value).splitlines() == [
        f"{file}: slot: no such setting: did you mean slots?",
        f"{file}: sandbox: 'some' is not valid: expected one of full, fs, none",
        f"{file}: max_parallel: true is not valid: expected an integer from 1 to 256",
        f"{file}: whatever: no such setting: there are sandbox, slots, max_parallel, daily_tokens, daily_cost_usd, ci,"
        " notify, held_out, temporal, engine",
        f"{file}: daily_tokens: 0 is not valid: expected a positive integer",
        f"{file}: daily_cost_usd: 'x' is not valid: expected a positive number",
        f"{file}: ci.endpoint: 'http://example.org' is not valid: expected an address that begins with https://"
        " (or http:// on this machine)",
        f"{file}: ci.token: 'a-b' is not valid: expected the name of an environment variable",
        f"{file}: ci.pol_s: no such setting: did you mean poll_s?",
        f"{file}: ci.grace_s: 0 is not valid: expected a number of seconds, at most 86400",
    ]


def test_held_out_files_have_names_and_absolute_paths(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("held_out: {feature-a: /srv/checks/a, b: /srv/b}\n")
    assert load_settings(tmp_path).held_out == {"feature-a": "/srv/checks/a", "b": "/srv/b"}
    file.write_text("held_out: {Feature_A: /srv/a, b: srv/b, 1: /srv/c, d: 2}\n")
    with pytest.raises(UsageError) as raised:
        load_settings(tmp_path)
    named = "is not a valid name: use lower case letters, digits and -, such as feature-a"
    assert str(raised.value).splitlines() == [
        f"{file}: held_out: 'Feature_A' {named}",
        f"{file}: held_out.b: 'srv/b' is not valid: expected an absolute path",
        f"{file}: held_out: 1 {named}",
        f"{file}: held_out.d: 2 is not valid: expected an absolute path",
    ]
    file.write_text("held_out: [/srv/a]\n")
    with pytest.raises(UsageError, match="expected a mapping of names to absolute paths"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("settings.yaml", b"a: [\n", r"settings.yaml:2:1: not valid YAML"),
        ("settings.yaml", b"- 1\n", "names with values"),
        ("settings.yaml", b"\xff\xfe\x00", "cannot be read"),
        ("settings.toml", b"slots =", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load_settings(tmp_path)


def test_two_files_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").touch()
    (tmp_path / "settings.toml").touch()
    with pytest.raises(UsageError, match="keep one"):
        load_settings(tmp_path)


def test_the_server_of_many_machines_has_a_place_and_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("temporal: {address: temporal.example.org:7233, blobs: /mnt/blobs}\n")
    assert load_settings(tmp_path).temporal == TemporalSettings("temporal.example.org:7233", blobs="/mnt/blobs")
    file.write_text("temporal: {address: https://x, blobs: here, queue: A}\n")
    with pytest.raises(UsageError) as error:
        load_settings(tmp_path)
    assert str(error.value).splitlines() == [
        f"{file}: temporal.address: 'https://x' is not valid: expected HOST:PORT",
        f"{file}: temporal.blobs: 'here' is not valid: expected an absolute path, or s3://BUCKET/PREFIX",
        f"{file}: temporal.queue: 'A' is not valid: expected lower case letters, digits and -",
    ]


@pytest.mark.parametrize(
    ("address", "is_here"),
    {"127.0.0.1:7233": True, "127.9.0.1:1": True, "localhost:7233": True, "[::1]:7233": True,
     "127.evil.example:7233": False, "127.0.0.1.example:7233": False, "localhost.example:7233": False}.items(),
)  # fmt: skip
def test_only_what_is_no_name_of_another_host_is_this_machine(address: str, is_here: bool) -> None:
    assert TemporalSettings(address).is_here == is_here


def test_a_server_may_ask_for_certificates_and_a_key_and_blobs_be_a_bucket(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        "engine: temporal\ntemporal: {tls: {ca: /etc/ca.pem, cert: /etc/c.pem, key: /etc/k.pem}, api_key: KEY,"
        " blobs: s3://team-blobs/interlock, blobs_region: eu-west-1, blobs_endpoint: https://s3.example.org}\n"
    )
    settings = load_settings(tmp_path)
    assert settings.engine == "temporal"
    assert settings.temporal.tls == TlsSettings("/etc/ca.pem", "/etc/c.pem", "/etc/k.pem")
    file.write_text("temporal: {tls: true}\n")
    assert load_settings(tmp_path).temporal.tls == TlsSettings()
    file.write_text(
        "engine: remote\ntemporal: {tls: {ca: ca.pem, cert: /c, sni: x}, api_key: a-b, blobs: 's3://A', blobs_endpoint:"
        " http://10.0.0.1:9000}\n"
    )
    with pytest.raises(UsageError) as error:
        load_settings(tmp_path)
    assert str(error.value).splitlines() == [
        f"{file}: engine: 'remote' is not valid: expected one of local, temporal",
        f"{file}: temporal.api_key: 'a-b' is not valid: expected the name of an environment variable",
        f"{file}: temporal.blobs: 's3://A' is not valid: expected an absolute path, or s3://BUCKET/PREFIX",
        f"{file}: temporal.blobs_endpoint: 'http://10.0.0.1:9000' is not valid: expected an address that begins with"
        " https:// (or http:// on this machine)",
        f"{file}: temporal.tls.ca: 'ca.pem' is not valid: expected an absolute path",
        f"{file}: temporal.tls.sni: no such setting: there are ca, cert, key, server_name",
        f"{file}: temporal.tls: key is missing: a certificate is shown with its key",
    ]
    file.write_text("temporal: {tls: false}\n")
    with pytest.raises(UsageError, match=r"temporal.tls: false is not valid: expected true, or a mapping"):
        load_settings(tmp_path)
