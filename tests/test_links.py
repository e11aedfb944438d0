"""Links of all pages lead to files and headings that are there; without a network."""

import pathlib
import re
import unicodedata

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "launch").glob("*.md"),
    *(ROOT / "bitdiff_jax" / "weights").glob("*.md"),
]
PAGES = [page for page in PAGES if "reference" not in page.relative_to(ROOT).parts]
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(<?([^()\s<>]+)>?\)")


def text_of(page):
    """The page without its blocks and spans of code, in which brackets are no links."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.M | re.S)
    text = re.sub(r"^ {4}.*$", "", text, flags=re.M)
    return re.sub(r"`[^`\n]*`", "code", text)


def anchors(page):
    """The anchors of a page's headings, as code hosts and MyST make them."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.M | re.S)
    found = set()
    for heading in re.findall(r"^#{1,4} +(.*?) *#*$", text, re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        kept = (c for c in words if c in " -_" or unicodedata.category(c)[0] in "LN")
        found.add("".join(kept).replace(" ", "-"))
    return found


def links():
    for page in PAGES:
        for target in LINK.findall(text_of(page)):
            if not re.match(r"[a-z]+:", target):
                yield pytest.param(page, target, id=f"{page.relative_to(ROOT)}:{target}")


def test_pages_and_links_are_found():
    assert len(PAGES) > 30 and len(list(links())) > 150


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_a_link(page, target):
    if target == "reference/index.md":  # the site's build makes it of docstrings
        return
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    assert there.exists(), f"{path} is not there"
    assert ROOT in (there, *there.parents), f"{path} is outside of the repository"
    if anchor:
        assert anchor in anchors(there), f"{path or page.name} has no heading {anchor!r}"


def test_every_page_of_docs_can_be_reached_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = set()
    for block in re.findall(r"```\{toctree\}\n(.*?)```", index, re.S):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                name = re.sub(r".*<(.*)>", r"\1", line.strip())
                listed.add((ROOT / "docs" / f"{name}.md").resolve())
    missing = {page for page in (ROOT / "docs").rglob("*.md")} - listed
    assert {p.name for p in missing if "reference" not in p.parts} == {"index.md"}
