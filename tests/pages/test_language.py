"""Plain English and short code: no archaic phrases, no long lines of prose, no long functions or files."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from atlcodec.cli import atlc

ROOT = Path(__file__).parents[2]
LIBRARY = sorted((ROOT / "atlcodec").rglob("*.py"))
PYTHON = [*LIBRARY, *sorted((ROOT / "docs").glob("*.py")), *sorted((ROOT / "examples").glob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

COLUMNS = 100  # of prose in a page
FUNCTION_LINES = 60  # with decorators and docstring
FILE_LINES = 300

# A phrase (a regular expression; a blank matches any white space) and the better wording. Case does not matter, except
# that `None` is a word of Python.
PHRASES = {
    r"(is|are|was|were|be|that) (?-i:none)": 'say what is wrong: "the card has an invalid SHA-256", "no ..."',
    r"(?-i:none) of": '"no ...", or "not ... any"',
    r"(not )?to be had": '"is (not) available"',
    r"one's own": '"your own"',
    r"(by|at) lot": '"at random"',
    r"(as|if|when|what|where|how|than|whatever) one (would|may|can|must|should|likes|wants|thinks|types)": '"you ..."',
    r"whatever": '"any", "all", "in any case"',
    r"no more than that": '"only"',
    r"of which": 'a sentence of its own, "whose", or "some of them"',
    r"in no other's way": '"others stay usable"',
    r"(?<!there)(?<!\s)\s+(is|are|was|were) no(?! (longer|more|less|better))": '"is not a ..."',
    r"there (is|are) no \w+ that (is|are)": '"no ... is ..."',
    r"(is|are|was|were) in order(?! (of|to|by))": '"is valid"',
    r"(is|are|was|were|that|lies|lie) there already": '"already exists", "existing"',
    r"what (is|was) there": 'the noun: "the existing file"',
    r"that it is from": "the source: author and year",
    r"learns? to bear": '"is trained with"',
    r"for good": '"for ever", "permanently"; of ReLUs: "die"',
    r"(is|are) (smaller|larger) either": '"NaN compares false"',
    r"as one of two": '"pad to two rows"',
    r"happens? to lie": '"is"',
    r"lies? (here|there)": '"is here", "exists"',
    r"however (that|it|this) ends": '"in any case", "when its parent dies"',
    r"learn(s|t|ed|ing)? to doubt": '"is trained to be unsure of"',
    r"once alone": '"after the joint training"',
    r"now and then": '"sometimes"',
    r"what neither does": '"what only ... does"',
    r"thinks the same": '"has similar probabilities"',
    r"unasked": '"unless you ask for it"',
    r"itself alone": '"only itself"',
    r"of a kind to come": '"of a kind that this version does not know"',
    r"(goes|go|went|gone) on with": '"continues"',
    r"what came of (it|that)": '"the result"',
    r"so many of (it|them)": "the number",
    r"there being|it being": "a clause with a verb",
}


class Hit(NamedTuple):
    place: str  # a file, a function of a file, or the help of a command
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.place}:{self.line}: {self.what}"


# -- what people read --------------------------------------------------------------------------------------------------


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a Python file, docstrings among them, each with the line where it begins."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """The comments of a Python file; those on consecutive lines are one text."""
    begin, block = 0, ""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            if block and line != begin + block.count("\n") + 1:
                yield begin, block
                block = ""
            begin, block = (begin, f"{block}\n{token.string[1:]}") if block else (line, token.string[1:])
    yield begin, block


def names_and_docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """The names of functions and classes of a Python file, as words, and the docstrings."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name.replace("_", " ")
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""


def commands(group: click.Group, parent: click.Context) -> Iterator[click.Context]:
    """The contexts of all commands of a group, with those of its groups."""
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent)
        yield context
        if isinstance(command, click.Group):
            yield from commands(command, context)


