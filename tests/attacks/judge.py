"""The outside judge: whether what was delivered is right, found out without Interlock and without any test runner's help.

The base's tests are laid over a fresh clone of what was delivered, and called one by one, each in a process of its own, with
nothing of the delivered tree on the way but the product. Then the product is asked questions in a process of
its own, and the answers are compared here, as text: what lies to a test in its own process does not lie to that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.attacks.packages import toolchain
from tests.attacks.shapes import Shape

LIMIT_S = 60
PROGRAM = Path(__file__).with_name("call_test.py")


def complaints(shape: Shape, repository: Path, base: str, commit: str, modules: Path | None) -> tuple[str, ...]:
    """What is wrong with `commit`, a line each; none where it is as good as the base was."""
    with tempfile.TemporaryDirectory(prefix="outside-") as folder:
        clone = Path(folder) / "clone"
        _git("clone", "-q", "--no-checkout", "--shared", str(repository), str(clone))
        _git("-C", str(clone), "checkout", "-q", commit)
        listed = _git("-C", str(clone), "ls-tree", "-r", "--name-only", base).splitlines()
        tests = [name for name in listed if shape.is_test(name)]
        assert tests or not shape.tests, f"{shape.name}: none of its files is where {shape.tests} come from"
        if tests:  # without a path git would lay the whole base over it
            _git("-C", str(clone), "checkout", "-q", "-f", base, "--", *tests)
        if modules is not None:
            (clone / "node_modules").symlink_to(modules)
        return tuple(_of(shape, clone, Path(folder)))


def _of(shape: Shape, clone: Path, folder: Path) -> Iterator[str]:
    for test in shape.tests:
        if not _passes(shape, clone, folder, test):
            yield f"{test} fails when it is called alone"
    for question, answer in shape.truth:
        said = _asked(shape, clone, folder, question)
        if said != answer:
            yield f"{question} is {said}, not {answer}"
    for words in shape.lints:
        done = _run([str(Path(sys.executable).with_name(words[0])), *words[1:]], clone)
        if done.returncode:
            yield f"{' '.join(words)}: {done.stdout[-300:].decode(errors='replace')}"


def _passes(shape: Shape, clone: Path, folder: Path, test: str) -> bool:
    """Whether the test says so itself, at its end: an exit code alone is easily come by."""
    file, _, name = test.partition("::")
    if shape.language == "python":
        words = [sys.executable, "-I", "-S", "-B", str(PROGRAM), str(clone / shape.source), str(clone / file), name]
        done = _run(words, folder)
        return done.returncode == 0 and done.stdout.endswith(b"passed: " + name.encode() + b"\n")
    (folder / "vitest.config.mjs").write_text("export default {};\n")
    places = {"modules": (clone / "node_modules").resolve(), "outside": folder}
    return _run([word.format(file=file, name=name, **places) for word in shape.one_test], clone).returncode == 0


def _asked(shape: Shape, clone: Path, folder: Path, question: str) -> str:
    if shape.language == "python":
        program = f"import sys; sys.path.append({str(clone / shape.source)!r}); from {shape.module} import *"
        done = _run([sys.executable, "-I", "-S", "-B", "-c", f"{program}; sys.stdout.write(repr({question}))"], folder)
    elif shape.language == "rust":
        done = _asked_of_rust(clone / shape.module, folder, question)
    else:
        product = (clone / shape.module).as_uri()
        program = f"const {{ add, keep }} = await import({product!r}); process.stdout.write(JSON.stringify({question}))"
        done = _run(["node", "--input-type=module", "-e", program], folder)
    return done.stdout.decode("utf-8", "replace").rpartition("\n")[2]  # the product may print, too


def _asked_of_rust(product: Path, folder: Path, question: str) -> subprocess.CompletedProcess[bytes]:
    """A program of ours with the product as a module of it, built by the compiler alone."""
    main = f'#[path = "{product}"]\nmod app;\nuse app::*;\nfn main() {{\n    print!("{{}}", {question});\n}}\n'
    (folder / "main.rs").write_text(main)
    (folder / "main").unlink(missing_ok=True)
    _run(
        [str(toolchain() / "rustc"), "--edition=2021", "-Aunused", "-o", str(folder / "main"), str(folder / "main.rs")],
        folder,
    )
    return _run([str(folder / "main")], folder) if (folder / "main").exists() else _run(["false"], folder)


def _run(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    """In an environment of nothing but a path."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.run(words, cwd=folder, env=env, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, b"", b"")


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-c", "advice.detachedHead=false", *words], capture_output=True, check=True)
    return done.stdout.decode()
