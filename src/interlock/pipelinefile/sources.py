"""The files that a pipeline consists of, and the merging of included ones. Rule: each file is read once, and none
outside the repository is read.

A path is relative to the folder of the file that names it. Included content comes first: mappings of names merge, lists
append, and a name that is defined twice is a mistake.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from interlock.pipelinefile.mistakes import InvalidPipeline, Mark, Mistakes
from interlock.pipelinefile.yaml import BYTES_MAX, Mapping, Node, Scalar, Sequence, decode, read_yaml
from interlock.ports import machine_trouble

if TYPE_CHECKING:
    from pathlib import Path


class Sources:
    """Holds the content of the files that were read, by path relative to the root, in the order of reading."""

    def __init__(self, root: Path, mistakes: Mistakes) -> None:
        self.root = root.resolve()
        self._mistakes = mistakes
        self._read: dict[str, str] = {}

    def read(self, path: str, mark: Mark, *, folder: str | None = None) -> tuple[str, str] | None:
        """Content and path (relative to the root) of the file that the text at `mark` names, relative to the folder of
        its own file (or to `folder`). None if that is a mistake, which is then added."""
        relative = self._relative(path, mark, os.path.dirname(mark.file) if folder is None else folder)  # noqa: PTH120
        if relative is None:
            return None
        if relative not in self._read:
            content = self._content(relative, path, mark)
            if content is None:
                return None
            self._read[relative] = content
        return self._read[relative], relative

    def listed(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._read.items())

    def _relative(self, path: str, mark: Mark, folder: str) -> str | None:
        if path.startswith(("/", "~")):
            self._mistakes.add(
                mark, f"{path} is not a relative path", f"write it relative to the folder of {mark.file}"
            )
            return None
        relative = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118
        inside = (self.root / relative).resolve().is_relative_to(self.root)
        if relative.startswith("..") or not inside:
            self._mistakes.add(
                mark, f"{path} leads out of the repository", "a pipeline can read only files of the repository"
            )
            return None
        return relative

    def _content(self, relative: str, path: str, mark: Mark) -> str | None:
        full = self.root / relative
        try:
            if full.is_dir():
                self._mistakes.add(mark, f"{relative} is a folder", "name a file in it")
                return None
            if not full.is_file():
                self._mistakes.add(mark, f"there is no file {relative}", self._hint(relative, path))
                return None
            with full.open("rb") as stream:
                return decode(stream.read(BYTES_MAX + 1), relative)
        except OSError as error:
            if trouble := machine_trouble(error):
                raise trouble from error
            self._mistakes.add(mark, f"{relative} cannot be read ({error.strerror})", "make it readable")
        except InvalidPipeline as error:
            self._mistakes.extend(error.mistakes)
        return None

    def _hint(self, relative: str, path: str) -> str:
        if relative != path and (self.root / path).is_file():
            up = os.path.relpath(path, os.path.dirname(relative.removesuffix(path)) or ".")  # noqa: PTH120
            return f"a path is relative to the file that names it: write {up}"
        folder = os.path.dirname(relative) or "."  # noqa: PTH120
        return f"create it, or look for the right name in {folder}/"


FILES_MAX = 50
_MERGED = ("inputs", "agents", "stages", "defaults", "limits", "deliver", "sandbox")
_APPENDED = ("protect", "setup", "carry")


def read_tree(file: str, sources: Sources, mistakes: Mistakes) -> Mapping | None:
    """The tree of `file` (relative to the root), merged with what it includes; None if it cannot be used. Raises
    InvalidPipeline if a file is not YAML."""
    return _read(file, Mark(file), (), sources, mistakes)


def _read(path: str, mark: Mark, above: tuple[str, ...], sources: Sources, mistakes: Mistakes) -> Mapping | None:
    found = sources.read(path, mark) if above else sources.read(path, mark, folder="")
    if found is None:
        return None
    content, file = found
    if file in above:
        way = " -> ".join((*above[above.index(file) :], file))
        mistakes.add(mark, f"{file} includes itself ({way})", "remove one of these includes")
        return None
    tree = read_yaml(content.encode("utf-8", "surrogatepass"), file, mistakes)
    if not isinstance(tree, Mapping):
        mistakes.add(tree.mark, _no_mapping(tree), "begin with `version: 1` and `stages:`")
        return None
    if len(sources.listed()) > FILES_MAX:
        mistakes.add(mark, f"more than {FILES_MAX} files are included", "include fewer")
        return None
    return _with_includes(tree, (*above, file), sources, mistakes)


def _no_mapping(tree: Node) -> str:
    if isinstance(tree, Scalar) and tree.value is None:
        return "the file is empty"
    return "the file holds no keys"


def _with_includes(tree: Mapping, above: tuple[str, ...], sources: Sources, mistakes: Mistakes) -> Mapping:
    include = tree.get("include")
    merged = tree
    for item in include.items if isinstance(include, Sequence) else ():
        if isinstance(item, Scalar) and isinstance(item.value, str):
            other = _read(item.value, item.mark, above, sources, mistakes)
            merged = _merge(merged, other, mistakes) if other else merged
    return merged


def _merge(main: Mapping, other: Mapping, mistakes: Mistakes) -> Mapping:
    entries = {key.text: (key, value) for key, value in main.entries}
    for key, value in other.entries:
        name = key.text
        if name == "include" or (name == "version" and name in entries and _same(entries[name][1], value)):
            continue
        if name not in entries:
            entries[name] = (key, value)
        else:
            entries[name] = (entries[name][0], _joined(entries[name], (key, value), mistakes))
    return Mapping(tuple(entries.values()), main.mark)


def _joined(ours: tuple[Scalar, Node], theirs: tuple[Scalar, Node], mistakes: Mistakes) -> Node:
    (key, mine), (_, other) = ours, theirs
    if key.text in _MERGED and isinstance(mine, Mapping) and isinstance(other, Mapping):
        return _union(key.text, mine, other, mistakes)
    if key.text in _APPENDED and isinstance(mine, Sequence) and isinstance(other, Sequence):
        return Sequence((*other.items, *mine.items), mine.mark)
    if not key.text.startswith("x-"):
        _clash(theirs[0], key, key.text, mistakes)
    return mine


def _union(section: str, mine: Mapping, other: Mapping, mistakes: Mistakes) -> Mapping:
    known = {key.text: key for key, _ in mine.entries}
    for key, _ in other.entries:
        if key.text in known:
            _clash(key, known[key.text], f"{section}.{key.text}", mistakes)
    added = tuple((key, value) for key, value in other.entries if key.text not in known)
    return Mapping((*mine.entries, *added), mine.mark)


def _clash(key: Scalar, first: Scalar, name: str, mistakes: Mistakes) -> None:
    if key.mark == first.mark:
        return  # the same file, included on two paths
    hint = f"it is at {first.mark.file}:{first.mark.line} too: keep one of them"
    mistakes.add(key.mark, f"{name} is defined twice", hint)


def _same(one: Node, other: Node) -> bool:
    return isinstance(one, Scalar) and isinstance(other, Scalar) and one.value == other.value
