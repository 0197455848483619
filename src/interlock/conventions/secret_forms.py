"""The forms that a secret's value is found in: as it is, encoded, as numbers, and split over lines or strings. Pure.

Rule: text is compared by its ASCII letters and digits alone, so that quotes, operators, line ends, escapes and the two
alphabets of base64 make no difference. Values that may stand anywhere for another reason are not looked for.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress, count

from interlock.core.pipeline import Pipeline

CHARACTERS_MIN = 8  # of a value that is looked for in other forms than its own
_PLAIN_MIN = 4  # of one that is masked as it is
_KINDS_MIN = 5  # different characters
_BARE_MIN = 16  # letters alone, or digits alone, that are looked for without what stands between them
_PHRASE_MIN = 20  # characters of several words that are no usual phrase
_PART_MIN = 32  # of a long word in a value of several
_HELD_MAX = 4096  # bytes that something in a value's middle may be long, where it comes in parts
_CHUNK = 1 << 16
_STARS = b"***"

_KEPT = bytes(b for b in range(128) if chr(b).isalnum())
_DROPPED = bytes(b for b in range(256) if b not in _KEPT)
_FLAGS = bytes(b in _KEPT for b in range(256))
_ESCAPED_BLANK = re.compile(rb"\\[nrt]")
_COLOUR = re.compile(rb"\x1b\[[0-9;]{0,20}[A-Za-z]")
_PREFIX = re.compile(rb"(?<=[\"'`])[\s+,.&()\\]{1,200}[fFrRbBuU]{1,2}(?=[\"'`])")  # of a string behind another one
# What may be the beginning of one of these.
_OPEN_END = re.compile(rb"(?:(?<=[\"'`])[\s+,.&()\\]{1,200}[fFrRbBuU]{1,2}|\x1b\[[0-9;]{0,20})\Z")
_DUMP = re.compile(rb"^([0-9a-fA-F]{6,16}:? {1,2})((?:[0-9a-fA-F]{2,4} {1,2}){1,16})([^\n]{0,24})$", re.M)
_WORD = re.compile(r"[A-Za-z]?[a-z]*|[A-Z]*|[0-9]{0,11}")  # one word, or a number that may be a date or a port
_WORD_MAX = 15
_WORDS = re.compile(r"[A-Za-z]?[a-z]*(?:[-_ ]+[A-Za-z]?[a-z]*)+|[A-Z]*(?:[-_ ]+[A-Z]*)+")  # `not-needed`, `local-dev`
_PART = re.compile(rf"[A-Za-z0-9+/=_.-]{{{_PART_MIN},}}")
_IN_ADDRESS = re.compile(r"://[^/:@\s]*:([^/@\s]+)@")
_URL_SAFE = ("", " ", "/", "!'()*", ";,/?:@&=+$#!'()*")  # what encoders leave as it is; a blank becomes a plus
_NUMBERS = ("%d", "%03d", "%du8", "%o", "%03o", "0o%o")  # of a byte, beside hexadecimal ones
# What stands around a byte's two digits: `\\x73`, `0x73`, `0x73u8`, `\\u{73}`, `\\u0073`, `\\U00000073`.
_AROUND = (("", ""), ("x", ""), ("0x", ""), ("0x", "u8"), ("u", ""), ("u00", ""), ("U000000", ""))
_CREDENTIAL_NAME = re.compile(
    r"TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|AUTH(?!OR(?!I[SZ]))|HTTP_BASIC|USERNAME"
    r"|(?:^|_)(?:API_?|PRIVATE_?)?KEY(?:_|$)"
)
_USER_NAME = re.compile(r"USER(?:NAME)?$")
_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_-]{20,}")  # some indexes take one as a user name
_CREDENTIAL_VALUE = re.compile(r"://[^/\s@:]*:[^/\s@]*@|https?://[^/\s@]+@")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value stands, and the name of the variable that holds it."""

    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Forms:
    """What is looked for, each with its name: in the bytes as they are, and in their letters and digits."""

    plain: Mapping[bytes, str] = field(default_factory=dict)
    bare: Mapping[bytes, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.plain or self.bare)


@dataclass(frozen=True, slots=True)
class MaskedChunk:
    """What of a stream is decided on by now."""

    content: bytes
    spans: tuple[Span, ...] = ()


