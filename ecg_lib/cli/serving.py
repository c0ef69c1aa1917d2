"""Commands that use a trained network: predict, app, export, card."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_lib.cli.options import Commands, check_outputs
from ecg_lib.errors import InputError

if TYPE_CHECKING:
    from ecg_lib.serving.answers import Answer
    from ecg_lib.serving.predictor import Predictor


def add_commands(commands: Commands) -> None:
    """Add the commands of this module to the parser's commands."""
    _add_predict(commands)
    _add_app(commands)
    _add_export(commands)
    _add_card(commands)


def _add_predict(commands):
    predict = commands.add_parser(
        "predict",
        help="answer for pages with a trained network",
        description="Answer for pages with a trained network: calibrated probabilities of the "
        "classes, or why there are none. Research software, not a diagnosis.",
    )
    predict.add_argument(
        "pages", nargs="+", metavar="PAGE", help="an image file, a folder, or a glob pattern"
    )
    _add_model(predict)
    predict.add_argument(
        "--runtime",
        metavar="RUNTIME",
        help="onnx or keras (default: onnx, which needs no TensorFlow, where ONNX Runtime is "
        "installed and the run holds model.onnx, see export; else keras)",
    )
    predict.add_argument(
        "--json", dest="as_json", action="store_true", help="print JSON in place of text"
    )
    predict.add_argument("--csv", type=Path, metavar="FILE", help="also write a table")
    predict.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="also write one self-contained HTML page, with pictures and what drove each answer",
    )
    predict.set_defaults(command=_predict)


def _add_model(parser):
    parser.add_argument(
        "--model",
        type=Path,
        metavar="RUN",
        help="a run folder (default: the committed network)",
    )


def _predict(
    pages: list[str],
    model: Path | None,
    runtime: str | None,
    as_json: bool,
    csv: Path | None,
    report: Path | None,
) -> None:
    from tqdm import tqdm

    from ecg_lib.pages.image import file_of
    from ecg_lib.serving.answers import DISCLAIMER, as_record, describe, find_files, open_table
    from ecg_lib.serving.predictor import Predictor

    files = find_files(pages)
    predictor = Predictor(model, runtime)
    read = [*map(file_of, files), *predictor.run.iterdir()]
    check_outputs({"--csv": csv, "--report": report}, read)
    records: list[dict[str, Any]] = []
    with ExitStack() as outputs:
        writers: list[Callable[[Answer], object]] = [
            lambda answer: records.append(as_record(answer))
        ]
        if csv:
            table = open_table(csv, predictor.record.classes)
            writers.append(outputs.enter_context(table))
        if report:
            from ecg_lib.serving.report import open_report  # Its plots take long to import.

            writers.append(outputs.enter_context(open_report(report, predictor)))
        if as_json:
            outputs.enter_context(_printed_as_json(predictor, records))
        else:
            writers.append(lambda answer: tqdm.write(describe(answer)))
        for file in tqdm(files, desc="answering", unit="file"):
            for answer in predictor.answer_file(file):
                for write in writers:
                    write(answer)
        answered = sum(record["answered"] for record in records)
        if not as_json:
            print(f"{answered:,} of {len(records):,} pages answered")
            print(f"{predictor.summary}. {DISCLAIMER}")
    if not answered:
        raise InputError(f"no page could be answered; the first: {records[0]['refusal']}")


@contextmanager
def _printed_as_json(predictor: "Predictor", records: list[dict[str, Any]]) -> Iterator[None]:
    """Print the records of answers when the context is left, also where it is interrupted."""
    from ecg_lib.serving.answers import DISCLAIMER
    from ecg_lib.serving.measured import measure  # pandas takes long to import.

    measured = measure(predictor.run).as_record()
    try:
        yield
    finally:
        print(json.dumps({"notice": DISCLAIMER, "model": measured, "pages": records}))


def _add_app(commands):
    app = commands.add_parser(
        "app",
        help="serve a small web page that answers for pages",
        description="Serve a small web page: drop an ECG page, see the answer and what drove it. "
        "Needs pip install .[app]. Research software, not a diagnosis.",
    )
    _add_model(app)
    app.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, this machine alone)",
    )
    app.add_argument("--port", type=int, default=7860, help="(default: %(default)s)")
    app.set_defaults(command=_app)


def _app(model, host, port):
    from ecg_lib.serving.predictor import Predictor

    try:
        from ecg_lib.serving.app import serve
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise InputError("the web page needs Gradio: pip install .[app]") from None
    serve(Predictor(model), host, port)


def _add_export(commands):
    export = commands.add_parser(
        "export",
        help="write the network of a finished run for ONNX Runtime or LiteRT",
        description="Write the network of a finished run into its folder as model.onnx or "
        "model.tflite, once it is checked against Keras, and model.json beside it, which says how "
        "to use it.",
    )
    export.add_argument(
        "run", type=Path, help="a run folder, such as results/models/lead_attention"
    )
    export.add_argument(
        "--format", dest="file_format", required=True, metavar="FORMAT", help="onnx or litert"
    )
    export.set_defaults(command=_export)


def _export(run, file_format):
    from ecg_lib.serving.export import NOTES, export

    path, difference = export(run, file_format)
    print(f"largest difference of an output from Keras: {difference:.1e}")
    print(f"written to {path}, and how to use it to {run / NOTES}")


def _add_card(commands):
    card = commands.add_parser("card", help="write the model card of a finished run")
    card.add_argument("run", type=Path, help="a run folder, such as results/models/lead_attention")
    card.set_defaults(command=_card)


def _card(run):
    from ecg_lib.serving.card import write_card

    print(f"written to {write_card(run)}")
