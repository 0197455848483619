"""The shape of `src`: modules and their lengths, functions and their lengths, importers, statements of each package.

`scripts/bench house` prints it; `python -m bench.house FOLDER` for the `src/interlock` of another checkout.
"""

from __future__ import annotations

import ast
import json
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src" / "interlock"
SHORT_LINES = 100
LONG_FUNCTION_LINES = 50


def measure(sources: Path = SOURCES) -> dict[str, object]:
    """Counts only: nothing here depends on the machine."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(sources.rglob("*.py"))}
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in trees}
    importers = _importers(trees, sources)
    functions = [length for tree in trees.values() for length in _functions(tree)]
    return {
        "modules": len(trees),
        "modules_by_package": dict(Counter(path.relative_to(sources).parts[0] for path in trees).most_common()),
        "lines": sum(lines.values()),
        f"modules_under_{SHORT_LINES}_lines": sum(length < SHORT_LINES for length in lines.values()),
        "modules_with_one_importer": sum(len(found) == 1 for found in importers.values()),
        "functions": len(functions),
        "function_lines_median": statistics.median(functions),
        f"functions_over_{LONG_FUNCTION_LINES}_lines": sum(length > LONG_FUNCTION_LINES for length in functions),
        "function_lines_longest": max(functions),
        "statements_by_package": dict(_statements(trees, sources).most_common()),
    }


def _functions(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def _statements(trees: Mapping[Path, ast.Module], sources: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for path, tree in trees.items():
        found[path.relative_to(sources).parts[0]] += sum(isinstance(node, ast.stmt) for node in ast.walk(tree))
    return found


def _importers(trees: Mapping[Path, ast.Module], sources: Path) -> Mapping[str, set[Path]]:
    names = {_name(path, sources) for path in trees}
    found: dict[str, set[Path]] = defaultdict(set)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            for name in _imported(node):
                if name in names and name != _name(path, sources):
                    found[name].add(path)
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _name(path: Path, sources: Path) -> str:
    parts = path.relative_to(sources.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCES), indent=2))
