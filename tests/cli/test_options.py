"""All commands: their help, what they import for it, what options mean, and what is said of wrong values."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import shapecluster.remote
from shapecluster.cli import build_app, main
from shapecluster.cli._jobs import FitOptions
from shapecluster.cli._options import name_options
from shapecluster.datasets import Copycats, make_market, make_portfolios
from shapecluster.remote import Rehearsal, _errors, _outcome

SECONDS = 60
SCIENTIFIC = ("numpy", "pandas", "sklearn", "scipy", "matplotlib")


def walk(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands and groups with the words that call them."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, *path, name)


ALL = dict(walk(get_command(build_app())))
COMMANDS = {path: command for path, command in ALL.items() if not hasattr(command, "commands")}


def parameters() -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Command, name as typed and parameter of all options and arguments, without --help."""
    for path, command in COMMANDS.items():
        for parameter in command.params:
            is_option = parameter.param_type_name == "option"
            yield path, parameter.opts[0] if is_option else parameter.metavar, parameter


# ------------------------------------------------------------------------------------------------- help


def test_help_and_wrong_options_import_nothing_scientific():
    lines = [[*path, "--help"] for path in ALL]
    lines += [["--version"], [], ["stocks", "--k", "some"], ["portfolios", "match", "--metric", "x"]]
    lines += [[*path, "--no-such-option"] for path in ALL] + [["nothing"], ["stocks", "--on"]]
    code = f"""
import contextlib, io, json, sys
from shapecluster.cli import main
found = {{}}
for line in {lines!r}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(line)
    found[" ".join(line)] = [name for name in {SCIENTIFIC!r} if name in sys.modules]
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    found = json.loads(done.stdout)
    assert len(found) == len(lines) >= 30
    assert {line: names for line, names in found.items() if names} == {}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_shows_each_option_and_no_type_of_flags(path, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= width for line in text.splitlines())
    assert "bool" not in text
    for parameter in ALL[path].params:
        assert max(parameter.opts, key=len) in text or parameter.metavar in text
        assert parameter.help.split()[0] in text


def test_one_letter_options_have_a_short_name():
    shorts = {name: parameter.opts[1:] for _, name, parameter in parameters() if re.match("--.$", name)}
    assert shorts == {"--k": ["-k"]}


# What a name means where its help differs between commands: the words that the texts have in common.
MEANINGS = {
    "--k": "of clusters",  # one number, or several to compare
    "--out": "for",  # where the result goes: each command writes another file
    "--tickers": "Tickers",  # of the data: to be fetched, or that can be held
}
SHAPES = {"--k": {"N", "2-20"}, "--out": {"FILE", "DIR"}}


def test_an_option_means_the_same_in_every_command():
    texts, metavars = defaultdict(set), defaultdict(set)
    for _, name, parameter in parameters():
        texts[name].add(re.sub(r" \([^)]*\)", "", parameter.help))  # a note on the default may differ
        metavars[name].add(parameter.metavar)
    assert {name for name, helps in texts.items() if len(helps) > 1} == set(MEANINGS)
    for name, meaning in MEANINGS.items():
        assert all(meaning in text for text in texts[name])
    several = {name: found for name, found in metavars.items() if len(found) > 1}
    assert several == SHAPES
    assert len(texts) > 45


# --------------------------------------------------------------------------------------- hostile values


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A folder with an input of each kind."""
    path = tmp_path_factory.mktemp("inputs")
    make_market(12, 3, 60, random_state=2).prices.dropna().T.to_csv(path / "prices.csv")
    held = make_portfolios(60, sectors="lab", copycats=Copycats(3, 3, 0.8), random_state=1)
    held.to_csv(path / "held.csv")
    (path / "words.csv").write_text("date,A\n2020-01-01,one\n")
    (path / "folder").mkdir()
    (path / "file").write_text("mine")
    return path


def said_of(command: str, name: str, value: str, folder: Path, capsys) -> str:
    """The message about a wrong value, after which the folder is as it was."""
    before = sorted(folder.iterdir())
    code = main(line_of(command, name, value))
    said = capsys.readouterr()
    message = said.err.splitlines()[-1]
    # In a rehearsal the option itself is wrong; on AWS the profile is looked for.
    assert code == (1 if (command, name, value) == ("sagemaker fit", "--profile", "nobody") else 2)
    assert said.out == ""
    assert "Traceback" not in said.err
    assert message.startswith("shapecluster: ")
    assert sorted(folder.iterdir()) == before
    return message


