"""How the server lets this machine in: certificates and keys, and what to do where it does not.

Rule: a file that cannot be right is refused here, with its name, before anything is sent: a server that refuses a
certificate only closes the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from temporalio.service import TLSConfig

from interlock.ports import UsageError
from interlock.settings import TemporalSettings, TlsSettings, is_local

_SETTING = "temporal.tls"


@dataclass(frozen=True, slots=True)
class Access:
    """What is shown to the server. `tls` is None for a connection that anybody between can read."""

    tls: TLSConfig | None = None
    api_key: str = ""
    given: TlsSettings = field(default_factory=TlsSettings)


def access_of(given: TemporalSettings, environ: Mapping[str, str]) -> Access:
    """Raises UsageError that names the file or the variable, and says what is wrong with it."""
    api_key = environ.get(given.api_key, "") if given.api_key else ""
    if given.api_key and not api_key:
        raise UsageError(
            f"temporal.api_key names the environment variable {given.api_key}, which is not set: set it to an API key"
            " of the namespace, or take the line out of the settings"
        )
    if given.tls is None and not api_key:
        return Access()
    tls = given.tls or TlsSettings()
    return Access(_config(tls), api_key, tls)


def _config(tls: TlsSettings) -> TLSConfig:
    ca = _read("ca", tls.ca, _certificate) if tls.ca else None
    shown = _read("cert", tls.cert, _certificate) if tls.cert else None
    key = _read("key", tls.key, _private_key) if tls.key else None
    if shown is not None and key is not None and _public_key(shown) != _private_key(key):
        raise UsageError(f"{tls.key} is not the key of the certificate {tls.cert}: correct {_SETTING}.cert and .key")
    return TLSConfig(server_root_ca_cert=ca, client_cert=shown, client_private_key=key, domain=tls.server_name or None)


def _read(name: str, file: str, check: Callable[[bytes], object]) -> bytes:
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{_SETTING}.{name}: {file} cannot be read: {error.strerror}: correct the path") from error
    try:
        check(content)
    except _Expired as error:
        raise UsageError(f"{_SETTING}.{name}: {file} {error}: renew it, or correct the clock of this machine") from None
    except (ValueError, TypeError) as error:
        what = "private key without a password" if name == "key" else "certificate"
        raise UsageError(f"{_SETTING}.{name}: {file} holds no {what} in PEM form: {error}") from error
    return content


class _Expired(Exception):
    pass


def _certificate(content: bytes) -> None:
    now = datetime.now(UTC)
    first = x509.load_pem_x509_certificates(content)[0]
    if now > first.not_valid_after_utc:
        raise _Expired(f"has expired on {first.not_valid_after_utc:%Y-%m-%d}")
    if now < first.not_valid_before_utc:
        raise _Expired(f"is not valid before {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def _public_key(certificate: bytes) -> bytes:
    return _in_der(x509.load_pem_x509_certificates(certificate)[0].public_key())


def _private_key(content: bytes) -> bytes:
    return _in_der(load_pem_private_key(content, None).public_key())


def _in_der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# --- refusals -----------------------------------------------------------------------------------


def refusal(address: str, access: Access, error: BaseException) -> str:
    """What to do about a connection that failed; `error` is what the client said."""
    said = str(error)
    for mark, advice in _REFUSALS.items():
        if mark in said:
            return f"{address}: {advice.format(ca=access.given.ca or 'the certificates of this system')}"
    if any(mark in said for mark in _CLOSED):
        return f"{address}: the server closed the connection: {_closed(access)}"
    way = "with TLS" if access.tls else "without TLS"
    mend = "start one with `interlock dev`" if is_local(address) else "start it there"
    return (
        f"no Temporal server answers at {address} (tried {way}: {plainly(error)}): {mend}, or correct temporal.address"
        " in the settings"
    )


def plainly(error: BaseException) -> str:
    """What went wrong with a connection, in words: what the client says of it is made for those who wrote it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = " ".join(str(error).split())
    for mark, words in _SAID.items():
        if mark in said:
            return words
    return "the connection failed" if not said or any(mark in said for mark in _INTERNAL) else said[:_SAID_MAX]


_SAID_MAX = 200
_INTERNAL = ("::", " { ", "(Transport")  # of the text of a value of the client's language
_SAID = {
    "grpc-status header missing": "what answers there is no Temporal server",
    "Connection refused": "connection refused",
    "ConnectionRefused": "connection refused",
    "timed out": "no answer in time",
    "Timeout expired": "no answer in time",
    "deadline": "no answer in time",
    "Network is unreachable": "its network cannot be reached",
    "NetworkUnreachable": "its network cannot be reached",
    "No route to host": "the host cannot be reached",
    "HostUnreachable": "the host cannot be reached",
    "dns error": "there is no host of that name",
    "tcp connect error": "no connection",
    "reset": "the connection was closed",
    "closed": "the connection was closed",
    "canceled": "the connection was closed",
    "broken pipe": "the connection was closed",
    "transport error": "the connection was closed",
}
_CLOSED = (
    "transport error",
    "frame",
    "h2 protocol error",
    "operation was canceled",
    "onnection reset",
    "UnexpectedEof",
)
_REFUSALS = {
    "UnknownIssuer": "the certificate of the server is not signed by {ca}: set temporal.tls.ca to the file of its"
    " authority",
    "Expired": "the certificate of the server has expired: renew it there, or correct the clock of this machine",
    "NotValidYet": "the certificate of the server is not valid yet: correct the clock of this machine",
    "NotValidForName": "the certificate of the server is for another name: use that name in temporal.address, or set"
    " temporal.tls.server_name to it",
    "InvalidContentType": "the server speaks no TLS: take temporal.tls out of the settings, or correct"
    " temporal.address",
    "not healthy yet": "the server is starting: try again in some seconds",
    "dns error": "there is no host of that name: correct temporal.address in the settings",
    "Unauthenticated": "the server does not accept this API key: renew it in the variable that temporal.api_key names",
    "PermissionDenied": "the server lets this key or certificate not into the namespace: correct temporal.namespace, or"
    " allow it there",
}


def _closed(access: Access) -> str:
    if access.tls is None:
        return "it speaks TLS, or is no Temporal server: set temporal.tls (true, or its files), or correct the address"
    if access.tls.client_cert is None:
        return "it asks for a certificate of the client: set temporal.tls.cert and temporal.tls.key"
    return f"it does not accept the certificate {access.given.cert}: use one that its authority has signed"
