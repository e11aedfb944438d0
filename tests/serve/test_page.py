"""The page in a browser."""

import base64
import contextlib
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import images
from bitdiff_jax.serve.limits import Limits
from bitdiff_jax.serve.service import Service
from tests.inference import tiny
from tests.serve import serving
from tests.serve.test_uploads import HEIC, huge_png

pytest.importorskip("gradio")
playwright = pytest.importorskip("playwright.sync_api")
_CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not os.path.exists(_CHROMIUM), reason=f"there is no {_CHROMIUM}"),
]
_DRAWN = "#view .bd:not(.bd-none) .bd-strip button"


@pytest.fixture(scope="module")
def served(segmenter):
    limits = Limits(max_bytes=400_000, max_pixels=1_000_000, max_samples=8)
    with serving.served(Service(segmenter, limits)) as url:
        yield url


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(chromium, url, **options):
    """A visitor's page; fails where a script fails or another host is asked for anything."""
    context = chromium.new_context(viewport={"width": 1300, "height": 1000}, **options)
    page = context.new_page()
    page.set_default_timeout(120_000)
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(url)
    page.wait_for_selector("#upload input[type=file]", state="attached")
    try:
        yield page
    finally:
        context.close()
    assert not failed
    host = url.split("?")[0].rstrip("/")
    others = [each for each in asked if not each.startswith((host, "data:", "blob:"))]
    assert asked and not others


@pytest.fixture
def visitor(chromium, served):
    with opened(chromium, served) as page:
        yield page


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "my photo.png"
    Image.fromarray(tiny.image(60, 90)).save(path)
    return path


def send(page, path):
    """Chooses a file, once the field is empty again."""
    page.wait_for_selector("#upload >> text=Drop Image Here")
    page.wait_for_timeout(500)  # a file that is chosen while the field is made anew is lost
    page.set_input_files("#upload input[type=file]", str(path))


def draw(page, path):
    send(page, path)
    page.wait_for_selector(_DRAWN)
    said(page, path.stem)


def said(page, text):
    """Waits until the page says this above the image, and gives all that it says there."""
    page.wait_for_function(
        "(text) => document.querySelector('#status')?.textContent.includes(text)", arg=text
    )
    return page.inner_text("#status")


def wait_for_edits(page, count):
    """Waits until the page shows what holds so many edits."""
    page.wait_for_function(
        """(count) => {
          const notes = [...document.querySelectorAll("#status .bd-note")];
          const told = notes.map((each) => /^(\\d+) edit/.exec(each.textContent)).find(Boolean);
          return Number(told?.[1] ?? 0) === count && document.querySelector("#status .bd-status");
        }""",
        arg=count,
    )
    page.wait_for_timeout(300)  # until its images are decoded


def click_at(page, across, down):
    box = page.locator("#view canvas").bounding_box()
    position = {"x": across * box["width"], "y": down * box["height"]}
    page.locator("#view canvas").click(position=position)


def painted(page):
    """The canvas as the visitor sees it, as text."""
    return page.evaluate("document.querySelector('#view canvas').toDataURL()")


def choose(page, value):
    page.locator(f"#view label:has(input[value={value}])").click()


def test_upload_look_click_and_ask(visitor, photo):
    draw(visitor, photo)
    assert "region" in said(visitor, "my photo: ")
    assert visitor.locator("#view .bd-strip button").count() == 9  # 8 samples and the consensus
    seen = {painted(visitor)}
    for layer in ("boundary", "agreement", "image"):
        choose(visitor, layer)
        seen.add(painted(visitor))
    assert len(seen) == 4
    choose(visitor, "regions")
    click_at(visitor, 0.1, 0.1)
    assert "pixels" in visitor.inner_text("#view .bd-info")
    visitor.locator("#view canvas").hover(position={"x": 30, "y": 30})
    assert "pixels" in visitor.inner_text("#view .bd-tip")
    choose(visitor, "points")
    click_at(visitor, 0.1, 0.1)
    click_at(visitor, 0.9, 0.9)
    visitor.wait_for_selector("#view .bd-info >> text=/lie in one region in \\d of 8 samples/")
    for _ in range(2):  # the same places again: their answer is told again
        click_at(visitor, 0.1, 0.1)
        assert visitor.inner_text("#view .bd-info") == "Click the second one."
        click_at(visitor, 0.9, 0.9)
        visitor.wait_for_selector("#view .bd-info >> text=/lie in one region in \\d of 8/")
    visitor.locator("#view .bd-strip button", has_text="Sample 3").click()
    visitor.wait_for_selector("#view button[aria-pressed=true] >> text=Sample 3")


def test_answers_granularity_and_back(visitor, photo):
    draw(visitor, photo)
    assert "A and B" in visitor.inner_text("#question")
    visitor.click("#no")
    visitor.wait_for_function("document.querySelectorAll('#view .bd-strip button').length !== 9")
    visitor.click("#back")
    visitor.wait_for_function("document.querySelectorAll('#view .bd-strip button').length === 9")
    visitor.locator("#cut input[type=range]").focus()
    visitor.keyboard.press("End")
    said(visitor, "my photo: 1 region (")
    assert visitor.locator("#cut input[type=number]").input_value() == "1"
    visitor.click("text=Automatic")
    visitor.wait_for_function("document.querySelector('#cut input[type=number]').value === '0.7'")


