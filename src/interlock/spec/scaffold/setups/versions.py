"""Tools that take a project's version from git's tags: a checkout has none, so they are told one."""

from __future__ import annotations

import re
from pathlib import Path

from interlock.core.judge_files import is_code
from interlock.spec.sets import folder as look

_VARIABLES = (  # what the build names, and the variable by which its tool is told a version
    (r"setuptools[-_]scm|hatch-vcs|flit[-_]scm|vcs-versioning", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    (r"\bpbr\b", "PBR_VERSION"),
    (r"poetry-dynamic-versioning", "POETRY_DYNAMIC_VERSIONING_BYPASS"),
    (r"uv-dynamic-versioning", "UV_DYNAMIC_VERSIONING_BYPASS"),
)
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)*")


def pretended(root: Path, tag: str) -> tuple[tuple[str, str], ...]:
    """The variables to set, with a version: that of `tag` (such as v1.2.0), else that of the metadata that lie here,
    else 0.0.0. Empty where no such tool is configured."""
    content = look.toml(root, "pyproject.toml")
    build = str(look.at(content, "build-system"))
    said = f"{build} {look.text(root, 'setup.py')} {'pbr' if re.search(r'^pbr *=', _setup_cfg(root), re.M) else ''}"
    names = [variable for pattern, variable in _VARIABLES if re.search(pattern, said)]
    if look.at(content, "tool", "pdm", "version").get("source") == "scm":
        names.append("PDM_BUILD_SCM_VERSION")
    version = _of_tag(tag) or _of_metadata(root) or "0.0.0"
    return tuple((name, version) for name in names)


def written_file(root: Path) -> str:
    """The file that the build writes its version to, where git does not keep it; else an empty string."""
    content = look.toml(root, "pyproject.toml")
    scm = look.at(content, "tool", "setuptools_scm")
    hook = look.at(content, "tool", "hatch", "build", "hooks", "vcs")
    found = next((str(said) for said in (*_named(scm), hook.get("version-file")) if said), "")
    if not found and (
        said := re.search(r"""["']?(?:write_to|version_file)["']?\s*[=:]\s*["']([^"']+)""", _setup_py(root))
    ):
        found = said[1]
    ignored = look.text(root, ".gitignore")
    kept = (root / found).is_file() and not (found in ignored or Path(found).name in ignored)
    return "" if kept or ".." in Path(found).parts else found


def read_files(root: Path) -> tuple[str, ...]:
    """The files that the build reads the version from, but for code: what a key names of that would run in setup."""
    content = look.toml(root, "pyproject.toml")
    names = [look.at(content, "tool", tool, "version").get("path") for tool in ("hatch", "pdm")]
    names += re.findall(r"""["']([\w./-]+\.(?:txt|cfg)|VERSION)["']""", _setup_py(root))
    found = (str(name) for name in names if name and not is_code(str(name)))
    return tuple(dict.fromkeys(name for name in found if (root / name).is_file()))


def _named(table: object) -> list[object]:
    found = look.table(table)
    return [found.get("version_file"), found.get("write_to")]


def _of_tag(tag: str) -> str:
    found = _VERSION.search(tag)
    return found[0] if found else ""


def _of_metadata(root: Path) -> str:
    """Of a source distribution that was unpacked here."""
    found = re.search(r"^Version: (\S+)$", look.text(root, "PKG-INFO"), re.M)
    return found[1] if found else ""


def _setup_cfg(root: Path) -> str:
    return look.text(root, "setup.cfg")


def _setup_py(root: Path) -> str:
    return look.text(root, "setup.py")
