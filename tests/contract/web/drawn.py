"""A browser that shows the pictures of runs made by hand, with the files of the package and the headers of the site."""

from __future__ import annotations

from importlib import resources

from interlock.core.pipeline import Pipeline
from interlock.readmodel.run import RunView
from interlock.web.guard import HEADERS
from interlock.web.pages import _templates
from interlock.web.pictures import graph, timeline

SITE = "http://pictures.localhost"
_KINDS = {".js": "text/javascript", ".css": "text/css"}


class Shown:
    """A page with the pictures of `view`; `renew` is what an update of the page does."""

    def __init__(self, browser, view: RunView, pipeline: Pipeline, width: int = 1200, scheme: str = "light", **more):
        self.pipeline, self.view = pipeline, view
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda line: self.wrong.append(line.text) if line.type == "error" else None)
        context.route("**/*", self._answer)
        self.page.goto(f"{SITE}/runs/r1")

    def html(self) -> str:
        drawn, lasted = graph(self.pipeline, self.view), timeline(self.view, self.view.at)
        return _templates().render_template("pictures.html", run=self.view, graph=drawn, timeline=lasted)

    def renew(self, view: RunView, *, patched: bool = True) -> None:
        """What an update of the page does: it is patched around what is kept, or is all new."""
        self.view = view
        self.page.evaluate(
            """async ([html, patched]) => {
              const { Idiomorph } = await import("/static/vendor/idiomorph.js");
              const main = document.querySelector("main");
              const next = new DOMParser().parseFromString(html, "text/html").querySelector("main");
              const beforeNodeMorphed = (old) => old.dataset?.keep === undefined;
              if (patched) Idiomorph.morph(main, next, { morphStyle: "outerHTML", callbacks: { beforeNodeMorphed } });
              else main.replaceWith(next);
              document.dispatchEvent(new Event("drawn"));
            }""",
            [self._whole(), patched],
        )

    def _answer(self, route) -> None:
        path = route.request.url.removeprefix(SITE).partition("?")[0]
        if path.startswith("/static/"):
            file = resources.files("interlock.web").joinpath(path.lstrip("/"))
            kind = next((kind for end, kind in _KINDS.items() if path.endswith(end)), "text/plain")
            route.fulfill(body=file.read_bytes(), headers={**HEADERS, "content-type": kind})
            return
        route.fulfill(body=self._whole(), headers={**HEADERS, "content-type": "text/html; charset=utf-8"})

    def _whole(self) -> str:
        stages = "".join(
            f'<details id="stage-{one.id}"><summary>{one.id}</summary>x</details>' for one in self.view.stages
        )
        head = (
            '<!doctype html><html lang="en"><title>r1</title><link rel="stylesheet" href="/static/page.css">'
            '<link rel="stylesheet" href="/static/pictures.css"><script type="module" src="/static/graph.js"></script>'
        )
        return f'{head}<main><h1>r1</h1><div data-run="r1" data-over="true">{self.html()}{stages}</div></main></html>'
