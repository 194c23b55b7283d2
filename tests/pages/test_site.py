"""The site of documentation, as far as it can be checked without Sphinx: `make docs` builds it."""

from __future__ import annotations

import re

import commands
from atlcodec.cli import COMMANDS
from kit import ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_the_command_reference_has_every_command() -> None:
    page = commands.page()
    for command in (*COMMANDS, "models add", "models remove", "models check"):
        assert f"\n## atlc {command}\n" in page
    assert "atlc encode pictures -o set.atlc" in page


def test_the_pages_of_the_site_exist() -> None:
    site = ROOT / "docs/site"
    index = (site / "index.md").read_text("utf-8")
    pages = re.findall(r"^(?:.* <)?([\w./]+)>?$", "\n".join(re.findall(r"```\{toctree\}(.*?)```", index, re.S)), re.M)
    assert {"../guide", "../format", "../experiments", "commands", "api"} <= {*pages}
    for page in pages:
        assert page == "commands" or (site / f"{page}.md").exists(), page
    for name in re.findall(r"auto\w+:: atlcodec\.(\S+)", (site / "api.md").read_text("utf-8")):
        assert re.fullmatch(r"[\w.]+", name)


def test_the_workflow_calls_targets_of_make() -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text("utf-8")
    for command in re.findall(r"^ +- run: (.*)$", text, re.M):
        assert re.search(rf"^{command.removeprefix('make ')}:", MAKEFILE, re.M), command


def test_contributing_names_rooms_and_files_that_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for row in re.findall(r"^\| (`.*`) \|", page, re.M):
        for room in re.findall(r"`(\w+)`", row):
            assert (ROOT / "atlcodec" / room).is_dir() or (ROOT / f"atlcodec/{room}.py").exists(), room
    for path in re.findall(r"`((?:atlcodec|tests|docs)/[\w./]+)`", page):
        assert (ROOT / path).exists(), path
