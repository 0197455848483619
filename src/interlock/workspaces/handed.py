"""The checkouts that this process has filled, and what each was when it was handed over: plain ones, and overlays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from interlock.ports import Checkout, CheckoutSpec, InfrastructureError
from interlock.workspaces import checkouts, layered, layers, layout
from interlock.workspaces.checkouts import CheckoutParts, CheckoutRequest
from interlock.workspaces.layout import CheckoutIndex

LAYERED: tuple[str, ...] = ("full",)  # the levels at which checkouts are overlays, where they can be


class HandedCheckouts:
    """Threads may share it."""

    def __init__(self, parts: Callable[[], CheckoutParts]) -> None:
        self._parts = parts
        self._indexes: dict[Path, CheckoutIndex] = {}
        self._refusal: str | None = None
        self._lock = threading.RLock()

    def fill(self, checkout: Checkout, request: CheckoutRequest) -> Checkout:
        """Fill `checkout`. Returns it with the variables that setup adds. Raises as `checkouts.fill`."""
        way = checkouts.fill if self.refusal(checkout.sandbox.level) else layered.fill
        filled, index = way(self._parts(), checkout, request)
        with self._lock:
            self._indexes[checkout.root] = index
        return filled

    def refusal(self, level: str) -> str:
        """Why checkouts are plain ones at this level; empty if they are overlays."""
        if level not in LAYERED:
            return f"the level of the sandbox is {level}"
        with self._lock:
            if self._refusal is None:
                parts = self._parts()
                self._refusal = layers.refusal(parts.templates.folder, parts.checkouts.gates)
            return self._refusal

    def index_of(self, checkout: Checkout, spec: CheckoutSpec) -> CheckoutIndex:
        """What the checkout was; one that another process has handed over is read in whole. Raises InfrastructureError
        if it was an overlay of another process."""
        with self._lock:
            handed = self._indexes.get(checkout.root)
        if layers.is_lost(checkout.root, handed.layers if handed else None):
            raise InfrastructureError(f"{checkout.root}: the process that made this checkout is gone, with its files")
        named, replaced = checkouts.excluded_names(spec), layout.setup_paths(spec.setup)
        return handed or CheckoutIndex(setup_files=named, replaced=replaced)

    def known(self, root: Path) -> CheckoutIndex | None:
        """What the checkout was, if this process has handed it over."""
        with self._lock:
            return self._indexes.get(root)

    def forget(self, root: Path) -> None:
        with self._lock:
            self._indexes.pop(root, None)