BASE = {
    "stocks": "--prices prices.csv",
    "portfolios generate": "--traders 50 --copycats 2",
    "portfolios cluster": "--portfolios held.csv",
    "portfolios sweep": "--portfolios held.csv",
    "portfolios match": "--portfolios held.csv",
    "sagemaker rehearse": "--prices prices.csv",
    "sagemaker fit": "--prices prices.csv --image a/b:1",
    "sagemaker attach": "--folder folder",
    "sagemaker stop": "--folder folder",
    "sagemaker list-leftovers": "--folder folder",
    "sagemaker clean-up": "--folder folder",
}
HUGE = "1" + "0" * 30
NUMBERS = ["-1", "nan", "inf", "wrong", "1e300", "²"]
UNWRITABLE = ["folder", "none/x.csv", "file/x.csv"]
BAD_INPUT_FILES = ["none.csv", "folder", "words.csv", "file/x.csv"]
# Values that each option refuses; the empty text is refused by all.
REFUSED: dict[str, list[str]] = {
    "--prices": BAD_INPUT_FILES,
    "--sectors": ["none.csv", "folder", "file", "words.csv"],
    "--portfolios": [*BAD_INPUT_FILES, "file"],
    "--tickers": [",,", "A,A"],
    "--start": ["0", "2020-13-01", "soon"],
    "--end": ["0", "2020-13-01", "soon"],
    "--portfolio": [",,", "A,B,A", "NOBODY", "0"],
    "--holdings": [",,", "A,A"],
    "--k": [*NUMBERS, "0", HUGE, "2-1", "1.5"],
    "--on": ["0", "wrong", "Levels"],
    "--criterion": ["0", "wrong"],
    "--popularity": ["0", "wrong"],
    "--algorithm": ["0", "wrong"],
    "--metric": ["0", "wrong"],
    "--on-interrupt": ["0", "wrong"],
    "--max-shift": [*NUMBERS, HUGE, "some"],
    "--seed": [*NUMBERS, HUGE, str(2**32)],
    "--jobs": ["0", "nan", "wrong", HUGE, "-100000"],
    "--traders": [*NUMBERS, "0", HUGE],
    "--min-holdings": [*NUMBERS, "0", "11", HUGE],
    "--max-holdings": [*NUMBERS, "0", "2", HUGE],
    "--sector-tilt": [*NUMBERS[:-2], "0"],
    "--copycats": [*NUMBERS, "50", HUGE],
    "--group-size": [*NUMBERS, "0", "1", "5-2", HUGE],
    "--copy-match": [*NUMBERS, "0", "1.1"],
    "--min-match": [*NUMBERS, "0", "1.1"],
    "--max-run": [*NUMBERS, "0", HUGE],
    "--timeout": [*NUMBERS, HUGE],
    "--min-age": [*NUMBERS, HUGE],
    "--hourly-rate": NUMBERS[:-2],
    "--algorithm-arn": ["0", "wrong", "arn:aws:sagemaker"],
    "--instance-type": ["0", "big"],
    "--bucket": ["A", "no_such_form", "-"],
    "--prefix": ["/", "a//b"],
    "--image": [],  # any text may be an image
    "--role": ["wrong"],
    "--region": [],  # AWS says which regions exist
    "--profile": ["nobody"],
    "--folder": [],  # any folder may become one of rehearsals
    "--truth": [*UNWRITABLE, "x.txt"],
    "--chart": [*UNWRITABLE, "x.txt"],
    "--out": UNWRITABLE,
    "TRADER": ["-1", "60", "nan", HUGE, "wrong"],
    "JOB": ["job_1", "-1", "a b", "x" * 64],
}
# `stocks` writes to a folder, and creates it.
NOT_REFUSED = {("stocks", "--out", "folder"), ("stocks", "--out", "none/x.csv")}
CASES = [
    (" ".join(path), name)
    for path, name, parameter in parameters()
    if not getattr(parameter, "is_flag", False)
]


def test_the_table_has_every_option():
    assert set(REFUSED) == {name for _, name in CASES}


def line_of(command: str, name: str, value: str) -> list[str]:
    """A command line whose only fault is the value of one option or argument."""
    given = BASE[command].split()
    if name in ("--start", "--end", "--tickers") and command == "stocks":
        given = ["--tickers", "A,B", "--start", "2020-01-01"]
    for other in (name, {"--algorithm-arn": "--image"}.get(name)):
        if other in given:
            at = given.index(other)
            del given[at : at + 2]
    if command == "portfolios match" and name not in ("TRADER", "--holdings"):
        given.append("3")
    if command in ("sagemaker attach", "sagemaker stop") and name != "JOB":
        given.append("job-1")
    return [*command.split(), *given, *(["--", value] if name.isupper() else [f"{name}={value}"])]


@pytest.mark.parametrize(("command", "name"), CASES)
def test_a_message_names_the_option_that_is_wrong(inputs, monkeypatch, capsys, command, name):
    monkeypatch.chdir(inputs)
    monkeypatch.setattr(shapecluster.remote, "Rehearsal", functools.partial(Rehearsal, in_process=True))
    named = {"TRADER": "(TRADER|trader)"}.get(name, name)
    for value in ["", *REFUSED[name]]:
        if (command, name, value) not in NOT_REFUSED:
            message = said_of(command, name, value, inputs, capsys)
            assert re.search(rf"(?<![\w-]){named}(?![\w-])", message), message
            # No argument of Python under another name, and no class of the library.
            words = message.replace(value, "") if value else message
            assert not re.search(r"\b[a-z]+_[a-z_]+\b", words), message
            assert not re.search(r"\b(parameter|Job|Copycats|\w+KShape|PortfolioMatcher)\b", words), message


def test_a_file_that_two_options_name_is_said_of_both(inputs, monkeypatch, capsys):
    monkeypatch.chdir(inputs)
    assert main(["stocks", "--prices", "prices.csv", "--sectors", "prices.csv"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("shapecluster: --prices or --sectors: prices.csv: there is no column 'ticker'")


SINGLE = [value for value in vars(_errors).values() if isinstance(value, _errors.ErrorAdvice)]
ADVICE = sorted(
    {entry.advice for entry in (*_errors.TABLE, *SINGLE)}
    | {*_outcome._ADVICE.values(), *_outcome._STOPPED.values()}
)


@pytest.mark.parametrize("text", ADVICE)
def test_advice_about_jobs_names_options_and_commands(text):
    options = FitOptions(prices=Path("p.csv"))
    said = name_options(options.replace_calls(text), options)
    # `tags`, a policy and a module of Python are no arguments.
    said = said.replace("`shapecluster.remote.permissions`", "")
    assert not re.search(
        r"\b(Job|Rehearsal|Session)\(|\w\(\)|session(?!'s)|(?<![-$])\b[a-z]+_[a-z_]+\b", said
    ), said
