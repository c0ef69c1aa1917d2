"""The web page: what it answers, what it refuses, and that it keeps and fetches nothing."""

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from html import escape
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import LOCAL, free_port, response_to
from PIL import Image

from ecg_lib import cli
from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError
from ecg_lib.serving import app, web
from ecg_lib.serving.answers import DISCLAIMER
from ecg_lib.serving.measured import measure
from ecg_lib.serving.predictor import Predictor
from ecg_lib.serving.report import limits
from ecg_lib.serving.web import Uploads


@pytest.fixture(scope="module")
def predictor():
    """Of the committed run, as the command takes it."""
    return Predictor()


@pytest.fixture(scope="module")
def known(predictor):
    """Arguments that all responses take."""
    return {"predictor": predictor, "limits": limits(predictor.run)}


@pytest.fixture(scope="module")
def page(pages_folder):
    """A page that the committed network answers for; it is the one that is offered."""
    class_name, _, number = app.EXAMPLE
    return pages_folder / class_name / f"{class_name}_{number:04d}.jpg"


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    return Uploads(folder)


@pytest.fixture
def upload(uploads):
    """A function that lays a file where Gradio would lay it, in a folder of its own."""

    def lay(file):
        folder = uploads.folder / "a-hash"
        folder.mkdir(exist_ok=True)
        path = str(shutil.copy(file, folder))
        uploads.note([path])
        return SimpleNamespace(path=path)

    return lay


@pytest.fixture
def garbage(tmp_path):
    path = tmp_path / "not a page (1).jpg"
    path.write_text("no picture", encoding="utf-8")
    return path


@pytest.fixture
def port():
    return free_port()


