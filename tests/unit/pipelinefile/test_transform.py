from __future__ import annotations

import random
from pathlib import Path

import pytest

from interlock.pipelinefile import transform
from interlock.pipelinefile.transform import TRANSFORMS, pdf_to_text
from interlock.ports import UsageError


def pdf(*pages: bytes, image: bool = False) -> bytes:
    """A PDF with one page for each content stream, written by hand, its offsets right."""
    count = len(pages)
    kids = b" ".join(b"%d 0 R" % (4 + 2 * index) for index in range(count))
    xobject = b"/XObject << /I 3 0 R >>" if image else b""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Length 1 >>"
        b"\nstream\n\x00\nendstream",
    ]
    font = b"/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    for index, content in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R /Resources << %s %s >> >>"
            % (5 + 2 * index, font, xobject)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return body + head + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))


def says(text: bytes) -> bytes:
    return b"BT /F 12 Tf 50 700 Td (%s) Tj ET" % text


@pytest.fixture
def brief(tmp_path: Path) -> Path:
    return tmp_path / "brief.pdf"


def encrypted(path: Path, password: str) -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(path))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    writer.write(path)


def test_the_pages_in_order(brief: Path):
    brief.write_bytes(pdf(says(b"First page  "), says(b"Second")))
    assert pdf_to_text(brief) == "First page\fSecond\n"
    assert pdf_to_text(brief) == pdf_to_text(brief)
    assert TRANSFORMS["pdf-to-text"] is pdf_to_text


def test_a_page_of_images_is_named_among_others(brief: Path):
    brief.write_bytes(pdf(says(b"Text"), b"/I Do", image=True))
    assert pdf_to_text(brief) == "Text\f[page 2 holds images and no text]\n"


def test_a_document_of_images_is_refused(brief: Path):
    brief.write_bytes(pdf(b"/I Do", image=True))
    with pytest.raises(UsageError, match=r"holds no text .1 pages.: if these are images"):
        pdf_to_text(brief)


def test_a_password_is_asked_for(brief: Path):
    brief.write_bytes(pdf(says(b"Secret")))
    encrypted(brief, "open sesame")
    with pytest.raises(UsageError, match="encrypted and needs a password"):
        pdf_to_text(brief)


def test_an_empty_password_is_none(brief: Path):
    brief.write_bytes(pdf(says(b"Open")))
    encrypted(brief, "")
    assert pdf_to_text(brief) == "Open\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a PDF"),
        (b"hello", "is not a PDF"),
        (b"%PDF-1.4\n", "cannot be read as a PDF"),
        (b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog", "cannot be read as a PDF"),
    ],
)
def test_what_is_no_pdf_or_broken(brief: Path, content: bytes, message: str):
    brief.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        pdf_to_text(brief)


def test_a_missing_file_and_a_folder(brief: Path):
    with pytest.raises(UsageError, match="No such file"):
        pdf_to_text(brief)
    with pytest.raises(UsageError, match="Is a directory"):
        pdf_to_text(brief.parent)


@pytest.mark.parametrize(("name", "limit"), [("PAGES_MAX", 1), ("TEXT_CHARS_MAX", 5), ("INPUT_BYTES_MAX", 100)])
def test_bounds(brief: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int):
    brief.write_bytes(pdf(says(b"one"), says(b"two")))
    monkeypatch.setattr(transform, name, limit)
    with pytest.raises(UsageError, match="split it"):
        pdf_to_text(brief)


def test_damage_anywhere_gives_text_or_a_clear_refusal(brief: Path):
    whole = pdf(says(b"First page"), says(b"Second"))
    chance = random.Random(20)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            damaged[chance.randrange(9, len(damaged))] = chance.randrange(256)
        brief.write_bytes(damaged[: chance.randint(len(damaged) // 2, len(damaged))])
        assert text_or_refusal(brief).endswith("\n")


def text_or_refusal(path: Path) -> str:
    try:
        return pdf_to_text(path)
    except UsageError as error:
        return f"{error}\n"
