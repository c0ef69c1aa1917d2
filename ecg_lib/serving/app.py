"""A small web page: drop an ECG page, see the answer and what drove it, download a report.

It is written for one machine and few people: pages are answered one at a time. Nothing is fetched
from elsewhere or sent there. An upload is removed as soon as it is answered; a report is never
written to disk, it is part of the answer. What is left over, such as half an upload, is removed
after `ecg_lib.serving.web.FORGOTTEN` seconds, and when the process ends. What a killed process left
is removed when the next one starts.
"""

import base64
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from ecg_lib.drawing.demo_set import draw_example
from ecg_lib.errors import InputError
from ecg_lib.files import temporary_folder, writing
from ecg_lib.serving import report
from ecg_lib.serving.answers import DISCLAIMER
from ecg_lib.serving.markup import Html, html, joined
from ecg_lib.serving.predictor import Predictor
from ecg_lib.serving.web import FORGOTTEN, Guard, Uploads, private_folder, served

LARGEST_UPLOAD = 20 * 2**20
"""Largest upload in bytes: twenty times the largest published page; a colour scan fits."""

EXAMPLE = ("abnormal_heartbeat", 0, 2)
"""Class, seed and number of the drawn page that is offered."""

EXAMPLE_NAME = "drawn_example.jpg"

INTRODUCTION = f"""\
# What does a network see in this ECG page?

Drop the picture of a 12-lead ECG page below. You see where its leads were found, how probable each
condition is according to the network, and which leads drove that. A page that cannot be read is
refused, with the reason.

**{DISCLAIMER}** A page is removed as soon as it is answered; nothing is sent elsewhere.
"""

STYLE = f"""{report.STYLE}
h2, h3 {{ margin: 1em 0 .5em; border: 0; padding: 0; font-weight: bold }}
h2 {{ font-size: 1.5em }}
h3 {{ font-size: 1.2em }}
p {{ margin: 1em 0 }}
.download {{ display: inline-block; padding: .4em 1em; border: 1px solid; border-radius: 6px }}
"""
"""The report's own style, and what Gradio's style takes from headings and paragraphs."""

THEME = gr.themes.Default(font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")])
"""The machine's own fonts: none are fetched."""


def respond(page: Path, predictor: Predictor, limits: Html) -> Html:
    """Answer for each page of a file in HTML.

    Args:
        page: path of the file.
        predictor: the predictor that answers.
        limits: what the network is known to do, as `ecg_lib.serving.report.limits` gives it.

    Returns:
        The answer, below a link that holds the complete report.
    """
    section = joined(
        report.section(_with_own_name(answer, page), predictor)
        for answer in predictor.answer_file(page)
    )
    return html(
        '<a class="download" download="{name}" href="data:text/html;base64,{data}">'
        "Download as a report</a>\n{section}",
        name=f"{page.stem}_report.html",
        data=base64.b64encode(report.document(section, limits).encode()).decode(),
        section=section,
    )


def _with_own_name(answer, page):
    """Name the file as its owner does, who does not know where it was stored."""
    return replace(
        answer,
        **{
            name: sentence.replace(str(page), page.name)
            for name in ("refusal", "caution")
            if (sentence := getattr(answer, name)) is not None
        },
    )


def respond_to_upload(
    upload: gr.FileData, predictor: Predictor, limits: Html, uploads: Uploads
) -> tuple[None, str]:
    """Answer for an upload in HTML, and remove it.

    Args:
        upload: names the uploaded file.
        predictor, limits: as in `respond`.
        uploads: the folder that the file lies in.

    Returns:
        None, which empties the drop area for the next page, and the answer.
    """
    try:
        # A forged request may name something else than one file.
        with uploads.opened(getattr(upload, "path", "")) as page:
            return None, respond(page, predictor, limits)
    except InputError as error:
        return None, report.refusal(error)


def respond_to_example(predictor: Predictor, limits: Html) -> Html:
    """Answer for a drawn page in HTML; arguments as in `respond`."""
    picture, _, quality = draw_example(*EXAMPLE)
    try:
        with temporary_folder() as folder:
            with writing(folder / EXAMPLE_NAME) as page:
                picture.save(page, quality=quality)
            return respond(page, predictor, limits)
    except InputError as error:
        return report.refusal(error)


def build(predictor: Predictor, uploads: Uploads) -> gr.Blocks:
    """Lay out the web page.

    Args:
        predictor: the predictor that answers.
        uploads: the folder that uploads pass through.

    Returns:
        The page, which is not served yet.
    """
    limits = report.limits(predictor.run)
    with gr.Blocks(title="ECG page", analytics_enabled=False) as blocks:
        gr.Markdown(INTRODUCTION)
        drop = gr.File(
            label=f"ECG page: an image or PDF of at most {LARGEST_UPLOAD >> 20} MB", height=180
        )
        # Gradio's own preparation leaves an empty file behind for every upload.
        drop.preprocess = lambda upload: upload  # type: ignore
        example = gr.Button("Try an example: a drawn page, not a patient's")
        answer = gr.HTML(css_template=STYLE, apply_default_css=False)
        gr.HTML(limits, css_template=STYLE, apply_default_css=False)
        options: dict[str, Any] = {
            "show_progress_on": answer,
            "concurrency_limit": 1,
            "concurrency_id": "answers",
            "api_visibility": "private",
        }
        of_upload = partial(respond_to_upload, predictor=predictor, limits=limits, uploads=uploads)
        drop.upload(of_upload, drop, [drop, answer], **options)
        of_example = partial(respond_to_example, predictor, limits)
        example.click(of_example, None, answer, **options)
    return blocks


def serve(predictor: Predictor, host: str, port: int, public_name: str | None = None) -> None:
    """Serve the web page until the process is interrupted or ended, or its terminal is closed.

    Args:
        predictor, host, port, public_name: as in `listen`.

    Raises:
        InputError: if the address and the port cannot be listened on.
    """
    # However it ends, its folder of uploads is removed.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    listening = listen(predictor, host, port, public_name)
    with suppress(KeyboardInterrupt), listening as (address, uploads):
        print(f"the web page is at {address}; Ctrl+C ends it", flush=True)
        while True:
            time.sleep(FORGOTTEN)
            uploads.remove_forgotten()


@contextmanager
def listen(
    predictor: Predictor, host: str, port: int, public_name: str | None = None
) -> Iterator[tuple[str, Uploads]]:
    """Serve the web page while the context lasts.

    Args:
        predictor: the predictor that answers.
        host: the address of this machine to listen on.
        port: the port, 1 to 65535.
        public_name: the name of the host under which a hosted Space is reached.

    Yields:
        The address of the web page, and its `Uploads`.

    Raises:
        InputError: if the address and the port cannot be listened on.
    """
    with private_folder() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        uploads = Uploads(folder)
        application = gr.mount_gradio_app(
            FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
            build(predictor, uploads),
            path="/",
            server_name=host,
            server_port=port,
            max_file_size=LARGEST_UPLOAD,
            show_error=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            theme=THEME,
        )
        with served(Guard(application, host, uploads, public_name), host, port) as address:
            yield address, uploads