def everything() -> Iterator[tuple[str, int, str]]:
    """Every text that people read: its place, its line, and the text."""
    for path in PYTHON:
        for line, text in (*literals(path), *comments(path)):
            yield name(path), line, text
    for path in TESTS:  # not their literals, which hold messages to compare with and, here, the phrases
        for line, text in (*names_and_docstrings(path), *comments(path)):
            yield name(path), line, text
    for path in PAGES:
        yield name(path), 1, path.read_text("utf-8")
    top = click.Context(atlc, info_name="atlc", **atlc.context_settings)  # click keeps the names of the help option
    for context in (top, *commands(atlc, top)):
        yield f"help/{context.command_path.replace(' ', '-')}", 1, context.command.get_help(context)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def compiled(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)(?:\b|(?=\s))(?:{phrase})(?:\b|(?<=\s))".replace(" ", r"\s+"))


PATTERNS = [(compiled(phrase), better) for phrase, better in PHRASES.items()]


def found(text: str) -> Iterator[tuple[int, str]]:
    """The phrases of the table in a text: how many lines down, and what to write instead."""
    for pattern, better in PATTERNS:
        for match in pattern.finditer(text):
            begin = match.end() - len(match.group().lstrip())
            yield text.count("\n", 0, begin), f"{' '.join(match.group().split())!r}; better: {better}"


# -- what is measured --------------------------------------------------------------------------------------------------


def old_phrases() -> list[Hit]:
    return sorted({Hit(place, line + down, what) for place, line, text in everything() for down, what in found(text)})


def long_prose() -> list[Hit]:
    """Lines of the pages that are too long, without tables and code. An address does not count."""
    hits = []
    for page in PAGES:
        fenced = False
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            shown = re.sub(r"\]\([^)]*\)|https?://\S+", "", line)
            aside = fenced or line.startswith("    ") or line.lstrip().startswith("|")
            if not aside and len(shown) > COLUMNS:
                hits.append(Hit(name(page), number, f"{len(shown)} columns"))
    return hits


def long_functions() -> list[Hit]:
    hits = []
    for path in LIBRARY:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                begin = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                lines = (node.end_lineno or begin) - begin + 1
                if lines > FUNCTION_LINES:
                    hits.append(Hit(f"{name(path)}:{node.name}", begin, f"{lines} lines"))
    return hits


def long_files() -> list[Hit]:
    lengths = [(path, len(path.read_text("utf-8").splitlines())) for path in [*LIBRARY, *TESTS]]
    return [Hit(name(path), lines, f"{lines} lines") for path, lines in lengths if lines > FILE_LINES]


@pytest.mark.parametrize("check", [old_phrases, long_prose, long_functions, long_files])
def test_all_texts_and_lengths_keep_the_rules(check: Callable[[], list[Hit]]) -> None:
    assert [str(hit) for hit in check()] == []


@pytest.mark.parametrize(
    "text",
    [
        "a SHA-256 in its card is none",
        "device 'cuda' is not to be had here",
        "Train a model of one's own",
        "what it sees is drawn by\n    lot",
        "Those are the nearest, of which it thinks the same",
        "bytes that are no record",
    ],
)
def test_old_phrases_are_found(text: str) -> None:
    assert len(list(found(text))) >= 1


@pytest.mark.parametrize(
    "text", ["`labels` is None", "in order of cost", "there  is no card", "it is no\n  longer so", ""]
)
def test_plain_phrases_are_not_found(text: str) -> None:
    assert list(found(text)) == []


def test_all_kinds_of_text_are_collected(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text('"""Doc."""\n\n# one\n# two\nx = f"so {1} it"\n')
    path = tmp_path / "x.py"
    assert sorted([*literals(path), *comments(path)]) == [(1, "Doc."), (3, " one\n two"), (5, " it"), (5, "so ")]
    path.write_text('class A:\n    "Doc."\n    def is_it(self):\n        return 7  # why\n')
    assert [text for _, text in names_and_docstrings(path) if text] == ["A", "Doc.", "is it"]
    places = {place for place, _, _ in everything()}
    assert {"atlcodec/cli/encode.py", "tests/core/test_record.py", "docs/format.md", "help/atlc-models-add"} <= places
