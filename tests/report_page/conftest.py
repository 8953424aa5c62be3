from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from patience import HANGS_S
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium without a window, one for all tests of the session."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "the page's tests need Chromium, see script/packages"
    # Chromium refuses its sandbox to root; its shared memory is small in containers.
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=flags, timeout=1000 * HANGS_S)
        yield started
        started.close()