def region_at(page, across, down):
    """What the page calls the region there."""
    choose(page, "points")  # which forgets what was clicked
    choose(page, "region")
    click_at(page, across, down)
    return page.inner_text("#view .bd-info").split(":")[0]


def stroke(page, begin, end):
    """Draws a line with the pointer, between shares of both sides."""
    box = page.locator("#view canvas").bounding_box()
    (x, y), (x_end, y_end) = (
        (box["x"] + share * box["width"], box["y"] + share * box["height"])
        for share in (begin, end)
    )
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x_end, y_end, steps=8)
    page.mouse.up()


def test_edits(visitor, photo):
    draw(visitor, photo)
    drawn = painted(visitor)
    choose(visitor, "paint")
    stroke(visitor, 0.2, 0.4)
    wait_for_edits(visitor, 1)
    assert region_at(visitor, 0.2, 0.2) == region_at(visitor, 0.4, 0.4)
    choose(visitor, "points")
    choose(visitor, "region")
    assert painted(visitor) != drawn
    visitor.click("#undo")
    wait_for_edits(visitor, 0)
    assert painted(visitor) == drawn
    visitor.click("#undo")
    said(visitor, "nothing was edited yet")


def test_points_are_told_together_and_apart(visitor, photo):
    draw(visitor, photo)
    ends = 0.1, 0.9
    for mode, together in (("same", True), ("different", False)):
        choose(visitor, mode)
        click_at(visitor, ends[0], ends[0])
        assert visitor.inner_text("#view .bd-info") == "Click the second one."
        click_at(visitor, ends[1], ends[1])
        wait_for_edits(visitor, 1)
        first, second = (region_at(visitor, share, share) for share in ends)
        assert first.startswith("Region") and second.startswith("Region")
        assert (first == second) == together
        visitor.click("#undo")
        wait_for_edits(visitor, 0)


def test_a_region_is_extended_and_kept(visitor, photo):
    draw(visitor, photo)
    choose(visitor, "extend")
    stroke(visitor, 0.1, 0.9)
    wait_for_edits(visitor, 1)
    assert len({region_at(visitor, share, share) for share in (0.1, 0.5, 0.9)}) == 1
    choose(visitor, "keep")
    click_at(visitor, 0.5, 0.5)
    wait_for_edits(visitor, 2)
    assert len({region_at(visitor, share, share) for share in (0.1, 0.5, 0.9)}) == 1


def test_a_full_queue_is_one_sentence_and_others_go_on(chromium, segmenter, photo):
    client = pytest.importorskip("gradio_client")
    service = Service(segmenter, Limits(max_samples=8, max_waiting=1))
    with serving.served(service) as url, opened(chromium, url) as page:
        draw(page, photo)
        api = client.Client(url, verbose=False, analytics_enabled=False)
        with service._device:  # as a drawing that takes long
            ask = (client.handle_file(str(photo)), 1, 0, "", "")
            first = api.submit(*ask, api_name="/segment")
            wait_for_status(page, first, "PROCESSING", "ITERATING", "PROGRESS")
            second = api.submit(*ask, api_name="/segment")
            wait_for_status(page, second, "IN_QUEUE")
            page.click("#again")
            toast = page.locator(".toast-body")
            toast.wait_for()
            assert "This application is currently busy. Please try again." in toast.inner_text()
            # Looking needs no place in the queue.
            choose(page, "points")
            click_at(page, 0.1, 0.1)
            click_at(page, 0.9, 0.9)
            page.wait_for_selector("#view .bd-info >> text=/lie in one region in/")
        assert all("my photo" in str(job.result(120)) for job in (first, second))
        page.click("#again")
        page.wait_for_selector("#status >> text=my photo")


def wait_for_status(page, job, *names):
    for _ in range(600):
        if job.status().code.name in names:
            return
        page.wait_for_timeout(100)
    raise AssertionError(job.status())


def test_every_format_is_a_download(visitor, photo, tmp_path):
    from bitdiff_jax.serve import downloads

    draw(visitor, photo)
    buttons = visitor.locator("#results button[data-format]")
    offered = [buttons.nth(k).get_attribute("data-format") for k in range(buttons.count())]
    assert offered == [*downloads.names(), "all"]
    with visitor.expect_download() as caught:
        visitor.click("#results button[data-format=id_png]")
    assert caught.value.suggested_filename == "my photo_labels.png"
    caught.value.save_as(tmp_path / "labels.png")
    labels = images.read_labels(tmp_path / "labels.png")
    assert labels.shape == (60, 90) and labels.min() == 1


