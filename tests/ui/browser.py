"""Headless Chromium on the pages of MLflow's UI."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = "chromium", "chromedriver"
WAIT = 60
SETTLED = {
    "mlflow.assistant.panelOpen": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad": "true",
    "mlflow.workflowType": '"machine_learning"',
}


@dataclass
class Browser:
    """A window on one server.

    Attributes
    ----------
    driver : selenium.webdriver.Chrome
    address : str
        Of the server.
    pictures : pathlib.Path
        Where screenshots go.
    """

    driver: Any
    address: str
    pictures: Path

    def settle(self) -> None:
        """Set what MLflow's UI keeps in the browser: no chat panel, the menu for trainings."""
        self.driver.get(self.address)
        for name, value in SETTLED.items():
            for key in (name, f"{name}_v1", f"{name}_v0"):
                self.driver.execute_script(
                    "localStorage.setItem(arguments[0], arguments[1])", key, value
                )

    def open(self, page: str) -> None:
        """Go to a page of the UI: what follows `#` in its address."""
        self.driver.get("about:blank")  # a change of fragment alone would not load anew
        self.driver.get(f"{self.address}/#{page}")

    @property
    def text(self) -> str:
        """All text that is shown."""
        shown = str(self.driver.execute_script("return document.body.innerText"))
        return shown.replace("\u00a0", " ")  # a space that does not break

    def wait_for(self, *texts: str) -> None:
        """Wait until all texts are shown."""
        self.wait(lambda: all(text in self.text for text in texts), f"{texts} in the page")

    def wait_for_picture(self) -> int:
        """Wait until a figure is drawn; its width in its own pixels."""
        wide = (
            "return Math.max(0, ...[...document.images].map(i => i.complete ? i.naturalWidth : 0))"
        )
        self.wait(lambda: self.driver.execute_script(wide) > 300, "a picture")
        return int(self.driver.execute_script(wide))

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds; fail with what is shown instead."""
        until = time.monotonic() + WAIT
        while not condition():
            if time.monotonic() > until:
                picture = self.keep("failed")
                raise AssertionError(f"waited for {what}, saw ({picture}):\n{self.text[:3000]}")
            time.sleep(0.3)

    def keep(self, name: str) -> Path:
        """Take a screenshot."""
        time.sleep(1)  # for what fades in
        path = self.pictures / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return path


@contextmanager
def browser(address: str, pictures: Path, profile: Path) -> Iterator[Browser]:
    """Open a browser; skip the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (shutil.which(CHROMIUM) and shutil.which(DRIVER)):
        pytest.skip("needs Chromium and its driver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(CHROMIUM)
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--window-size=1700,1150",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which(DRIVER)))
    driver.set_page_load_timeout(WAIT)
    try:
        window = Browser(driver, address, pictures)
        window.settle()
        yield window
    finally:
        driver.quit()
