"""Write every generated page: `python -m docs.generate`."""

from docs.generate import FOLDER, PAGES

for name, page in PAGES.items():
    (FOLDER / f"{name}.md").write_text(page(), encoding="utf-8")