def test_a_reload_draws_the_same(visitor, photo):
    draw(visitor, photo)
    address, before = visitor.url, said(visitor, "my photo")
    assert "image=" in address and "seed=0" in address and "num_samples=8" in address
    canvas = painted(visitor)
    visitor.reload()
    visitor.wait_for_selector(_DRAWN)
    assert said(visitor, "my photo").strip() == before.strip() and painted(visitor) == canvas
    assert visitor.url == address


def test_an_expired_link_is_one_sentence(chromium, served):
    with opened(chromium, f"{served}/?image=gone&seed=3&num_samples=4") as page:
        told = said(page, "the link has expired")
        assert "upload it again" in told and told.strip().count("\n") == 0
        page.click("text=Settings")
        assert page.locator("#num_samples input[type=number]").input_value() == "4"
    with opened(chromium, f"{served}/?image=gone&seed=x") as page:
        said(page, "the link's seed is 'x'")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("huge.png", huge_png(20_000, 15_000), "20000 x 15000 pixels are more than"),
        ("broken.png", b"\x89PNG\r\n\x1a\n rubbish", "not an image file"),
        ("report.png", b"%PDF-1.7 nothing", "report.png: not an image file"),
        ("photo.jpg", HEIC, "it is HEIC, as phones save photos); convert it to PNG or JPEG"),
    ],
)
def test_bad_files_are_one_sentence_and_the_page_goes_on(visitor, photo, name, data, says):
    path = photo.with_name(name)
    path.write_bytes(data)
    send(visitor, path)
    assert said(visitor, says).strip().count("\n") == 0
    draw(visitor, photo)


def test_a_truncated_file(visitor, photo):
    cut = photo.with_name("cut.png")
    cut.write_bytes(photo.read_bytes()[:-500])
    send(visitor, cut)
    said(visitor, "cut.png: the file is damaged or cut short")


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("report.pdf", 200, "report.pdf: not an image file; convert it to PNG or JPEG"),
        ("photo.heic", 200, "photo.heic: not an image file"),
        ("large.png", 500_000, "large.png: 0.5 MB is more than the 0 MB that this page takes"),
    ],
)
def test_what_is_refused_before_it_is_sent_is_one_sentence(visitor, photo, name, size, says):
    path = photo.with_name(name)
    path.write_bytes(b"%PDF-1.7" + os.urandom(size))
    send(visitor, path)
    said(visitor, says)
    assert not visitor.locator(".toast-body").count()
    draw(visitor, photo)


_HAND_OVER = """([name, data, kind]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  if (kind === "paste") {
    document.body.dispatchEvent(
      new ClipboardEvent("paste", { ...options, clipboardData: carried }));
    return;
  }
  const field = document.querySelector("#upload input[type=file]").parentElement;
  for (const each of ["dragenter", "dragover", "drop"]) {
    field.dispatchEvent(new DragEvent(each, { ...options, dataTransfer: carried }));
  }
}"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_an_image_is_pasted_or_dropped(visitor, photo, kind):
    large = base64.b64encode(bytes(500_000)).decode()
    visitor.evaluate(_HAND_OVER, ["large.png", large, kind])
    said(visitor, "large.png: 0.5 MB is more than")
    whole = base64.b64encode(photo.read_bytes()).decode()
    visitor.evaluate(_HAND_OVER, [f"by {kind}.png", whole, kind])
    visitor.wait_for_selector(_DRAWN)
    said(visitor, f"by {kind}: ")


def test_two_visitors_at_once_see_their_own(chromium, served, tmp_path):
    paths = []
    for seed, name in ((1, "mine"), (2, "yours")):
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(tiny.image(50, 70, seed)).save(paths[-1])
    with opened(chromium, served) as one, opened(chromium, served) as other:
        send(one, paths[0])
        send(other, paths[1])
        for page, path in ((one, paths[0]), (other, paths[1])):
            page.wait_for_selector(_DRAWN)
            assert path.stem in said(page, path.stem)
            choose(page, "image")
        assert painted(one) != painted(other)
        assert one.url != other.url
        assert "yours" not in one.content() and "mine" not in other.content()


def test_by_keyboard(visitor, photo):
    draw(visitor, photo)
    visitor.locator("#view canvas").focus()
    visitor.keyboard.press("ArrowRight")
    visitor.keyboard.press("Enter")
    assert "pixels" in visitor.inner_text("#view .bd-info")
    visitor.keyboard.press("Escape")
    assert "pixels" not in visitor.inner_text("#view .bd-info")
    visitor.locator("#view input[value=regions]").focus()
    visitor.keyboard.press("ArrowRight")
    assert visitor.locator("#view input[value=boundary]").is_checked()
    visitor.locator("#examples button").first.focus()
    visitor.keyboard.press("Enter")
    said(visitor, "astronaut: ")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_needs_no_scrolling_sideways(chromium, served, photo, scheme):
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, color_scheme=scheme
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(served)
    page.wait_for_selector("#upload input[type=file]", state="attached")
    draw(page, photo)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    grey = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert np.mean(grey) < 60 if scheme == "dark" else np.mean(grey) > 200
    context.close()
