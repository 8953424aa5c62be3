"""The page in a real browser: offline, without an error, by mouse and by keyboard, in the dark, on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_runs import link_map, nccl_test
from patience import HANGS_S
from playwright.sync_api import Browser, BrowserContext, Page

from clusterboot.report.page import page as page_of
from clusterboot.report.saved import read_runs

HOSTILE = "</script><script>document.title='owned'</script><img src=//example.org/x onerror=alert(1)>"
Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(1000 * HANGS_S)
    yield context
    context.close()


@pytest.fixture
def opened(context: BrowserContext, tmp_path: Path) -> Iterator[Opened]:
    """Open results as one page; whatever it asks of a network, or has to complain of, fails the test."""
    pages: list[Page] = []
    heard: list[str] = []

    def open_(*results: str) -> Page:
        file = tmp_path / "report.html"
        runs = [run for result in results for run in read_runs(result.encode(), "result.json")]
        file.write_text(page_of(runs), encoding="utf-8")
        tab = context.new_page()
        pages.append(tab)
        tab.on("console", lambda message: heard.append(message.text))
        tab.on("pageerror", lambda error: heard.append(str(error)))
        tab.on("request", lambda asked: asked.url == file.as_uri() or heard.append(asked.url))
        tab.goto(file.as_uri())
        tab.wait_for_selector("html[data-ready]")
        return tab

    yield open_
    for tab in pages:
        tab.close()
    assert heard == []


def over(tab: Page) -> tuple[float, float, float]:
    """Where the first heat map's plot begins, and how wide it is."""
    plot = tab.locator(".heat .u-over").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"]


def colours(tab: Page, size: int, *cells: tuple[int, int]) -> list[list[int]]:
    """The colours that are painted in the corners of cells of the first heat map."""
    script = """([size, cells]) => {
        const {uplot} = [...maps.values()][0];
        const {left, top, width, height} = uplot.bbox;
        const {data} = uplot.ctx.getImageData(left, top, width, height);
        const place = (at) => Math.round((at + 0.15) * width / size);
        return cells.map(([row, column]) => {
            const at = 4 * (place(row) * Math.round(width) + place(column));
            return [...data.slice(at, at + 3)];
        });
    }"""
    found: list[list[int]] = tab.evaluate(script, [size, [list(cell) for cell in cells]])
    return found


def test_a_link_map_says_what_is_wrong_and_answers_the_mouse(opened: Opened) -> None:
    tab = opened(link_map(8, slow=2))
    text = tab.inner_text("main")
    assert "slow: node n" in text
    assert "n3 sends 3.3" in text
    assert "clusterboot nccl-test --exclude n3" in text
    left, top, width = over(tab)
    cell = width / 8
    tab.mouse.move(left + 4.5 * cell, top + 2.5 * cell)
    tip = tab.locator(".tip")
    tip.wait_for(state="visible")
    assert tip.inner_text().splitlines()[0] == "n3 → n5"
    assert "bandwidth: 3.3" in tip.inner_text()
    slow, fast = colours(tab, 8, (2, 4), (4, 5))
    assert sum(abs(a - b) for a, b in zip(slow, fast, strict=True)) > 100
    # A drag shows what was drawn around: now the corner holds the pair.
    tab.mouse.move(left + 4.1 * cell, top + 2.1 * cell)
    tab.mouse.down()
    tab.mouse.move(left + 7.9 * cell, top + 5.9 * cell, steps=4)
    tab.mouse.up()
    tab.mouse.move(left + 20, top + 20)
    assert tip.inner_text().splitlines()[0] == "n3 → n5"
    tab.get_by_role("button", name="Show all").click()
    tab.mouse.move(left + 7.5 * cell, top + 0.5 * cell)
    assert tip.inner_text().splitlines()[0] == "n1 → n8"