def files_in(folder):
    """The files below a folder, the lock aside that says that its server lives."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


def report_in(html):
    (data,) = re.findall('href="data:text/html;base64,([^"]+)"', html)
    return base64.b64decode(data).decode()


def refusal(capsys, *arguments):
    """The one line that the command prints about what it cannot use."""
    assert cli.main(["app", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


# --- Answers ---


def test_the_answer_and_the_same_as_a_report(known, predictor, page):
    html = app.respond(page, **known)
    answer = predictor.answer(page)
    assert f"<b>{DISPLAY_NAMES[answer.label]}</b>" in html
    assert html.count("<img") == 4
    report = report_in(html)
    assert report.startswith("<!DOCTYPE html>")
    assert html.partition("</a>")[2] in report
    assert known["limits"] in report
    assert DISCLAIMER in report
    assert f'download="{page.stem}_report.html"' in html


def test_the_example_is_answered(known):
    html = app.respond_to_example(**known)
    assert app.EXAMPLE_NAME in html
    assert html.count("<img") == 4
    assert "No answer" not in html


def test_a_bad_file_is_refused_as_by_the_command(
    known, garbage, upload, uploads, predictor, monkeypatch
):
    _, html = app.respond_to_upload(upload(garbage), uploads=uploads, **known)
    monkeypatch.chdir(garbage.parent)
    sentence = predictor.answer(Path(garbage.name)).refusal
    assert f"No answer: {escape(sentence)}." in html
    assert f"No answer: {escape(sentence)}." in report_in(html)
    assert str(garbage.parent) not in html + report_in(html)


def test_a_page_beyond_all_size_is_not_decoded(known, tmp_path, monkeypatch):
    bomb = tmp_path / "bomb.png"
    Image.new("1", (10_001, 10_000)).save(bomb)
    assert bomb.stat().st_size < 100_000
    monkeypatch.setattr(Image.Image, "load", None)
    assert "bomb.png is 10001x10000 pixels: expected a page of at least" in app.respond(
        bomb, **known
    )


def test_an_awkward_name_is_only_a_name(known, tmp_path):
    file = tmp_path / '<img src=x>&".jpg'
    file.write_text("no picture", encoding="utf-8")
    html = app.respond(file, **known)
    assert "<img" not in html
    assert 'download="&lt;img src=x&gt;&amp;&quot;_report.html"' in html


# --- Nothing is kept ---


@pytest.mark.parametrize("name", ["page", "garbage"])
def test_an_upload_is_removed(known, upload, uploads, name, request):
    given = upload(request.getfixturevalue(name))
    emptied, _ = app.respond_to_upload(given, uploads=uploads, **known)
    assert emptied is None
    assert list(uploads.folder.iterdir()) == []


def test_an_upload_is_removed_whatever_happens(known, upload, uploads, page, monkeypatch):
    monkeypatch.setattr(app, "respond", None)
    with pytest.raises(TypeError):
        app.respond_to_upload(upload(page), uploads=uploads, **known)
    assert list(uploads.folder.iterdir()) == []


def test_a_page_that_came_twice_is_answered_twice(known, upload, uploads, garbage):
    """Gradio stores both in one place."""
    twice = [upload(garbage), upload(garbage)]
    for given in twice:
        _, html = app.respond_to_upload(given, uploads=uploads, **known)
        assert "is not an image that can be read" in html
    assert list(uploads.folder.iterdir()) == []


def test_a_page_stays_while_it_may_be_arriving_again(known, upload, uploads, garbage):
    assert uploads.reserve(10)
    given = upload(garbage)
    app.respond_to_upload(given, uploads=uploads, **known)
    assert Path(given.path).exists()
    uploads.release(10)
    assert list(uploads.folder.iterdir()) == []


@pytest.mark.parametrize(
    "forged",
    ["{inside}/../../secret.jpg", "{link}", "http://x/../secret.jpg", "\0", "x" * 5000, ""],
)
def test_only_uploads_are_read_and_removed(known, uploads, tmp_path, page, monkeypatch, forged):
    secret = Path(shutil.copy(page, tmp_path / "secret.jpg"))
    inside = uploads.folder / "a-hash"
    inside.mkdir()
    link = inside / "link.jpg"
    link.symlink_to(secret)
    (tmp_path / "http:" / "x").mkdir(parents=True)
    shutil.copy(page, tmp_path / "http:" / "secret.jpg")
    monkeypatch.chdir(tmp_path)
    given = SimpleNamespace(path=forged.format(inside=inside, link=link), is_stream=True)
    _, html = app.respond_to_upload(given, uploads=uploads, **known)
    assert "No answer: " in html and "is not an upload, or was removed" in html
    assert secret.exists() and (tmp_path / "http:" / "secret.jpg").exists()


def test_what_nobody_waits_for_is_removed(uploads):
    half, waiting = uploads.folder / "half", uploads.folder / "a-hash" / "page.jpg"
    waiting.parent.mkdir()
    for file, age in ((half, web.FORGOTTEN + 60), (waiting, web.FORGOTTEN - 60)):
        file.touch()
        os.utime(file, (time.time() - age,) * 2)
    uploads.remove_forgotten()
    assert files_in(uploads.folder) == [waiting]


def test_folders_of_killed_servers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned = tmp_path / f"{web.PREFIX}1"
    (abandoned / "uploads").mkdir(parents=True)
    (abandoned / "uploads" / "page.jpg").touch()
    (abandoned / "lock").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    (tmp_path / f"{web.PREFIX}2").symlink_to(elsewhere)
    with web.private_folder() as first, web.private_folder() as second:
        assert not abandoned.exists()
        assert elsewhere.exists()
        assert first.is_dir() and second.is_dir()
    assert not first.exists() and not second.exists()


def test_without_a_folder_for_uploads_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(InputError, match="TMPDIR names where they go"), web.private_folder():
        pass


# --- Who may ask, and for how much ---


@pytest.fixture
def served(predictor, port, tmp_path, monkeypatch):
    """The web page behind a proxy that does not answer: its address and its uploads."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "set by listen")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with app.listen(predictor, LOCAL, port) as (address, uploads):
        assert address == f"http://{LOCAL}:{port}/"
        yield uploads


def send(port, path="/", body=None, **headers):
    """Status, headers and text of a request that the web page itself would not have sent."""
    if body is not None:
        headers["Content-Type"] = "multipart/form-data; boundary=b"
        body = (
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="page.jpg"\r\n\r\n'
            + body
            + b"\r\n--b--\r\n"
        )
    return response_to(port, path, body, headers)


UPLOAD = "/gradio_api/upload"


def test_other_sites_are_refused(served, port):
    own = f"{LOCAL}:{port}"
    assert send(port, Host=f"localhost:{port}")[0] == 200
    for host in ("attacker.example", f"attacker.example:{port}", "", "["):
        assert send(port, "/config", Host=host)[0] == 403
    assert send(port, UPLOAD, b"x", Origin=f"http://{own}")[0] == 200
    for origin in ("http://attacker.example", "null", f"http://{LOCAL}:1"):
        status, headers, text = send(port, UPLOAD, b"x", Origin=origin)
        assert (status, text) == (403, "the request was sent by a page of another site\n")
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert len(files_in(served.folder)) == 1


def test_the_browser_is_told_what_it_may_do(served, port):
    _, headers, text = send(port)
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert not re.search(r'(src|href)="https?:', text)


