"""Run pytest as `python -m pytest` would, but import it, its dependencies and its plugins from outside the checkout.

Arguments: the project's own top-level names, separated by commas; the file that configured pytest when the pipeline
was loaded, or `-`; then pytest's own. No variable of the environment changes it. The process ends immediately after
the run, so that no code of the product can rewrite the report.
"""

import importlib.metadata
import os
import re
import sys
from functools import partial
from pathlib import Path

from interlock.pipelinefile.sets.programs.order import Order

END = os._exit
STEERING = ("REPORT", "HELD_OUT", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")

SECTION = re.compile(r"^\s*\[(tool\.pytest\b|pytest\]|tool:pytest\])", re.M)


class Joining:
    """A plugin that puts the checkout on the path after all other plugins are loaded and before any conftest."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.distributions = importlib.metadata.distributions
        importlib.metadata.distributions = partial(self.distributions, path=order.outside)

    def pytest_load_initial_conftests(self) -> None:
        importlib.metadata.distributions = self.distributions
        self.order.join()


def main(own: str, configuration: str, *arguments: str) -> int:
    for name in STEERING:
        os.environ.pop(name, None)
    sys.argv[1:] = []
    order = Order(own.split(","))
    try:
        import pytest
        from _pytest.assertion import rewrite
    except ImportError:
        sys.stderr.write(
            f"python.test: pytest is not installed for {sys.executable}: "
            "install it, or let the pipeline's setup make a .venv that has it\n"
        )
        return 127
    if hasattr(rewrite.AssertionRewritingHook, "_find_spec"):
        rewrite.AssertionRewritingHook._find_spec = staticmethod(order.find)  # type: ignore[assignment]
    hook = pytest.hookimpl(tryfirst=True)(Joining.pytest_load_initial_conftests)
    Joining.pytest_load_initial_conftests = hook  # type: ignore[method-assign]
    return int(pytest.main([*configured(Path(configuration)), *arguments], plugins=[Joining(order)]))


def configured(file: Path) -> list[str]:
    """Options for the known file if it still configures pytest: a stage may be allowed to move the configuration."""
    if not file.is_file() or not (
        file.name.startswith((".pytest", "pytest")) or SECTION.search(file.read_text("utf-8"))
    ):
        return []
    return ["-c", str(file), "--rootdir", str(file.parent), "--confcutdir", str(file.parent)]


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    END(code)
