"""Converts documents to text for script stages. Rule: the same bytes give the same text; what is left out is named."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from interlock.ports import UsageError

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

INPUT_BYTES_MAX = 200_000_000
PAGES_MAX = 5_000
TEXT_CHARS_MAX = 20_000_000


def pdf_to_text(path: Path) -> str:
    """The text of a PDF: valid UTF-8, NFC, lines ending in \\n, pages separated by a form feed. For a page with images
    and no text a note is written in its place. At most 200 MB, 5,000 pages and 20 million characters.

    Raises UsageError if the file is not a PDF, is broken, needs a password, or has no text.
    """
    from pypdf.errors import PyPdfError  # lazy: slow to import

    try:
        return _read(path)
    except (PyPdfError, *_BROKEN) as error:
        raise UsageError(
            f"{path} cannot be read as a PDF ({_first_line(error)}): repair it, for example with `qpdf IN OUT`"
        ) from error


TRANSFORMS: Mapping[str, Callable[[Path], str]] = MappingProxyType({"pdf-to-text": pdf_to_text})

# What pypdf raises on broken files besides its own errors.
_BROKEN = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RecursionError, TypeError,
    ValueError, zlib.error,
)  # fmt: skip


def _read(path: Path) -> str:
    from pypdf import PdfReader

    _check_file(path)
    with path.open("rb") as stream:
        reader = PdfReader(stream, strict=False)
        _unlock(reader, path)
        if len(reader.pages) > PAGES_MAX:
            raise UsageError(f"{path} has {len(reader.pages)} pages, more than {PAGES_MAX}: split it")
        pages = list(_bounded(reader, path))
    if not any(text for text, _ in pages):
        raise UsageError(f"{path} holds no text ({len(pages)} pages): if these are images, run it through OCR first")
    return "\f".join(text or note for text, note in pages).strip("\n") + "\n"


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if size > INPUT_BYTES_MAX:
        raise UsageError(f"{path} has {size} bytes, more than {INPUT_BYTES_MAX}: split it")
    if b"%PDF-" not in head:
        raise UsageError(f"{path} is not a PDF: it does not begin with %PDF-")


def _unlock(reader: PdfReader, path: Path) -> None:
    """Decrypt with the empty password, as every viewer does: many PDFs have that one."""
    from pypdf.errors import DependencyError

    hint = "remove its password, for example with `qpdf --decrypt --password=... IN OUT`"
    try:
        if reader.is_encrypted and not reader.decrypt(""):
            raise UsageError(f"{path} is encrypted and needs a password: {hint}")
    except DependencyError as error:
        raise UsageError(f"{path} uses an encryption that is not supported: {hint}") from error


def _bounded(reader: PdfReader, path: Path) -> Iterator[tuple[str, str]]:
    """For each page its text, and the note to write if it has none."""
    total = 0
    for number, page in enumerate(reader.pages, start=1):
        text = _normalized(page.extract_text())
        total += len(text)
        if total > TEXT_CHARS_MAX:
            raise UsageError(f"{path} holds more than {TEXT_CHARS_MAX} characters of text: split it")
        yield text, "" if text or not _has_images(page) else f"[page {number} holds images and no text]"


def _normalized(text: str) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    lines = (line.rstrip() for line in unicodedata.normalize("NFC", text).replace("\f", "\n").split("\n"))
    return "\n".join(lines).replace("\x00", "").strip("\n")


def _has_images(page: PageObject) -> bool:
    resources = page.get("/Resources")
    found = resources.get_object().get("/XObject") if resources is not None else None
    return bool(found.get_object()) if found is not None else False


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
