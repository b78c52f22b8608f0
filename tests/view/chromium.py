"""A headless Chromium with a profile of its own, and what tests ask of a page."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

FLAGS = ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
         "disable-background-networking", "disable-component-update", "disable-sync",
         "hide-scrollbars")  # fmt: skip


def start(profile: str, width: int = 1280, height: int = 800) -> Any:
    """A browser of that size; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"user-data-dir={profile}", f"window-size={width},{height}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(20)
    return started


#: Opens an address after `#` and waits until its view is drawn, two frames long.
OPEN = """
const [address, done] = arguments, root = document.documentElement;
const tell = () => done(document.getElementById("view").innerText);
// a view that was still being drawn when the address changed may end before the change is heard
const view = address === null ? "" : address.split("/")[1];
const is_drawn = () => root.dataset.ready && (!view || root.dataset.ready === view);
const wait = () => is_drawn()
  ? requestAnimationFrame(() => requestAnimationFrame(tell))
  : setTimeout(wait, 5);
if (address !== null && location.hash !== address) {
  delete root.dataset.ready;
  location.hash = address;
}
wait();
"""


def opened(browser: Any, address: str | None = None) -> str:
    """The text of the view at an address; of the one that is open, if none is given."""
    return str(browser.execute_async_script(OPEN, address))


def messages(browser: Any) -> list[str]:
    """What the console said since the last time."""
    return [entry["message"] for entry in browser.get_log("browser")]
