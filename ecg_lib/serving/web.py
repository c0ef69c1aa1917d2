"""The server of the web page: who may ask, how much may wait, and what stays on disk.

The page itself is laid out in `ecg_lib.serving.app`. Gradio's own `launch` is not used: it opens
connections of its own, which a proxy of the network may swallow.
"""

import asyncio
import ipaddress
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from ecg_lib.errors import InputError
from ecg_lib.files import locked, temporary_folder, writing

MAX_WAITING = 100 * 2**20
"""Bytes of all uploads together that are being sent or wait for their answer."""

MAX_BODY = 2**20
"""Bytes of a request that is no upload; those of the web page have some hundred."""

FORGOTTEN = 600
"""Age of an upload, in seconds, at which nobody waits for its answer any more, nor for the rest of
one that is being sent."""

PREFIX = "ecg_lib_app_"
"""How the names of this server's folders begin, in the folder for temporary files."""

POLICY = (
    # Gradio's page consists of inline scripts and styles, and makes functions of its templates. All
    # the same, nothing can be fetched from elsewhere or sent there.
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors "
)

HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

FRAME_OF_SPACES = "https://huggingface.co"
"""The site that shows hosted Spaces in a frame of its own."""

_UPLOAD = "/gradio_api/upload"


class Uploads:
    """The folder that uploads pass through.

    Gradio gives a page that is uploaded twice one path, so each file is kept until nobody waits for
    it any more.

    Attributes:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock = threading.Lock()
        self._arriving: list[int] = []
        self._waiting: Counter[Path] = Counter()
        self._answered: set[Path] = set()

    def reserve(self, size: int) -> bool:
        """Reserve room for an upload; False if too many bytes wait already.

        Args:
            size: number of bytes.
        """
        with self._lock:
            here = sum(status.st_size for _, status in self._files())
            if here + sum(self._arriving) + size > MAX_WAITING:
                return False
            self._arriving.append(size)
            return True

    def release(self, size: int) -> None:
        """Give back what was reserved for an upload, once it has arrived or failed."""
        with self._lock:
            self._arriving.remove(size)
            self._remove_answered()

    def note(self, paths: list[str]) -> None:
        """Note uploads whose answers will be waited for."""
        with self._lock:
            self._waiting.update(Path(path).resolve() for path in paths)

    @contextmanager
    def opened(self, path: str) -> Iterator[Path]:
        """Give the file of an upload, and remove it afterwards.

        Raises:
            InputError: if it is no upload: whoever forged the request cannot name other files.
        """
        try:
            file = Path(path).resolve()
            is_upload = file.is_relative_to(self.folder) and file.is_file()
        except (OSError, ValueError):  # A name that no file can have.
            is_upload = False
        if not is_upload:
            name = Path(path).name
            raise InputError(f"{name!r} is not an upload, or was removed: expected a new upload")
        try:
            yield file
        finally:
            with self._lock:
                self._waiting[file] -= 1
                self._answered.add(file)
                self._remove_answered()

    def remove_forgotten(self) -> None:
        """Remove the files that are older than `FORGOTTEN` seconds."""
        with self._lock:
            for file, status in list(self._files()):
                if time.time() - status.st_mtime > FORGOTTEN:
                    del self._waiting[file]
                    _remove(file)

    def _files(self):
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with suppress(FileNotFoundError):  # Gradio moves what has arrived.
                    file = Path(folder, name)
                    yield file, file.stat()

    def _remove_answered(self):
        """Remove what nobody waits for, unless it may be among what is arriving just now."""
        if self._arriving:
            return
        for file in self._answered:
            if self._waiting[file] <= 0:
                del self._waiting[file]
                _remove(file)
        self._answered.clear()


def _remove(file):
    file.unlink(missing_ok=True)
    with suppress(OSError):  # Another page of the same content lies there, under another name.
        file.parent.rmdir()


class Guard:
    """An ASGI application that lets through to another one only what the web page itself sends.

    A page of another site can neither read an answer nor have one made: requests are refused whose
    `Host` is not a name of this machine (a foreign name may be made to point here), or whose
    `Origin` is another page.

    Args:
        app: the application behind it.
        host: the address that is listened on.
        uploads: the `Uploads`.
        public_name: the name under which a hosted Space is reached, which is shown in a frame.
    """

    def __init__(self, app, host: str, uploads: Uploads, public_name: str | None = None) -> None:
        self._app = app
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}
        self._uploads = uploads
        if public_name is None:
            self._headers = HEADERS | {
                "Content-Security-Policy": f"{POLICY}'none'",
                "X-Frame-Options": "DENY",
            }
        else:
            self._names.add(public_name.lower())
            self._headers = HEADERS | {"Content-Security-Policy": POLICY + FRAME_OF_SPACES}

    async def __call__(self, scope, receive, send):
        """Answer a request, as ASGI prescribes it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        send = _with_headers(send, self._headers)
        fault = self._fault(headers)
        if fault:
            await _refuse(send, 403, fault)
        elif scope["method"] == "POST" and scope["path"] == _UPLOAD:
            await self._upload(_length(headers), scope, receive, send)
        elif (_length(headers) or 0) > MAX_BODY or "transfer-encoding" in headers:
            await _refuse(send, 413, f"the request has no length, or one above {MAX_BODY:,} bytes")
        else:
            await self._app(scope, receive, send)

    def _fault(self, headers):
        """Why a request is refused, or None."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_ours(host):
            return "the request names a host that is not this machine"
        if origin is not None and urlsplit(origin).netloc != host:
            return "the request was sent by a page of another site"
        return None

    def _is_ours(self, host):
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self._names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    async def _upload(self, length, scope, receive, send):
        if length is None:
            await _refuse(send, 411, "an upload must say how long it is")
            return
        if not self._uploads.reserve(length):
            await _refuse(send, 503, "too many uploads wait for their answers: try again later")
            return
        answer = bytearray()

        async def noting(message):
            answer.extend(message.get("body", b""))
            # A list of paths; a refusal is text or an object.
            if not message.get("more_body") and answer.startswith(b"["):
                self._uploads.note(json.loads(answer))
            await send(message)

        try:
            async with asyncio.timeout(FORGOTTEN):
                await self._app(scope, receive, noting)
        except TimeoutError:
            await _refuse(send, 408, "the upload took too long to arrive")
        finally:
            self._uploads.release(length)


def _length(headers):
    """Number of bytes of a request's body, or None where the request does not say it."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _with_headers(send, headers):
    more = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def sending(message):
        if message["type"] == "http.response.start":
            message = message | {"headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


async def _refuse(send, status, sentence):
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder for uploads that is removed when the context is left.

    Folders of servers that were killed are removed first.

    Raises:
        InputError: if it cannot be made.
    """
    _remove_abandoned()
    with temporary_folder(PREFIX) as folder, ExitStack() as stack:
        uploads = folder / "uploads"
        with writing(folder):
            stack.enter_context(locked(_lock_of(folder), 0))
            uploads.mkdir()
        yield uploads


def _lock_of(folder):
    return folder / "lock"


def _remove_abandoned():
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # One without its lock may be in the making. In a folder that all users share, a link may
        # lead anywhere, and a folder may be another user's.
        if folder.is_symlink() or not _lock_of(folder).is_file() or not _is_own(folder):
            continue
        with suppress(TimeoutError, OSError), locked(_lock_of(folder), 0):
            shutil.rmtree(folder, ignore_errors=True)


def _is_own(folder):
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()


@contextmanager
def served(app: Any, host: str, port: int) -> Iterator[str]:
    """Serve an ASGI application in a thread while the context lasts.

    Args:
        app: the application.
        host: the address of this machine to listen on.
        port: the port, 1 to 65535.

    Yields:
        The address for a browser.

    Raises:
        InputError: if the address and the port cannot be listened on.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with _listening(host, port) as listener:
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
        )
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://{'localhost' if host == '0.0.0.0' else host}:{port}/"
        finally:
            server.should_exit = True
            thread.join(10)


def _listening(host, port):
    try:
        # Port 0 would stand for any, and no host for all addresses.
        return socket.create_server((host or ".", port or -1))
    except (OSError, OverflowError, UnicodeError):
        raise InputError(
            f"{host}, port {port}, cannot be listened on: expected an IPv4 address of this machine "
            "and a free port from 1 to 65535"
        ) from None
