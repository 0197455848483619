"""A model without a program: it reads the checkout with our tools, and writes the documents of its stage.

Rule: the tools read nothing outside the checkout, also not through a link, and nothing in `.git`. Everything that they
return is bounded.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from interlock.agents.bundled import Result, print_event, print_result, read_config
from interlock.core.events import Usage

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_REQUESTS_MAX = 60
_DOCUMENT_MAX = 1_000_000  # characters
T = TypeVar("T")
_FILES_MAX = 500
_FILE_BYTES_MAX = 1_000_000
_LINES_MAX = 1_000
_HITS_MAX = 200
_LINE_MAX = 500  # characters
_WALKED_MAX = 50_000
_GOOGLE_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


def main() -> None:
    asyncio.run(_run(read_config()))


async def _run(config: Mapping[str, object]) -> None:
    from pydantic_ai import Agent, UsageLimits
    from pydantic_ai.exceptions import AgentRunError, UserError

    documents = cast(dict[str, str], config["documents"])
    written: dict[str, str] = {}
    try:
        model = model_of(str(config["model"]), str(config["endpoint"]), os.environ)
        tools = _tools(Reader(Path(str(config["tree"])).resolve()), documents, written)
        agent = Agent(model, tools=tools, retries=2)
        limits = UsageLimits(request_limit=_REQUESTS_MAX)
        run = await agent.run(str(config["text"]), usage_limits=limits)
    except (AgentRunError, UserError) as error:
        return print_result(_failed(error))
    _write(documents, written, run.output)
    used = run.usage
    usage = Usage(used.input_tokens, used.output_tokens, used.cache_read_tokens)
    return print_result(Result(True, message=run.output, usage=usage, model=str(config["model"])))


def model_of(name: str, endpoint: str, environ: Mapping[str, str]) -> Model:
    """The model `PROVIDER:NAME` of pydantic-ai, at `endpoint` or else the provider's own address. It does not retry:
    the run does. Raises UserError for an unknown provider, or if its key is not set."""
    from pydantic_ai.exceptions import UserError

    provider, _, model = name.partition(":")
    make = _MAKERS.get(provider)
    if make is None or not model:
        raise UserError(f"{name}: unknown model: write PROVIDER:NAME, with a provider of {', '.join(_MAKERS)}")
    return make(model, endpoint, environ)


def _openai(model: str, endpoint: str, environ: Mapping[str, str]) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel

    return OpenAIChatModel(model, provider=_openai_provider(endpoint, environ))


def _responses(model: str, endpoint: str, environ: Mapping[str, str]) -> Model:
    from pydantic_ai.models.openai import OpenAIResponsesModel

    return OpenAIResponsesModel(model, provider=_openai_provider(endpoint, environ))


def _openai_provider(endpoint: str, environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - of a library that is imported late
    from openai import AsyncOpenAI
    from pydantic_ai.providers.openai import OpenAIProvider

    key, base = _key(environ, "OPENAI_API_KEY"), f"{endpoint}/v1" if endpoint else None
    return OpenAIProvider(openai_client=AsyncOpenAI(api_key=key, base_url=base, max_retries=0))


def _anthropic(model: str, endpoint: str, environ: Mapping[str, str]) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(api_key=_key(environ, "ANTHROPIC_API_KEY"), base_url=endpoint or None, max_retries=0)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


def _google(model: str, endpoint: str, environ: Mapping[str, str]) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return GoogleModel(model, provider=GoogleProvider(api_key=_key(environ, *_GOOGLE_KEYS), base_url=endpoint or None))


_MAKERS: Mapping[str, Callable[[str, str, Mapping[str, str]], Model]] = {
    "openai": _openai,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "google": _google,
}


def _key(environ: Mapping[str, str], *names: str) -> str:
    from pydantic_ai.exceptions import UserError

    for name in names:
        if environ.get(name):
            return environ[name]
    raise UserError(f"not logged in: {' or '.join(names)} is not set")


def _tools(reader: Reader, documents: Mapping[str, str], written: dict[str, str]) -> list[Callable[..., object]]:
    def list_files(folder: str = "") -> list[str]:
        """The files below a folder of the repository."""
        return _read(reader.files, folder)

    def read_file(file: str, first_line: int = 1, lines: int = 1000) -> str:
        """Lines of a file of the repository, with their numbers."""
        return _read(reader.lines, file, first_line, lines)

    def search(words: str, folder: str = "") -> list[str]:
        """Lines of the repository that contain exactly these words."""
        return _read(reader.search, words, folder)

    def write_document(name: str, content: str) -> str:
        """Write one of the requested documents, by its file name."""
        from pydantic_ai import ModelRetry

        if name not in documents or len(content) > _DOCUMENT_MAX:
            raise ModelRetry(f"{name}: write one of {', '.join(documents)}, of {_DOCUMENT_MAX:,} characters at most")
        written[name] = content
        return f"{name} is written"

    return [list_files, read_file, search, *([write_document] if documents else [])]


def _read(read: Callable[..., T], *what: object) -> T:
    from pydantic_ai import ModelRetry

    print_event("read", what=what)
    try:
        return read(*what)
    except (NotReadable, OSError, ValueError) as error:
        raise ModelRetry(str(error)) from error


def _write(documents: Mapping[str, str], written: Mapping[str, str], answer: str) -> None:
    """If the only document was not written, the answer is its content."""
    contents = dict(written) or (dict.fromkeys(documents, answer) if len(documents) == 1 else {})
    for name, content in contents.items():
        path = Path(documents[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def _failed(error: Exception) -> Result:
    from pydantic_ai.exceptions import ContentFilterError

    if isinstance(error, ContentFilterError):
        return Result(True, refused=True, message=str(error))
    status = getattr(error, "status_code", 0)
    return Result(
        trouble=str(error)[:2_000], status=status if isinstance(status, int) else 0, retry_at=_retry_at(error)
    )


def _retry_at(error: BaseException | None) -> float:
    """From the header of the response behind the library's error; 0 if it names no time."""
    while error is not None:
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        after = str(headers.get("retry-after", ""))
        if after.isdecimal():
            return time.time() + int(after)
        error = error.__cause__
    return 0.0


