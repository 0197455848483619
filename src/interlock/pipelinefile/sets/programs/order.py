"""Where each Python module is imported from, so that a candidate cannot replace modules of the test runner.

Rule: names that the project had when the pipeline was loaded come from the checkout. Every other name that setup's
environment or the standard library has comes from there, even if the checkout has one of the same name. What the runner
itself needs always comes from there, and is loaded before the checkout is on the path.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

AT_START = frozenset(sys.modules)
# The packages of pytest and its plugins. A project with such a name is still tested from the checkout: the runner keeps
# the copy that it has loaded, and the name is removed from sys.modules before the first test.
RUNNERS = frozenset(
    {"_pytest", "pytest", "pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli", "colorama", "attr",
     "attrs", "py", "typing_extensions", "xdist", "execnet"}
)  # fmt: skip


class Order:
    """A finder before the one that searches sys.path. `own` are the project's top-level names."""

    def __init__(self, own: Sequence[str]) -> None:
        root = next((folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".git").exists()), Path.cwd())
        extra = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        inside = [path for path in (*extra, *sys.path) if _is_below(path, root)]
        self.own = frozenset(own)
        self.checkout = list(dict.fromkeys((*inside, str(Path.cwd()))))  # sources first: what is delivered is tested
        self.outside = list(dict.fromkeys(path for path in (*extra, *sys.path) if path not in inside))
        self.joined = False
        sys.path[:] = self.outside
        before = next((at for at, finder in enumerate(sys.meta_path) if finder is PathFinder), 0)
        sys.meta_path.insert(before, self)

    def find_spec(self, name: str, path: object = None, _target: object = None) -> "ModuleSpec | None":
        if path is not None:
            return None
        if name in self.own and (self.joined or not _is_shared(name)):
            spec = PathFinder.find_spec(name, self.checkout)
            is_split = spec is not None and spec.origin is None  # a namespace has parts in both
            return PathFinder.find_spec(name, [*self.checkout, *self.outside]) if is_split else spec
        spec = PathFinder.find_spec(name, self.outside)
        return spec if spec is not None and spec.origin is not None else None  # no namespace: it may have more parts

    def find(self, name: str, path: "Sequence[str] | None" = None) -> "ModuleSpec | None":
        """As an import would find it, for callers that search by themselves."""
        return self.find_spec(name, path) or PathFinder.find_spec(name, path)

    def join(self) -> None:
        """Put the checkout on the path."""
        self.joined = True
        sys.path[:0] = self.checkout
        for name in list(sys.modules):
            top = name.partition(".")[0]
            if top in self.own - AT_START and _is_shared(top) and PathFinder.find_spec(top, self.checkout) is not None:
                del sys.modules[name]


def _is_shared(name: str) -> bool:
    return name in RUNNERS or name in sys.stdlib_module_names


def _is_below(path: str, root: Path) -> bool:
    whole = Path(path).resolve()
    environments = (Path(prefix).resolve() for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix))
    return whole.is_relative_to(root.resolve()) and not any(
        whole.is_relative_to(environment) and environment != root.resolve() for environment in environments
    )