def test_uploads_are_limited_one_by_one_and_together(served, port, monkeypatch):
    assert send(port, UPLOAD, b"x" * 3000)[0] == 200
    monkeypatch.setattr(web, "MAX_WAITING", 4000)
    assert send(port, UPLOAD, b"y" * 2000)[::2] == (
        503,
        "too many uploads wait for their answers: try again later\n",
    )
    assert len(files_in(served.folder)) == 1
    (waiting,) = files_in(served.folder)
    waiting.unlink()
    assert send(port, UPLOAD, b"y" * 2000)[0] == 200


def ask(guard, path, **headers):
    """Status of a POST request to a `Guard`."""
    sent = []
    headers = {"host": LOCAL, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, None, send))
    return sent[0]["status"]


def test_no_other_request_is_long(uploads):
    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    guard, join = web.Guard(answer, LOCAL, uploads), "/gradio_api/queue/join"
    assert ask(guard, join, content_length="1000") == 200
    assert ask(guard, join, content_length=str(web.MAX_BODY + 1)) == 413
    assert ask(guard, join, transfer_encoding="chunked") == 413
    assert ask(guard, UPLOAD, transfer_encoding="chunked") == 411


def test_an_upload_that_never_arrives_gives_its_room_back(uploads, monkeypatch):
    async def wait(scope, receive, send):
        await asyncio.Event().wait()

    monkeypatch.setattr(web, "FORGOTTEN", 0.01)
    guard = web.Guard(wait, LOCAL, uploads)
    assert ask(guard, UPLOAD, content_length=str(web.MAX_WAITING)) == 408
    assert uploads.reserve(web.MAX_WAITING)


def test_an_upload_beyond_all_size_is_refused(predictor, port, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(app, "LARGEST_UPLOAD", 1024)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "set by listen")
    with app.listen(predictor, LOCAL, port) as (_, uploads):
        status, _, text = send(port, UPLOAD, b"x" * 2000)
        assert (status, text) == (413, "File size exceeded maximum allowed size of 1024 bytes.")
        assert files_in(uploads.folder) == []
    assert list(tmp_path.iterdir()) == []


def test_no_connection_leaves_the_machine(predictor, port, tmp_path, monkeypatch):
    """Served in this process, whose every connection is noted."""
    met = set()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def note_connect(self, address):
        met.add(address[0])
        return connect(self, address)

    def note_look_up(host, *args, **kwargs):
        met.add(host)
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", note_connect)
    monkeypatch.setattr(socket, "getaddrinfo", note_look_up)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "set by listen")
    with app.listen(predictor, LOCAL, port):
        assert send(port)[0] == 200
    assert met == {LOCAL}


# --- The command ---


def test_the_command_listens_locally_unless_told_otherwise(monkeypatch):
    told = []
    monkeypatch.setattr("ecg_lib.cli.serving._app", lambda **options: told.append(options))
    assert cli.main(["app"]) == 0
    assert cli.main(["app", "--host", "0.0.0.0", "--port", "80", "--model", "run"]) == 0
    assert told == [
        {"model": None, "host": LOCAL, "port": 7860},
        {"model": Path("run"), "host": "0.0.0.0", "port": 80},
    ]


def test_without_gradio_the_command_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "ecg_lib.serving.app")
    assert refusal(capsys) == "ecg_lib: the web page needs Gradio: pip install .[app]"


@pytest.mark.parametrize(
    ("host", "number"),
    [(LOCAL, 0), (LOCAL, 65536), (LOCAL, -1), ("192.0.2.1", 7860), ("a..b", 7860), ("", 7860)],
)
def test_an_address_that_is_none_is_refused(capsys, host, number):
    assert refusal(capsys, "--host", host, "--port", number) == (
        f"ecg_lib: {host}, port {number}, cannot be listened on: expected an IPv4 address of "
        "this machine and a free port from 1 to 65535"
    )


def test_a_port_in_use_is_refused(capsys):
    with socket.create_server((LOCAL, 0)) as taken:
        number = taken.getsockname()[1]
        assert f"port {number}, cannot be listened on" in refusal(capsys, "--port", number)


# --- In a browser ---


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    """The folder in which the command under test keeps its temporary files."""
    return tmp_path_factory.mktemp("temporary")


@contextmanager
def started(port, temporary):
    """The command under test, ready for requests."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ecg_lib", "app", "--port", str(port)],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        assert process.stdout.readline() == (
            f"the web page is at http://{LOCAL}:{port}/; Ctrl+C ends it\n"
        )
        yield process
        process.kill()


@pytest.fixture(scope="module")
def server(temporary):
    """The port of the command under test."""
    number = free_port()
    with started(number, temporary):
        yield number


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium, with a fresh profile, whose downloads go to `browser.downloads`."""
    from selenium import webdriver

    driver = shutil.which("chromedriver")
    if not (shutil.which("chromium") and driver):
        pytest.skip("Chromium is not installed: apt-get install chromium chromium-driver")
    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{argument}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as browser:
        browser.downloads = downloads
        yield browser


