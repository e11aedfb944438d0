"""Sections of a page that programs write, between two markers, the rest left as it is."""

import pathlib
import re


def put(path: pathlib.Path, name: str, body: str, title: str = "") -> None:
    """Replaces the section `name` of a page; adds it at the end if there is none yet.

    Args:
        path: of the Markdown file; made, with `title`, if it is not there.
        name: of the markers `<!-- name -->` and `<!-- /name -->`.
        body: what comes between them.
        title: first line of a new page.

    Raises:
        ValueError: the page has one of the two markers alone.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = path.read_text() if path.is_file() else f"# {title}\n"
    if (start in text) != (end in text):
        raise ValueError(f"{path} has one of {start} and {end}; write both, or neither")
    section = f"{start}\n\n{body.strip()}\n\n{end}"
    if start in text:
        pattern = re.escape(start) + ".*?" + re.escape(end)
        text = re.sub(pattern, lambda _: section, text, flags=re.DOTALL)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    path.write_text(text)
