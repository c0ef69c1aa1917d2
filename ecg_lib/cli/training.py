"""Commands that make networks: run, ensemble."""

from dataclasses import fields
from pathlib import Path

from ecg_lib.cli.options import Commands, add_config_options, make_config
from ecg_lib.models import OURS, PUBLISHED
from ecg_lib.runs.config import DEMO, RunConfig


def add_commands(commands: Commands) -> None:
    """Add the commands of this module to the parser's commands."""
    _add_run(commands)
    _add_ensemble(commands)


def _add_run(commands):
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
    add_config_options(run, [field.name for field in fields(RunConfig) if field.name != "model"])
    run.set_defaults(command=_run)


def _run(models, **given):
    from ecg_lib.training import headless

    demo = {} if "data" in given else DEMO
    configs = [make_config(model=model, **(demo.get(model, {}) | given)) for model in models]
    return headless.run_all(configs)


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


def _ensemble(members, folder):
    from ecg_lib.training.ensemble import make_ensemble

    print(f"written to {make_ensemble(members, folder)}")
