"""Connections that come out of a room or a fence: each is served on a thread, from outside, until the program has
ended."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

Note = Callable[[str], None]
Serve = Callable[[socket.socket, Note], None]

_AT_ONCE_MAX = 256
_NOTES_MAX = 200


class Listening:
    """Sockets that listen in a room. What is noted is kept until `notes` takes it."""

    def __init__(self, serve: Sequence[Serve]) -> None:
        self._serve = tuple(serve)
        self._sockets: list[socket.socket] = []
        self._notes: queue.Queue[str] = queue.Queue(_NOTES_MAX)
        self._places = threading.BoundedSemaphore(_AT_ONCE_MAX)

    def begin(self, files: Sequence[int]) -> None:
        """`files` are the sockets, in the order of what serves them."""
        for file, serve in zip(files, self._serve, strict=True):
            listener = socket.socket(fileno=file)
            self._sockets.append(listener)
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    def notes(self) -> list[str]:
        """What was noted since the last call, each line once."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._notes.get_nowait())
        return list(dict.fromkeys(found))

    def end(self) -> None:
        for listener in self._sockets:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for a connection
            listener.close()

    def _accept(self, listener: socket.socket, serve: Serve) -> None:
        while True:
            self._places.acquire()
            try:
                client, _ = listener.accept()
            except OSError:
                self._places.release()
                return
            threading.Thread(target=self._one, args=(client, serve), daemon=True).start()

    def _one(self, client: socket.socket, serve: Serve) -> None:
        try:
            with client, suppress(OSError):
                serve(client, self._note)
        finally:
            self._places.release()

    def _note(self, text: str) -> None:
        with suppress(queue.Full):
            self._notes.put_nowait(text)


class Gateway:
    """A port on the machine's loopback that is served from here, and that a program behind a fence may connect to."""

    def __init__(self, serve: Serve, variables: Callable[[int], Mapping[str, str]]) -> None:
        """`variables` tell the program the port."""
        self.listening = Listening([serve])
        self._variables = variables

    def open(self) -> tuple[int, Mapping[str, str]]:
        """The port, and the variables. Whoever calls it ends `listening`."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = int(listener.getsockname()[1])
        self.listening.begin([listener.detach()])
        return port, self._variables(port)
