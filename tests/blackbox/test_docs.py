"""What the pages say: links lead somewhere, both READMEs say the same, keys are all there."""

import re

import pytest

from harness import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ENGLISH = (ROOT / "README.md").read_text()
KOREAN = (ROOT / "docs" / "README.ko.md").read_text()


def anchors(text):
    """The fragments that GitHub makes of headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"\w+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page):
    """Files and folders of the repository that are named in code style."""
    named = re.findall(r"`((?:common|proxy|worker|tests|docs|\.ci)/[\w./-]*\w/?)`",
                       page.read_text())
    for path in named:
        if path.startswith("worker/hello/"):
            continue   # the reader's own, see test_hello.py
        assert (ROOT / path).exists() or list(ROOT.glob(path + ".[ch]")), path


def blocks(text):
    """Commands and settings, without what is said about them."""
    return [[line.partition(" #")[0].rstrip() for line in block.splitlines()]
            for block in re.findall(r"^```(?:sh|json)\n(.*?)^```$", text, re.M | re.S)]


def code_words(text):
    """Settings, keys and paths that the text names, however often."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return {word for word in re.findall(r"`([^`\n]+)`", outside)
            if re.match(r"[A-Z]+_[A-Z_]+$|mcp_|/|GET |POST ", word)}


def test_both_readmes_say_the_same():
    assert blocks(ENGLISH) == blocks(KOREAN)
    assert code_words(ENGLISH) == code_words(KOREAN)
    for mark in ("^## ", "^```", r"^\| "):
        assert len(re.findall(mark, ENGLISH, re.M)) == len(re.findall(mark, KOREAN, re.M)), mark


def test_every_key_is_in_the_readme():
    keys = re.findall(r'"(mcp_\w+)(?::\{)?"', (ROOT / "common" / "envelope.c").read_text()
                      + (ROOT / "common" / "envelope.h").read_text())
    assert len(keys) > 20
    for key in keys:
        assert f"`{key}" in ENGLISH, key