@pytest.fixture
def web_page(server, browser):
    """The web page, freshly loaded."""
    browser.get(f"http://{LOCAL}:{server}/")
    return WebPage(browser)


class WebPage:
    """What one sees and does on the web page."""

    def __init__(self, browser):
        self.browser = browser
        self.wait_for("input[type=file]")

    def wait_for(self, selector, *texts):
        """The first element there with these texts in it, once there is one."""
        from selenium.webdriver.support.ui import WebDriverWait

        def holds(element):
            shown = element.text
            return all(text in shown for text in texts)

        return WebDriverWait(self.browser, 60, ignored_exceptions=_vanished()).until(
            lambda browser: next(filter(holds, self.all(selector)), None)
        )

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    @property
    def text(self):
        return self.all("body")[0].text

    def drop(self, file):
        self.wait_for("input[type=file]").send_keys(str(file))


def _vanished():
    """What is raised of an element that the page has drawn anew."""
    from selenium.common.exceptions import StaleElementReferenceException

    return [StaleElementReferenceException]


@pytest.mark.slow
def test_browser_loads_it(web_page, predictor):
    web_page.wait_for("h2", "What this network is known to do")
    assert DISCLAIMER in web_page.text
    assert measure(predictor.run).summary in web_page.text
    assert "at most 20 MB" in web_page.text


@pytest.mark.slow
def test_browser_uploads_a_page_and_takes_the_report(web_page, browser, page, predictor, temporary):
    from selenium.webdriver.support.ui import WebDriverWait

    web_page.drop(page)
    web_page.wait_for("h2", page.name)
    answer = predictor.answer(page)
    label = DISPLAY_NAMES[answer.label]
    assert f"{label}, with a calibrated probability of {answer.confidence:.2f}" in web_page.text
    assert "What drove the answer" in web_page.text
    widths = browser.execute_script(
        "return [...document.querySelectorAll('img[alt=\"\"]')].map(img => img.naturalWidth)"
    )
    assert len(widths) == 4
    assert min(widths) > 500

    web_page.wait_for("a.download").click()
    report = browser.downloads / f"{page.stem}_report.html"
    WebDriverWait(browser, 60).until(lambda _: report.exists())
    browser.get(report.as_uri())
    downloaded = browser.find_element("css selector", "body").text
    assert f"{label}, with a calibrated probability" in downloaded
    assert downloaded.count(DISCLAIMER) == 2
    assert files_in(temporary) == []


@pytest.mark.slow
def test_browser_shows_why_garbage_is_refused(web_page, garbage, page, temporary):
    web_page.drop(garbage)
    refused = web_page.wait_for(".refused")
    assert refused.text == (
        f"No answer: {garbage.name} is not an image that can be read: expected a JPEG, PNG, TIFF, "
        "BMP, GIF, WebP, HEIC or PDF page."
    )
    assert files_in(temporary) == []
    web_page.drop(page)
    web_page.wait_for("h2", page.name)
    assert web_page.all(".refused") == []


@pytest.mark.slow
def test_browser_refuses_what_is_too_large(web_page, tmp_path, temporary):
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(21 * 2**20)
    web_page.drop(large)
    # At once: the message fades away.
    web_page.wait_for(".toast-body", "large.jpg", "exceed the maximum allowed size of 20")
    assert files_in(temporary) == []


@pytest.mark.slow
def test_browser_shows_the_example(web_page, temporary):
    web_page.wait_for("button", "Try an example").click()
    web_page.wait_for("h2", app.EXAMPLE_NAME)
    assert "What drove the answer" in web_page.text
    assert files_in(temporary) == []


@pytest.mark.slow
def test_browser_fetches_nothing_from_elsewhere(web_page, browser, server):
    web_page.wait_for("button", "Try an example").click()
    web_page.wait_for("h2", app.EXAMPLE_NAME)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    of_the_page = {url for url in sent if not url.startswith(("data:", "chrome:", "file:"))}
    assert f"http://{LOCAL}:{server}/" in of_the_page
    assert [url for url in of_the_page if not url.startswith(f"http://{LOCAL}:{server}/")] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_when_it_is_ended_its_folder_is_removed(tmp_path, port, name):
    with started(port, tmp_path) as process:
        assert list(tmp_path.glob("ecg_lib_app_*")) != []
        process.send_signal(getattr(signal, name))
        assert process.wait(60) == 0
    assert list(tmp_path.glob("ecg_lib_app_*")) == []
