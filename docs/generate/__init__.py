"""The pages of docs/reference/ that are generated from the program: `make pages` writes them; tests compare them."""

from collections.abc import Callable
from pathlib import Path

from docs.generate import calls, commands, doctor, http, settings

FOLDER = Path(__file__).parents[1] / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "calls": calls.calls_page,
    "commands": commands.commands_page,
    "doctor": doctor.page,
    "errors": commands.errors_page,
    "http": http.render,
    "settings": settings.render,
}
