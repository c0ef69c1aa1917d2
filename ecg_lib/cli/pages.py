"""Commands on pages: draw, prepare, look."""

from pathlib import Path

from ecg_lib.cli.options import (
    PREPARE_OPTIONS,
    Commands,
    add_config_options,
    check_outputs,
    make_config,
)
from ecg_lib.errors import InputError, one_of
from ecg_lib.files import replacing
from ecg_lib.runs.config import DEMO_PAGES_PER_CLASS, RunConfig
from ecg_lib.text import as_utf_8


def add_commands(commands: Commands) -> None:
    """Add the commands of this module to the parser's commands."""
    _add_draw(commands)
    _add_prepare(commands)
    _add_look(commands)


def _add_draw(commands):
    draw = commands.add_parser("draw", help="draw a set of synthetic ECG pages")
    draw.add_argument("folder", nargs="?", default=RunConfig.data, help="(default: %(default)s)")
    draw.add_argument(
        "--pages-per-class", type=int, default=DEMO_PAGES_PER_CLASS, help="(default: %(default)s)"
    )
    draw.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    draw.set_defaults(command=_draw)


def _draw(folder, pages_per_class, seed):
    from ecg_lib.drawing.demo_set import draw_set

    drawn = draw_set(Path(folder), pages_per_class, seed=seed, jobs=-1)
    print(f"{drawn:,} pages drawn in {folder}, the others were there")


def _add_prepare(commands):
    prepare = commands.add_parser("prepare", help="crop the leads of all pages of a folder")
    add_config_options(prepare, PREPARE_OPTIONS)
    prepare.set_defaults(command=_prepare)


def _prepare(**given):
    from ecg_lib.runs.inputs import open_inputs

    inputs = open_inputs(make_config(**given))
    print(inputs.prepared.summary)
    print(inputs.counts)


def _add_look(commands):
    look = commands.add_parser(
        "look", help="write a picture of each page of a file, with the leads found on it"
    )
    look.add_argument("page", type=Path, help="an image or PDF file, or a page of it, as fax.tif#2")
    look.add_argument(
        "--picture",
        type=Path,
        help="(default: PAGE_leads.png in the current folder; of several pages, each picture has "
        "the page's number before its suffix)",
    )
    look.set_defaults(command=_look)


def _look(page, picture):
    from ecg_lib.pages.image import file_of, list_pages

    pages = list_pages(page)
    # Not beside the page, where it would count as one more page of its class.
    picture = picture or Path(f"{page.stem}_leads.png")
    pictures = [picture]
    if len(pages) > 1:
        pictures = [
            picture.with_stem(f"{picture.stem}_{number}") for number in range(1, len(pages) + 1)
        ]
    for file in pictures:
        check_outputs({"--picture": file}, [file_of(page)])
    faults = []
    for name, file in zip(pages, pictures, strict=True):
        if name.note:
            print(name.note)
        try:
            print(f"{_write_picture(name.path, file)}; written to {file}")
        except InputError as error:
            faults.append(error)
            if len(pages) > 1:
                print(f"no picture: {error}")
    if len(faults) == len(pages):
        raise faults[0]


def _write_picture(page, picture):
    """Write the picture of a page; return what was found on it."""
    from ecg_lib.evaluation import plots
    from ecg_lib.pages.detection import rectify
    from ecg_lib.pages.reading import find_leads

    luma, found = find_leads(page)
    text = f"{found.layout}, rhythm strip: {found.rhythm_lead or 'none, or its lead not read'}"
    title = f"{as_utf_8(page.name)}: {text}"
    figure = plots.page_figure(rectify(luma, found), found.boxes, title)
    suffix = picture.suffix.lower().removeprefix(".") or "png"
    one_of("picture format", suffix, figure.canvas.get_supported_filetypes())
    with replacing(picture) as part:
        figure.savefig(part, format=suffix, dpi=150)
    words = f"{text}, {found.scale}, confidence {found.confidence:.2f}"
    return "; ".join([words, *found.cautions])
