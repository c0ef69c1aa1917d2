"""The command line: `python -m ecg_lib COMMAND`, whose `--help` lists the commands.

Exit status: 0 if all went well, some pages left out or not; 2 if the input or the options cannot
be used; 1 if a training failed; 130 if interrupted.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import ecg_lib
from ecg_lib.data.classes import CLASSES, class_of_folder
from ecg_lib.errors import InputError
from ecg_lib.experiment.config import DEMO, DEMO_PAGES_PER_CLASS, RunConfig, knob_descriptions
from ecg_lib.models import OURS, PUBLISHED
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS

PREPARE_KNOBS = ("data", "protocol", "image_size", "image_width", "prepared")
AUDIT_KNOBS = (*PREPARE_KNOBS, "seed", "fold", "ink_only", "results")
PATH_KNOBS = ("data", "prepared", "results")


def main(arguments=None):
    """Run a command; return its exit status."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        return command(**options) or 0
    except InputError as error:
        print(f"ecg_lib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ecg_lib: interrupted; what is finished is kept", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    def __init__(self, *args, **kwargs):
        """Take options by their whole names: a misspelt one must not pass for another."""
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def parse_known_args(self, args=None, namespace=None):
        """Let each command say itself which of its options it does not know."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message):
        """Say in one line what is wrong, without the usage above it."""
        self.exit(2, f"ecg_lib: {message}; {self.prog} --help says what is valid\n")


def _parser():
    parser = _Parser("python -m ecg_lib", description=ecg_lib.__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    draw = commands.add_parser("draw", help="draw a set of synthetic ECG pages")
    draw.add_argument("folder", nargs="?", default=RunConfig.data, help="(default: %(default)s)")
    draw.add_argument(
        "--pages-per-class", type=int, default=DEMO_PAGES_PER_CLASS, help="(default: %(default)s)"
    )
    draw.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    draw.set_defaults(command=_draw)

    _add_signals(commands)

    prepare = commands.add_parser("prepare", help="crop the leads of all pages of a folder")
    _add_knobs(prepare, PREPARE_KNOBS)
    prepare.set_defaults(command=_prepare)

    look = commands.add_parser("look", help="write a picture of a page with the leads found on it")
    look.add_argument("page", type=Path, help="an image file")
    look.add_argument(
        "--picture", type=Path, help="(default: PAGE_leads.png in the current folder)"
    )
    look.set_defaults(command=_look)

    _add_predict(commands)
    _add_app(commands)

    audit = commands.add_parser(
        "audit",
        help="look for copies, leaks and shortcuts in the pages and their split",
        description="Look for copies, leaks and shortcuts in the pages and their split. The naive "
        "models are written beside the trained ones, for the table.",
    )
    _add_knobs(audit, AUDIT_KNOBS)
    audit.set_defaults(command=_audit)

    run = commands.add_parser(
        "run",
        help="train models and write the accuracy table",
        description="Train models through papermill, one notebook each, and write the accuracy "
        "table. Without --data, a small experiment on synthetic pages, whose image size and "
        "epochs fit into some minutes. What is finished is not done again.",
    )
    run.add_argument(
        "--models",
        nargs="+",
        default=PUBLISHED,
        metavar="MODEL",
        help=f"of {', '.join((*PUBLISHED, *OURS))} (default: all but the last)",
    )
    _add_knobs(run, [field.name for field in fields(RunConfig) if field.name != "model"])
    run.set_defaults(command=_run)

    table = commands.add_parser("table", help="write the accuracy tables of finished runs again")
    _add_knobs(table, ("results",))
    table.add_argument("--readme", type=Path, help="also put them into this README")
    table.set_defaults(command=_table)

    _add_ensemble(commands)
    _add_export(commands)

    card = commands.add_parser("card", help="write the model card of a finished run")
    card.add_argument("run", type=Path, help="a run folder, such as results/models/lead_attention")
    card.set_defaults(command=_card)
    return parser


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
        "--onnx",
        action="store_true",
        help="let ONNX Runtime answer with the run's model.onnx (see export), without TensorFlow",
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


def _add_ensemble(commands):
    ensemble = commands.add_parser(
        "ensemble",
        help="make one network of several finished runs",
        description="Make one network of several finished runs that differ by their seed alone: it "
        "answers with their mean probability, and nothing is trained. Under the protocol plain the "
        "seed draws the split as well, so that such runs do not go together.",
    )
    ensemble.add_argument("members", nargs="+", type=Path, metavar="RUN", help="a run folder")
    ensemble.add_argument(
        "--to", dest="folder", type=Path, required=True, help="the run folder to write"
    )
    ensemble.set_defaults(command=_ensemble)


def _add_export(commands):
    export = commands.add_parser(
        "export",
        help="write the network of a finished run for ONNX Runtime or LiteRT",
        description="Write the network of a finished run into its folder as model.onnx or "
        "model.tflite, once it is checked against Keras, and model.json beside it, which tells "
        "others how to use it.",
    )
    export.add_argument(
        "run", type=Path, help="a run folder, such as results/models/lead_attention"
    )
    export.add_argument(
        "--format", dest="file_format", required=True, metavar="FORMAT", help="onnx or litert"
    )
    export.set_defaults(command=_export)


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


def _add_signals(commands):
    signals = commands.add_parser("signals", help="digital recordings: read them, draw them")
    verbs = signals.add_subparsers(title="commands", required=True, metavar="COMMAND")
    inspect = verbs.add_parser("inspect", help="say what in recordings is taken for what")
    inspect.set_defaults(command=_inspect_signals)
    draw = verbs.add_parser("draw", help="draw recordings as one more class of a folder of pages")
    draw.set_defaults(command=_draw_signals)
    for verb in (inspect, draw):
        verb.add_argument(
            "recordings",
            type=Path,
            metavar="IN",
            help="a file or a folder: WFDB (.hea + .dat), CSV, TSV, NPY, NPZ, MAT, EDF",
        )
        if_not_said = verb.add_argument_group("where a file does not say it itself")
        if_not_said.add_argument("--rate", type=float, metavar="HZ", help="samples a second")
        if_not_said.add_argument("--unit", help="mV, uV or V")
        if_not_said.add_argument("--leads", nargs="+", metavar="LEAD", help="in the file's order")
    draw.add_argument("pages", type=Path, metavar="OUT", help="a folder with one folder a class")
    draw.add_argument("--class", dest="class_name", required=True, help=" | ".join(CLASSES))
    draw.add_argument(
        "--layout",
        default="standard_3x4_with_rhythm",
        help=f"{' | '.join(PUBLISHED_LAYOUTS)} (default: %(default)s)",
    )


def _add_knobs(parser, names):
    """Add options for fields of `RunConfig`; one that is not given stays out of the namespace."""
    texts = knob_descriptions()
    for field in fields(RunConfig):
        if field.name not in names:
            continue
        text = f"{texts[field.name]} (default: {field.default})"
        kind = {"action": "store_true"} if field.type is bool else {"type": field.type}
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", default=argparse.SUPPRESS, help=text, **kind
        )


def _config(**given):
    """A `RunConfig`; paths from the command line are relative to the current folder."""
    for name in PATH_KNOBS:
        if name in given:
            given[name] = str(Path(given[name]).expanduser().absolute())
    return RunConfig(**given)


def _draw(folder, pages_per_class, seed):
    from ecg_lib.pages.synthetic import draw_set

    drawn = draw_set(Path(folder), pages_per_class, seed=seed, jobs=-1)
    print(f"{drawn:,} pages drawn in {folder}, the others were there")


def _inspect_signals(recordings, **given):
    from ecg_lib.pages.recordings import Given, find_recordings, read_recordings
    from ecg_lib.pages.signals import describe

    usable, faults = 0, []
    for file in find_recordings(recordings):
        found, bad = read_recordings(file, Given(**given))
        for recording in found:
            print(describe(recording))
        for fault in bad:
            print(f"left out: {fault}")
        usable += len(found)
        faults += bad
    _sum_up_recordings(f"{usable:,} recordings can be drawn", usable, faults)


def _draw_signals(recordings, pages, class_name, layout, **given):
    from ecg_lib.errors import one_of
    from ecg_lib.pages.recordings import Given, find_recordings
    from ecg_lib.pages.signals import draw_recordings

    folder = pages / (class_of_folder(class_name) or one_of("class", class_name, CLASSES))
    outcomes = draw_recordings(find_recordings(recordings), folder, layout, Given(**given), jobs=-1)
    for outcome in outcomes:
        print(f"{outcome.status}: {outcome.text}")
    faults = [outcome.text for outcome in outcomes if outcome.status == "left out"]
    kept = [outcome for outcome in outcomes if outcome.status == "kept"]
    drawn = len(outcomes) - len(kept) - len(faults)
    summary = f"{drawn:,} recordings drawn in {folder}, {len(kept):,} were there"
    _sum_up_recordings(summary, drawn + len(kept), faults)


def _sum_up_recordings(summary, usable, faults):
    if not usable:
        raise InputError(f"no recording can be used; the first: {faults[0]}")
    print(f"{summary}, {len(faults):,} left out")


def _prepare(**given):
    from ecg_lib.experiment.inputs import open_inputs

    inputs = open_inputs(_config(**given))
    print(inputs.prepared.summary)
    print(inputs.counts)


def _look(page, picture):
    from ecg_lib.experiment import plots
    from ecg_lib.pages.detect import detect, rectify
    from ecg_lib.pages.preprocess import read_luma

    luma = read_luma(page)
    found = detect(luma)
    text = f"{found.layout}, rhythm strip: {found.rhythm_lead or 'none, or its lead not read'}"
    figure = plots.page_figure(rectify(luma, found), found.boxes, f"{page.name}: {text}")
    # Not beside the page, where it would count as one more page of its class.
    picture = picture or Path(f"{page.stem}_leads.png")
    try:
        figure.savefig(picture, dpi=150)
    except (OSError, ValueError) as error:
        raise InputError(f"{picture} cannot be written: {error}") from None
    print(f"{text}, confidence {found.confidence:.2f}; written to {picture}")


def _predict(pages, model, onnx, as_json, csv, report):
    from tqdm import tqdm

    from ecg_lib.serving import predict
    from ecg_lib.serving.card import DISCLAIMER, measure

    files = predict.find_files(pages)
    predictor = predict.Predictor(model, onnx)
    records = []
    with ExitStack() as outputs:
        tell = []
        if csv:
            table = predict.open_table(csv, predictor.record["classes"])
            tell.append(outputs.enter_context(table))
        if report:
            from ecg_lib.serving.report import open_report  # It imports TensorFlow.

            tell.append(outputs.enter_context(open_report(report, predictor)))
        if not as_json:
            tell.append(lambda answer: tqdm.write(predict.describe(answer)))
        for file in tqdm(files, desc="answering", unit="page"):
            answer = predictor.answer(file)
            for add in tell:
                add(answer)
            records.append(predict.as_record(answer))
    answered = sum(record["answered"] for record in records)
    measured = measure(predictor.run)
    if as_json:
        print(json.dumps({"notice": DISCLAIMER, "model": measured.as_record(), "pages": records}))
    else:
        print(f"{answered:,} of {len(records):,} pages answered for")
        print(f"{measured.summary}. {DISCLAIMER}")
    if not answered:
        raise InputError(f"no page could be answered for; the first: {records[0]['refusal']}")


def _ensemble(members, folder):
    from ecg_lib.serving.ensemble import make_ensemble

    print(f"written to {make_ensemble(members, folder)}")


def _export(run, file_format):
    from ecg_lib.serving.export import NOTES, export

    path, difference = export(run, file_format)
    print(f"largest difference of a logit from Keras: {difference:.1e}")
    print(f"written to {path}, and how to use it to {run / NOTES}")


def _app(model, host, port):
    from ecg_lib.serving.predict import Predictor

    try:
        from ecg_lib.serving.app import serve
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise InputError("the web page needs Gradio: pip install .[app]") from None
    serve(Predictor(model), host, port)


def _card(run):
    from ecg_lib.serving.card import write_card

    print(f"written to {write_card(run)}")


def _audit(**given):
    from ecg_lib.experiment import audit

    config = _config(**given)
    print(audit.write_audit(config))
    audit.write_naive_runs(config)
    print(f"written to {config.table_path}")


def _run(models, **given):
    from ecg_lib.experiment import batch

    demo = {} if "data" in given else DEMO
    configs = [_config(model=model, **(demo.get(model, {}) | given)) for model in models]
    return batch.run_all(configs)


def _table(results=RunConfig.results, readme=None):
    from ecg_lib.experiment import runs, tables

    folders = runs.folders_of_runs(_config(results=results).results_path)
    for folder in folders:
        print(tables.write_table(folder))
    if readme:
        tables.update_readme(readme)
