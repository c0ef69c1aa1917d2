"""A small web page: drop an ECG page, see the answer and what drove it, take a report along.

It is written for one machine and few people: pages are answered for one at a time. Nothing comes
from elsewhere or goes there. What is uploaded is removed as soon as it is answered for; a report
is never written to disk, it is part of the answer. What is left behind, such as half an upload,
goes after `FORGOTTEN` seconds, and with the end of the process at the latest.
"""

import base64
import os
import signal
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr

from ecg_lib.drawing.demo_set import draw_example
from ecg_lib.errors import InputError
from ecg_lib.serving import report
from ecg_lib.serving.card import DISCLAIMER

LARGEST_UPLOAD = 20 * 2**20
"""In bytes: twenty times the largest published page, and a colour scan of a sheet still fits."""

FORGOTTEN = 600
"""Age of an upload, in seconds, at which nobody waits for its answer any more."""

EXAMPLE = ("abnormal_heartbeat", 0, 2)
"""Class, seed and number of the drawn page that is offered."""

EXAMPLE_NAME = "drawn_example.jpg"

INTRODUCTION = f"""\
# What does a network see in this ECG page?

Drop the picture of a 12-lead ECG page below. You are shown where its leads are, how probable the
network holds each condition, and which leads drove that. A page that cannot be read is refused,
and you are told why.

**{DISCLAIMER}** A page is removed as soon as it is answered for; nothing is sent elsewhere.
"""

STYLE = f"""{report.STYLE}
h2, h3 {{ margin: 1em 0 .5em; border: 0; padding: 0; font-weight: bold }}
h2 {{ font-size: 1.5em }}
h3 {{ font-size: 1.2em }}
p {{ margin: 1em 0 }}
.download {{ display: inline-block; padding: .4em 1em; border: 1px solid; border-radius: 6px }}
"""
"""The report's own, and what Gradio takes from headings and paragraphs."""

THEME = gr.themes.Default(font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")])
"""The machine's own letters: none are fetched."""


def respond(page, predictor, limits):
    """Answer for a page in HTML.

    Args:
        page: path of the page.
        predictor: the `ecg_lib.serving.predictor.Predictor` that answers.
        limits: what the network is known to do, as `ecg_lib.serving.report.limits` gives it.

    Returns:
        The answer, below a link under which the whole report is part of the page itself.
    """
    answer = predictor.answer(page)
    if answer.refusal is not None:
        # The sentence names the file as its owner does, who does not know where it lay.
        answer = replace(answer, refusal=answer.refusal.replace(str(page), page.name))
    section = report.section(answer, predictor)
    return _download(f"{page.stem}_report.html", report.whole(section, limits)) + section


def respond_to_upload(upload, predictor, limits):
    """Answer for an upload in HTML, and remove it.

    Args:
        upload: the `gradio.FileData` of the page, which lies in a folder of its own.
        predictor, limits: as of `respond`.

    Returns:
        None, which empties the drop area for the next page, and the answer.
    """
    page = Path(upload.path)
    try:
        return None, respond(page, predictor, limits)
    finally:
        page.unlink(missing_ok=True)
        with suppress(OSError):  # The same page came again, under another name.
            page.parent.rmdir()


def respond_to_example(predictor, limits):
    """Answer for a drawn page in HTML; arguments as of `respond`."""
    picture, _, quality = draw_example(*EXAMPLE)
    with TemporaryDirectory() as folder:
        page = Path(folder) / EXAMPLE_NAME
        picture.save(page, quality=quality)
        return respond(page, predictor, limits)


def _download(name, document):
    data = base64.b64encode(document.encode()).decode()
    return (
        f'<a class="download" download="{escape(name)}" href="data:text/html;base64,{data}">'
        "Download as a report</a>\n"
    )


def build(predictor):
    """Lay out the web page.

    Args:
        predictor: the `ecg_lib.serving.predictor.Predictor` that answers.

    Returns:
        A `gradio.Blocks`, which is not served yet.
    """
    limits = report.limits(predictor.run)
    known = {"predictor": predictor, "limits": limits}
    with gr.Blocks(title="ECG page", analytics_enabled=False) as blocks:
        gr.Markdown(INTRODUCTION)
        drop = gr.File(
            label=f"ECG page: a JPEG or PNG of at most {LARGEST_UPLOAD >> 20} MB", height=180
        )
        # Its own preparation leaves an empty file behind for every upload.
        drop.preprocess = lambda upload: upload
        example = gr.Button("Try an example: a drawn page, not a patient's")
        answer = gr.HTML(css_template=STYLE, apply_default_css=False)
        gr.HTML(limits, css_template=STYLE, apply_default_css=False)
        options = {
            "show_progress_on": answer,
            "concurrency_limit": 1,
            "concurrency_id": "answers",
            "api_visibility": "private",
        }
        drop.upload(partial(respond_to_upload, **known), drop, [drop, answer], **options)
        example.click(partial(respond_to_example, **known), None, answer, **options)
    return blocks


def serve(predictor, host, port):
    """Serve the web page until the process is interrupted or told to end.

    Args:
        predictor, host, port: as of `listen`.

    Raises:
        InputError: if the address and the port cannot be listened on.
    """
    # Whatever ends it, its folder of uploads is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), listen(predictor, host, port) as (address, uploads):
        print(f"the web page is at {address}; Ctrl+C ends it", flush=True)
        while True:
            time.sleep(FORGOTTEN)
            remove_forgotten(uploads)


@contextmanager
def listen(predictor, host, port):
    """Serve the web page while the context lasts.

    Args:
        predictor: the `ecg_lib.serving.predictor.Predictor` that answers.
        host: the address of this machine to listen on.
        port: the port, 1 to 65535.

    Yields:
        The web page's address, and the folder that uploads pass through.

    Raises:
        InputError: if the address and the port cannot be listened on.
    """
    _check_free(host, port)
    with TemporaryDirectory(prefix="ecg_lib_app_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        blocks = build(predictor)
        try:
            _, address, _ = blocks.launch(
                server_name=host,
                server_port=port,
                max_file_size=LARGEST_UPLOAD,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                inbrowser=False,
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                enable_monitoring=False,
                run_history=False,
                footer_links=[],
                theme=THEME,
            )
            yield address, Path(folder)
        finally:
            blocks.close(verbose=False)


def remove_forgotten(uploads):
    """Remove the files of a folder that are older than `FORGOTTEN` seconds."""
    for file in uploads.rglob("*"):
        with suppress(FileNotFoundError):  # It was answered for in this moment.
            if file.is_file() and time.time() - file.stat().st_mtime > FORGOTTEN:
                file.unlink()


def _check_free(host, port):
    try:
        # Port 0 would stand for any.
        socket.create_server((host, port or -1)).close()
    except (OSError, OverflowError, UnicodeError):
        raise InputError(
            f"{host}, port {port}, cannot be listened on: expected an IPv4 address of this machine "
            "and a free port from 1 to 65535"
        ) from None
