"""The site of documentation, as far as it can be checked without Sphinx: `make docs` builds it."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import atlcodec
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
    named = re.findall(r"auto\w+:: atlcodec\.(\S+)", (site / "api.md").read_text("utf-8"))
    for name in named:
        assert re.fullmatch(r"[\w.]+", name)
    errors = {name for name in atlcodec.__all__ if is_error(getattr(atlcodec, name))}
    assert {*atlcodec.__all__} - errors <= {*named}
    assert "errors" in named


def is_error(found: object) -> bool:
    """Or an error: the module of both is shown as a whole."""
    return isinstance(found, type) and issubclass(found, Exception)


def test_the_command_reference_fits_into_the_site() -> None:
    """At its font, the body has room for 100 columns."""
    long = [line for line in commands.page().splitlines() if len(line) > 100]
    assert all(line.strip().split("|")[-1].endswith("]") for line in long)  # choices, which click does not wrap


def conf() -> ModuleType:
    """The settings of the site, which need no Sphinx."""
    spec = importlib.util.spec_from_file_location("site_conf", ROOT / "docs/site/conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docstrings_and_types_are_shown_as_they_are_meant() -> None:
    site = conf()
    assert site.smartquotes is False
    assert site.convert(
        ["Two lists.", "", "    fit   how it fits", "          into the shape", "    gray  takes *all* (#000)"]
    ) == [
        "Two lists.",
        "",
        "* ``fit``: how it fits into the shape",
        r"* ``gray``: takes \*all\* (#000)",
        "",
    ]
    table = site.convert((atlcodec.fit.Fit.__doc__ or "").split("\n"))
    assert sum(line.startswith("* ``") for line in table) == len(atlcodec.fit.Fit.__dataclass_fields__)
    assert ".. code-block:: python" in site.convert(["    record = encode(image)"])
    assert ".. code-block:: text" in site.convert(["    NAME/card.json  NAME/compressor.onnx"])
    signature = (
        "(records: TypeAliasForwardRef('ArrayLike') | bytes, path: str | ~os.PathLike[str], "
        "scores: numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.float32]], "
        "log: ~collections.abc.Callable[[str], None] = <function <lambda>>, effort: int = 0)"
    )
    assert site.short_types(signature) == (
        "(records: ArrayLike | bytes, path: str | PathLike[str], scores: NDArray[float32], "
        "log: Callable[[str], None] = ..., effort: int = 0)"
    )


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