def handed_out(pipeline: Pipeline, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Every secret of the pipeline, its name and its value: who works, who judges, and what looks like a
    credential of what these and setup see."""
    of_agents = [name for agent in pipeline.agents for name in agent.secrets]
    of_stages = [name for stage in pipeline.stages for name in stage.secrets]
    of_gates = [name for stage in pipeline.stages for gate in stage.gates for name in gate.secrets]
    gates = [gate for stage in pipeline.stages for gate in stage.gates]
    seen = [
        name for each in (pipeline.agents, pipeline.stages, gates, pipeline.setup) for one in each for name in one.env
    ]
    of_env = [name for name in seen if is_secret(name, environ.get(name, ""))]
    names = dict.fromkeys((*of_agents, *of_stages, *of_gates, *of_env))
    return tuple((name, environ[name]) for name in names if environ.get(name))


def is_credential(name: str, value: str) -> bool:
    """Whether a variable looks like one, by its name or by its value."""
    return _CREDENTIAL_NAME.search(name.upper()) is not None or _CREDENTIAL_VALUE.search(value) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether a credential is to be kept out of everything: a user name is not, unless it is a token."""
    is_user = _USER_NAME.search(name.upper()) is not None and _CREDENTIAL_VALUE.search(value) is None
    return is_credential(name, value) and (not is_user or _TOKEN.fullmatch(value) is not None)


def to_find(secrets: Iterable[tuple[str, str]]) -> Forms:
    """Forms of the values that tell, by name: what a candidate must not hold."""
    return _forms((name, value) for name, value in secrets if is_telling(value.strip()))


def to_mask(values: Iterable[str]) -> Forms:
    """The same, and short values as they are."""
    return _forms((("", value) for value in values), _PLAIN_MIN)


def is_telling(value: str) -> bool:
    """Whether it stands nowhere by chance: it is not short, not of few characters, and no word, number or phrase."""
    if len(value) < CHARACTERS_MIN or len(set(value)) < _KINDS_MIN:
        return False
    is_usual = len(value) <= _WORD_MAX and _WORD.fullmatch(value) is not None
    return not is_usual and not (len(value) < _PHRASE_MIN and _WORDS.fullmatch(value) is not None)


def spans(content: bytes, forms: Forms) -> tuple[Span, ...]:
    """Where a value stands, in order; what overlaps is one."""
    found = [Span(at, at + len(form), name) for form, name in forms.plain.items() for at in _all(content, form)]
    if forms.bare:
        found += _bare_spans(content, forms)
        if (numbers := _without_margins(content)) != content:
            found += _bare_spans(numbers, forms)
    return _joined(found)


class Stream:
    """Takes chunks, gives back what is decided on. What may begin a value is held back until more comes, or `rest`."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._held_max = _HELD_MAX + 4 * max(map(len, (*forms.plain, *forms.bare)), default=0)
        self._held = b""

    def feed(self, chunk: bytes) -> MaskedChunk:
        if not self._forms:
            return MaskedChunk(chunk)
        content = self._held + chunk
        found = spans(content, self._forms)
        bound = len(content) - self._held_max
        cut = max(_begun(content, self._forms), bound)
        for span in reversed(found):  # one that is cut is held back whole: its end may be the beginning of the next
            if span.start < cut < span.end:
                cut = span.start if span.start >= bound else span.end
        self._held = content[cut:]
        return MaskedChunk(content[:cut], tuple(span for span in found if span.end <= cut))

    def rest(self) -> MaskedChunk:
        """What was held back, once nothing more comes."""
        held, self._held = self._held, b""
        return MaskedChunk(held, spans(held, self._forms))


def parts(content: bytes, forms: Forms) -> Iterator[MaskedChunk]:
    """All of `content`, in parts."""
    stream = Stream(forms)
    for at in range(0, len(content), _CHUNK):
        yield stream.feed(content[at : at + _CHUNK])
    yield stream.rest()


def starred(part: MaskedChunk) -> bytes:
    """With three stars in place of each value."""
    pieces, at = [], 0
    for span in part.spans:
        pieces += [part.content[at : span.start], _STARS]
        at = span.end
    return b"".join((*pieces, part.content[at:])) if pieces else part.content


# --- the forms of a value -------------------------------------------------------------------------


def _forms(secrets: Iterable[tuple[str, str]], plain_min: int = CHARACTERS_MIN) -> Forms:
    plain: dict[bytes, str] = {}
    bare: dict[bytes, str] = {}
    for name, value in secrets:
        stripped = value.strip()
        encoded = stripped.encode("utf-8", "surrogateescape")
        if len(stripped) >= plain_min:
            plain.setdefault(encoded, name)
        if is_telling(stripped):
            each = (*_written(stripped), *_parts_of(stripped))
            for form in map(_bare, each):
                if _is_found_bare(form):
                    bare.setdefault(form, name)
    return Forms(plain, bare)


def _is_found_bare(form: bytes) -> bool:
    """Whether it is no text by chance with blanks and signs left out of it: it is long, or has both kinds."""
    is_mixed = not form.isalpha() and not form.isdigit()
    return len(form) >= _BARE_MIN or (is_mixed and len(form) >= CHARACTERS_MIN)


def _written(value: str) -> Iterator[bytes]:
    """As it is, in base64 wherever it begins there, as numbers, and as JSON, URLs and HTML have it."""
    content = value.encode("utf-8", "surrogateescape")
    yield content
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        yield from _in_base64(value.encode(encoding, "surrogatepass" if "16" in encoding else "surrogateescape"))
    for number in _NUMBERS:
        yield "".join(number % byte for byte in content).encode()
    for digits in ("%02x", "%02X"):
        for before, after in _AROUND:
            yield "".join(before + digits % byte + after for byte in content).encode()
        for safe in _URL_SAFE:
            yield "".join(_quoted(byte, safe, digits) for byte in content).encode()
    yield json.dumps(value)[1:-1].encode()
    yield html.escape(value).encode("utf-8", "surrogateescape")


def _in_base64(content: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content)
        first = (0, 2, 3)[before]  # characters that hold bits of what stands before it; the last may hold others too
        yield encoded[first : (before + len(content)) * 8 // 6]


def _quoted(byte: int, safe: str, digits: str) -> str:
    letter = chr(byte)
    return letter if byte < 128 and (letter.isalnum() or letter in f"-_.~{safe}") else f"%{digits % byte}"


def _parts_of(value: str) -> Iterator[bytes]:
    """What is secret by itself in a value of several words: lines of a key, a token, the password in an address."""
    text = re.sub(r"\\[nrt]", " ", value)
    long = (word for word in _PART.findall(text) if all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]")))
    inner = (word for word in _IN_ADDRESS.findall(value) if is_telling(word))
    yield from (word.encode() for word in (*long, *inner) if word != value)


# --- finding them ---------------------------------------------------------------------------------


def _bare_spans(content: bytes, forms: Forms) -> list[Span]:
    bare = _bare(content)
    hits = [(at, at + len(form) - 1, name) for form, name in forms.bare.items() for at in _all(bare, form)]
    places = _places(content) if hits else []
    return [Span(places[first], places[last] + 1, name) for first, last, name in hits]


def _bare(content: bytes) -> bytes:
    return _without_escapes(content).translate(None, _DROPPED)


def _without_escapes(content: bytes) -> bytes:
    """As long as before: without escaped blanks, colours, and what makes strings that stand in a row special."""
    if b"\\" in content:
        content = _ESCAPED_BLANK.sub(b"  ", content)
    if b"\x1b" in content:
        content = _COLOUR.sub(_blank, content)
    return _PREFIX.sub(_blank, content)


def _blank(found: re.Match[bytes]) -> bytes:
    return b" " * len(found[0])


def _without_margins(content: bytes) -> bytes:
    """As long as before: of a dump its numbers alone, without the places before them and the text behind them."""
    return _DUMP.sub(lambda found: b" " * len(found[1]) + found[2] + b" " * len(found[3]), content)


def _places(content: bytes) -> list[int]:
    """Where each byte of the bare text stands."""
    return list(compress(count(), _without_escapes(content).translate(_FLAGS)))


def _all(content: bytes, form: bytes) -> Iterator[int]:
    at = content.find(form)
    while at >= 0:
        yield at
        at = content.find(form, at + len(form))


def _joined(found: Iterable[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for span in sorted(found, key=lambda one: (one.start, -one.end)):
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            joined[-1] = Span(last.start, max(last.end, span.end), last.name)
        else:
            joined.append(span)
    return tuple(joined)


def _begun(content: bytes, forms: Forms) -> int:
    """Where the first value begins that is not there whole, the length of `content` where none does."""
    start = len(content) - _longest_begun(content, forms.plain)
    if forms.bare:
        start = min(start, _begun_bare(_OPEN_END.sub(b"", content), forms, start))
    return start


def _begun_bare(content: bytes, forms: Forms, otherwise: int) -> int:
    bare = _bare(content)
    begun = _longest_begun(bare, forms.bare)
    return _places(content)[len(bare) - begun] if begun else otherwise


def _longest_begun(content: bytes, forms: Iterable[bytes]) -> int:
    """Bytes at the end that are the beginning of a form."""
    longest = 0
    for form in forms:
        tail = content[-(len(form) - 1) :]
        at = tail.find(form[:1])
        while at >= 0 and len(tail) - at > longest:
            if form.startswith(tail[at:]):
                longest = len(tail) - at
                break
            at = tail.find(form[:1], at + 1)
    return longest