class NotReadable(Exception):
    """It cannot be read. The text tells the model why."""


@dataclass(frozen=True, slots=True)
class Reader:
    """`tree` is the checkout's root, resolved."""

    tree: Path

    def files(self, folder: str = "") -> list[str]:
        """The files below a folder, as paths relative to the root; the first 500."""
        start = self._inside(folder)
        if not start.is_dir():
            raise NotReadable(f"{folder}: no such folder")
        return [path for path, _ in zip(self._walk(start), range(_FILES_MAX), strict=False)]

    def lines(self, file: str, first: int = 1, count: int = _LINES_MAX) -> str:
        """Numbered lines of a file, from `first`, at most 1,000."""
        lines = self._text(self._inside(file), file).splitlines()
        start = max(1, first)
        shown = lines[start - 1 : start - 1 + max(1, min(count, _LINES_MAX))]
        return "\n".join(f"{number}: {line[:_LINE_MAX]}" for number, line in enumerate(shown, start))

    def search(self, words: str, folder: str = "") -> list[str]:
        """`file:line: text` for each line that contains `words`, at most 200."""
        if not words:
            raise NotReadable("the words to search for are empty")
        return [hit for hit, _ in zip(self._hits(words, folder), range(_HITS_MAX), strict=False)]

    def _hits(self, words: str, folder: str) -> Iterator[str]:
        for file in self._walk(self._inside(folder)):
            try:
                lines = self._text(self.tree / file, file).splitlines()
            except NotReadable:
                continue
            yield from (f"{file}:{n}: {line[:_LINE_MAX]}" for n, line in enumerate(lines, 1) if words in line)

    def _walk(self, start: Path) -> Iterator[str]:
        walked = 0
        for folder, folders, files in os.walk(start):
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in sorted(files):
                walked += 1
                if walked > _WALKED_MAX:
                    return
                yield str((Path(folder) / name).relative_to(self.tree))

    def _inside(self, path: str) -> Path:
        found = (self.tree / path).resolve()
        if not found.is_relative_to(self.tree) or ".git" in found.relative_to(self.tree).parts:
            raise NotReadable(f"{path}: outside of the checkout")
        return found

    def _text(self, path: Path, name: str) -> str:
        real = path.resolve()
        if not real.is_relative_to(self.tree) or not real.is_file() or real.stat().st_size > _FILE_BYTES_MAX:
            raise NotReadable(f"{name}: no such file, or larger than {_FILE_BYTES_MAX:,} bytes")
        content = real.read_bytes()
        if b"\0" in content:
            raise NotReadable(f"{name}: not a text file")
        return content.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
