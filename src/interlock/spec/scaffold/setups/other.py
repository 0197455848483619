"""Go and Rust: modules and crates are fetched into the checkout, so that gates need no network."""

from __future__ import annotations

import re
from pathlib import Path

from interlock.spec.scaffold.found import Which
from interlock.spec.scaffold.setups.recipe import Recipe
from interlock.spec.sets import folder as look


def go(root: Path, _which: Which) -> Recipe | None:
    if look.has(root, "go.work") and not look.has(root, "vendor"):
        return Recipe("go work vendor", ("go.work", "go.work.sum", "**/go.mod", "**/go.sum"), ("vendor",))
    if look.has(root, "go.sum") and not look.has(root, "vendor"):
        return Recipe("go mod vendor", ("go.mod", "go.sum", "**/*.go"), ("vendor",))
    return None


def rust(root: Path, _which: Which) -> Recipe | None:
    locked = bool(look.has(root, "Cargo.lock"))
    content = look.text(root, "Cargo.lock" if locked else "Cargo.toml")
    if not re.search(r"^source = " if locked else r"dependencies", content, re.M):
        return None
    fetch = 'CARGO_HOME="$PWD/.cargo-home" cargo fetch'
    if locked:
        return Recipe(f"{fetch} --locked", ("Cargo.lock", "**/Cargo.toml"), (".cargo-home",))
    return Recipe(fetch, ("**/Cargo.toml",), (".cargo-home", "Cargo.lock"))
