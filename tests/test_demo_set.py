"""The default set of synthetic pages."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from ecg_lib.drawing import demo_set
from ecg_lib.drawing.demo_set import LAYOUT_SHARES, draw_set
from ecg_lib.drawing.simulation import RECIPES
from ecg_lib.errors import InputError
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "set"
    assert draw_set(folder, pages_per_class=2, seed=4, jobs=1) == 10
    return folder


def test_every_page_has_its_whole_truth(drawn):
    pages = sorted(drawn.rglob("*.jpg"))
    assert [page.name for page in pages if page.parent.name == "normal"] == [
        "normal_0001.jpg",
        "normal_0002.jpg",
    ]
    for path in pages:
        truth = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert truth["class"] == path.parent.name
        assert truth["layout"] in PUBLISHED_LAYOUTS
        with Image.open(path) as page:
            assert len(truth["boxes"]) == 13
            for left, top, right, bottom in truth["boxes"]:
                assert 0 <= left < right <= page.width
                assert 0 <= top < bottom <= page.height


def test_number_of_processes_does_not_change_a_byte(drawn, tmp_path):
    draw_set(tmp_path / "again", pages_per_class=2, seed=4, jobs=2)
    assert contents(tmp_path / "again") == contents(drawn)


def test_an_interrupted_set_is_finished(drawn, tmp_path, monkeypatch):
    def stop(page, part, *args, **options):
        part.write_bytes(b"half a page")
        raise KeyboardInterrupt

    folder = tmp_path / "set"
    draw_set(folder, pages_per_class=1, seed=4)
    missing = folder / "normal" / "normal_0001.jpg"
    missing.unlink()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Image.Image, "save", stop)
        draw_set(folder, pages_per_class=1, seed=4)
    assert not missing.exists()

    assert draw_set(folder, pages_per_class=2, seed=4) == 6
    assert contents(folder) == contents(drawn)
    assert draw_set(folder, pages_per_class=2, seed=4) == 0


def test_two_that_draw_one_set_at_once(drawn, tmp_path):
    def draw(_):
        return draw_set(tmp_path / "set", pages_per_class=2, seed=4)

    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(draw, range(2))) == [0, 10]
    assert contents(tmp_path / "set") == contents(drawn)


def test_a_killed_worker_is_one_sentence(tmp_path, monkeypatch):
    def killed(*page):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(demo_set, "_draw_one", killed)
    with pytest.raises(InputError, match=r"draws pages was killed, .* start again to resume"):
        draw_set(tmp_path, pages_per_class=1, jobs=2)


def test_a_set_whose_description_is_half_there_is_drawn(tmp_path):
    (tmp_path / ".part-0123").write_text('{"se', encoding="utf-8")
    assert draw_set(tmp_path, pages_per_class=1) == 5
    assert not (tmp_path / ".part-0123").exists()


def test_a_set_is_not_continued_with_another_seed(drawn):
    before = contents(drawn)
    with pytest.raises(InputError, match=r'"seed": 4, .*"seed": 5, '):
        draw_set(drawn, pages_per_class=3, seed=5)
    assert contents(drawn) == before


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("not a set", encoding="utf-8")
    with pytest.raises(InputError, match="name an empty folder"):
        draw_set(tmp_path, pages_per_class=1)
    assert list(contents(tmp_path)) == ["mine.txt"]


def test_no_pages_cannot_be_drawn(tmp_path):
    with pytest.raises(InputError, match="expected 1 to 100,000"):
        draw_set(tmp_path, pages_per_class=0)


def test_a_seed_or_folder_that_cannot_be_used_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match="seed is -1: expected at least 0"):
        draw_set(tmp_path / "set", pages_per_class=1, seed=-1)
    assert not (tmp_path / "set").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/set cannot be written: "):
        draw_set(tmp_path / "file" / "set", pages_per_class=1)


def test_layouts_are_the_same_in_every_class(drawn):
    by_class = {
        name: [
            json.loads(path.read_text(encoding="utf-8"))["layout"]
            for path in sorted((drawn / name).glob("*.json"))
        ]
        for name in RECIPES
    }
    assert len(set(map(tuple, by_class.values()))) == 1
    assert set(LAYOUT_SHARES) == set(PUBLISHED_LAYOUTS)
    assert sum(LAYOUT_SHARES.values()) == pytest.approx(1)
