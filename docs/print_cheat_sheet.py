"""Prints the cheat sheet to ``docs/cheat-sheet.pdf``, one page, by a headless Chromium.

    python docs/print_cheat_sheet.py

The title of the PDF holds a digest of the Markdown, so that a test can say when it is out of date.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

FOLDER = Path(__file__).parent
STYLE = """
@page { size: A4 landscape; margin: 8mm; }
body { font: 10.4pt/1.35 Helvetica, Arial, 'DejaVu Sans', sans-serif; color: #16202c; margin: 0; }
h1 { font-size: 16pt; margin: 0 0 2mm; color: #00664b; }
h2 { font-size: 12pt; margin: 3mm 0 1mm; color: #0067a5; break-after: avoid; }
.sheet > div:first-child > h2:first-child { margin-top: 0; }
p { margin: 1.4mm 0; } a { color: inherit; text-decoration: none; }
pre { background: #f3f6f9; border-radius: 1mm; padding: 1.6mm 2mm; margin: 1mm 0; }
pre { white-space: pre-wrap; break-inside: avoid; }
code, pre { font: 9pt/1.36 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
.sheet { columns: 2; column-gap: 7mm; }
"""


def digest() -> str:
    """A digest of what the sheet says."""
    return hashlib.sha256((FOLDER / "cheat-sheet.md").read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]


def page() -> str:
    """The sheet as a page of its own."""
    import markdown

    text = (FOLDER / "cheat-sheet.md").read_text("utf-8")
    text = text.split("---\n", 2)[2]  # without what is for the site alone
    text = re.sub(r"^\[As one page to print\].*$", "", text, flags=re.MULTILINE)
    body = markdown.markdown(text, extensions=["md_in_html", "pymdownx.superfences"])
    return f"<!DOCTYPE html><meta charset='utf-8'><title>tinygrad_rnn {digest()}</title><style>{STYLE}</style>{body}"


def main() -> None:
    """Print it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        browser = running.chromium.launch(executable_path=system, args=["--no-sandbox"])
        sheet = browser.new_page()
        sheet.set_content(page())
        sheet.pdf(path=FOLDER / "cheat-sheet.pdf", prefer_css_page_size=True, print_background=True)
        browser.close()


if __name__ == "__main__":
    main()
