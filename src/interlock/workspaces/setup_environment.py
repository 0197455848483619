"""What setup's commands see of the user's environment: what gates see, how packages are found, and what `env` names.

Rule: setup runs code that a candidate chose (build backends, install scripts). A variable that looks like a credential,
by its name or by its value, is passed on only where the setup names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from interlock.core.pipeline import Setup
from interlock.core.secret_forms import is_credential
from interlock.process import scrubbed

# Where programs, certificates and proxies are, and how package managers and compilers are configured.
_NAMES = frozenset(
    {"HOME", "USER", "LOGNAME", "SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
     "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "JAVA_HOME",
     "M2_HOME", "NVM_DIR", "VOLTA_HOME", "SDKROOT", "DEVELOPER_DIR", "MACOSX_DEPLOYMENT_TARGET", "CC", "CXX", "CFLAGS",
     "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "SOURCE_DATE_EPOCH"}
)  # fmt: skip
_PREFIXES = (
    "PIP_", "UV_", "POETRY_", "PDM_", "PIPENV_", "HATCH_", "PYENV_", "SETUPTOOLS_SCM_PRETEND_", "NPM_CONFIG_", "YARN_",
    "PNPM_", "BUN_", "COREPACK_", "CARGO_", "RUSTUP_", "RUSTFLAGS", "MAVEN_", "GRADLE_", "MISE_", "ASDF_",
)  # fmt: skip
_GO = re.compile(r"GO[A-Z0-9]+")  # GOPROXY, GOFLAGS, GOMODCACHE...
_PROXY = re.compile(r"(HTTPS?|FTP|ALL|NO)_PROXY")
_NOT_IN_KEY = frozenset({"HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "LANG", "LANGUAGE", "TZ"})


def setup_environment(environ: Mapping[str, str], setup: Setup, tmp: Path) -> dict[str, str]:
    """All that a command of `setup` sees. HOME is the user's: there lie caches and the configuration of indexes."""
    known = {name: value for name, value in environ.items() if _is_known(name) and not is_credential(name, value)}
    return {**known, **scrubbed(environ, setup.env), "TMPDIR": str(tmp)}


def withheld_names(environ: Mapping[str, str], setup: Setup) -> tuple[str, ...]:
    """The names of what configures packages and looks like a credential, and is not passed on."""
    found = (name for name, value in environ.items() if _is_known(name) and is_credential(name, value))
    return tuple(sorted(name for name in found if name not in setup.env))


def setup_credentials(environ: Mapping[str, str], setup: Setup) -> tuple[str, ...]:
    """Values of what it names that must not be in anything that is kept."""
    return tuple(environ[name] for name in setup.env if name in environ and is_credential(name, environ[name]))


def key_variables(environ: Mapping[str, str], setup: Setup) -> list[tuple[str, str]]:
    """What of the environment decides on what is installed."""
    seen = setup_environment(environ, setup, Path())
    return sorted((name, value) for name, value in seen.items() if name not in _NOT_IN_KEY and name[:3] != "LC_")


def _is_known(name: str) -> bool:
    upper = name.upper()  # npm and proxies are configured in small letters too
    if name.startswith("npm_config_") or _PROXY.fullmatch(upper):
        return True
    return name in _NAMES or name.startswith(_PREFIXES) or _GO.fullmatch(name) is not None
