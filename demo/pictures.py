"""`python -m demo.pictures`: draws what the README shows: the page and the terminal, while the demo's run waits for a
person. Needs Chromium and playwright."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from demo.__main__ import SEED, TASK
from demo.scene import Scene, environment, set_scene

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "gallery"
COLUMNS, LINES = 100, 40
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.S)  # they would be loaded from another host
_SERVE = (sys.executable, "-m", "interlock", "serve", "--port", "0")


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="interlock-pictures-") as folder:
        scene = set_scene(Path(folder), SEED, 0.2, 0.0)
        argv = [sys.executable, "-m", "interlock", "run", "-t", TASK, "--plain"]
        done = subprocess.run(argv, cwd=scene.repository, env=environment(scene), capture_output=True, text=True)
        if done.returncode != 3:
            sys.stderr.write(f"{done.stdout}{done.stderr}pictures: the run ended with {done.returncode}, not 3\n")
            return 1
        (FOLDER / "demo-terminal.svg").write_text(terminal(scene, "show"), encoding="utf-8")
        page(scene, FOLDER / "demo-page.jpg")
    return 0


def terminal(scene: Scene, *words: str) -> str:
    """What a command prints on a terminal, as SVG."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ interlock " + " ".join(words), style="bold"))
    console.print(Text.from_ansi(_printed(scene, words)))
    return _FONT.sub("", console.export_svg(title="interlock", unique_id="interlock"))


def _printed(scene: Scene, words: tuple[str, ...]) -> str:
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    env = environment(scene) | {"TERM": "xterm-256color", "PAGER": "cat"}
    argv = [sys.executable, "-m", "interlock", *words]
    with subprocess.Popen(argv, cwd=scene.repository, env=env, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        said = b""
        try:
            while more := os.read(mine, 65_536):
                said += more
        except OSError:  # the other end is closed
            pass
    os.close(mine)
    return said.decode("utf-8", "replace").replace("\r\n", "\n")


def page(scene: Scene, path: Path) -> None:
    """The page of the run that waits, as a picture."""
    from playwright.sync_api import sync_playwright

    server = subprocess.Popen(_SERVE, cwd=scene.repository, env=environment(scene), stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip() if server.stdout else ""
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            shown = browser.new_page(viewport={"width": 1200, "height": 800})
            shown.goto(address)
            shown.locator(".task").first.click()
            shown.wait_for_load_state("load")
            shown.screenshot(path=str(path), type="jpeg", quality=60)
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    sys.exit(main())