def test_the_heat_map_is_read_by_keyboard_and_by_screen_readers(opened: Opened) -> None:
    tab = opened(link_map(8, slow=2))
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    plot = tab.get_by_role("application")
    plot.focus()
    said = tab.locator("#said")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"):
        tab.keyboard.press(key)
    assert said.inner_text().startswith("n4 → n2, bandwidth: ")
    tab.keyboard.press("End")
    assert said.inner_text().startswith("n4 → n8, ")
    for _ in range(3):
        tab.keyboard.press("+")
    assert tab.evaluate("(({x0, x1}) => x1 - x0)([...maps.values()][0].box)") == 4
    tab.keyboard.press("n")
    assert said.inner_text().startswith("n3 → ")
    tab.keyboard.press("0")
    assert tab.evaluate("(({x0, x1}) => x1 - x0)([...maps.values()][0].box)") == 8
    # From a finding to its place in the map, without a mouse.
    tab.get_by_role("button", name="Show in the map").press("Enter")
    assert said.inner_text().startswith("n3 → n1, ")
    assert plot.evaluate("element => element === document.activeElement")
    assert tab.get_by_role("table", name="Bandwidth in GB/s").count() == 0
    tab.get_by_text("The matrix as a table").click()
    assert tab.get_by_role("table", name="Bandwidth in GB/s").get_by_role("row").count() == 9


def test_a_benchmark_shows_its_curve_the_expected_line_and_how_that_was_reckoned(opened: Opened) -> None:
    tab = opened(nccl_test(11.0))
    text = tab.inner_text("main")
    assert "1 NIC of 12.5 GB/s, of which 64% is 8 GB/s" in text
    assert "▲ n3: 32" in text
    assert tab.locator(".chart canvas").count() == 1
    assert tab.locator(".u-legend").inner_text().count("expected at least") == 1
    tab.locator(".chart").focus()
    for _ in range(6):
        tab.keyboard.press("ArrowRight")
    said = tab.locator("#said").inner_text()
    assert said.startswith("64 MiB, out of place 10.7")
    assert said.endswith("expected at least 8.00")


def test_the_page_follows_the_theme_and_paper_is_white(context: BrowserContext, opened: Opened) -> None:
    tab = opened(link_map(4, slow=1))
    background = "getComputedStyle(document.documentElement).backgroundColor"
    bright = (tab.evaluate(background), colours(tab, 4, (0, 3))[0])
    tab.emulate_media(color_scheme="dark")
    tab.evaluate("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")
    dark = (tab.evaluate(background), colours(tab, 4, (0, 3))[0])
    assert bright[0] == "rgb(255, 255, 255)"
    assert sum(bright[1]) > 600
    assert dark[0] == "rgb(17, 22, 28)"
    assert sum(dark[1]) < 300
    # What a browser does when somebody prints.
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.evaluate(background) == "rgb(255, 255, 255)"
    assert sum(colours(tab, 4, (0, 3))[0]) > 600
    assert tab.locator("details:not([open])").count() == 0
    assert not tab.locator(".tools").is_visible()
    assert tab.pdf().startswith(b"%PDF")
    tab.emulate_media(media="screen", color_scheme="dark")
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate(background) == "rgb(17, 22, 28)"


def test_nothing_that_a_node_or_a_file_says_becomes_markup(opened: Opened) -> None:
    names = (HOSTILE, "n2", "<b>n3", "n4&amp;")
    head = {"head": {"cluster": HOSTILE}}
    found = link_map(4, slow=0, names=names, launch_host=HOSTILE, notes=[HOSTILE], **head)
    tab = opened(found)
    assert HOSTILE in tab.inner_text("#details")
    assert HOSTILE in tab.title()
    assert tab.locator("img").count() == 0
    left, top, width = over(tab)
    tab.mouse.move(left + width * 0.6, top + width * 0.1)
    assert tab.locator(".tip").inner_text().startswith(f"{HOSTILE} → <b>n3")
    assert tab.locator(".tip b").count() == 0


def test_runs_stand_side_by_side_with_what_changed(opened: Opened) -> None:
    tab = opened(nccl_test(10.0), nccl_test(5.0), link_map(6), link_map(6, slow=3))
    text = tab.inner_text("main")
    assert "4 runs side by side" in text
    assert "-50.0 %" in text
    assert tab.locator(".heat").count() == 3
    tab.locator(".heat").nth(2).locator(".plot").focus()
    tab.keyboard.press("n")
    assert tab.locator("#said").inner_text().startswith("n4 → ")
    assert "D as a share of C: 3" in tab.locator("#said").inner_text()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(opened: Opened, width: int) -> None:
    tab = opened(nccl_test(11.0), link_map(40, slow=5))
    tab.set_viewport_size({"width": width, "height": 800})
    tab.evaluate("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
