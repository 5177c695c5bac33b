"""A wrong value of an option: the option, the value, and what to write, in plain words, with code 2."""

import pytest

from tests.cli.commands import run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", "--port", "0x1"), ("--port", '"0x1" is not a whole number; write digits only, such as 8443')),
        (("serve", "--port", "99999"), ("--port", '"99999" is too large; use 65535 or less')),
        (("serve", "--port", "-1"), ("--port", '"-1" is too small; use 0 or more')),
        (
            ("serve", "--head-timeout", "abc"),
            ("--head-timeout", '"abc" is not a number of seconds; write one such as 2'),
        ),
        (("serve", "--max-memory", "1"), ("--max-memory", '"1" is too small; use 8 or more')),
        (
            ("serve", "--log-level", "silly"),
            ("--log-level", '"silly" is not valid; use one of debug, info, warning, error'),
        ),
        (("serve", "--log-format", "xml"), ("--log-format", '"xml" is not valid; use one of json, text')),
        (("certs", "self-signed", "--days", "x"), ("--days", '"x" is not a whole number; write digits only')),
        (("serve", "--listen", "x"), ("No such option: --listen", "Try 'gpuwarden serve -h' for help")),
        (("serv",), ("No such command 'serv'. Did you mean 'serve'?",)),
    ],
)
def test_a_wrong_option_names_itself_its_value_and_the_fix(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    ran = run(*arguments)

    said = " ".join(ran.err.replace("│", " ").split())
    assert ran.code == 2
    assert not [word for word in words if word not in said], said
    assert "Input should" not in said
    assert "Value error" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("check",),
            "Missing argument 'PATH'. Write files, folders (searched recursively), or - for standard input.",
        ),
        (("check", "--diff", "-"), "No such option: --diff; see --help for the list"),
        (("check", "--polcy", "mps", "-"), "No such option: --polcy (Possible options: --policy)"),
        (("--verbos",), "No such option: --verbos (Possible options: --version)"),
        (("--xyz",), "No such option: --xyz; see --help for the list"),
        (("check", "--policy"), "Option '--policy' requires a value: write it after the option"),
        (("doctor", "a"), "Got unexpected extra argument(s) (a); see --help for the list"),
        (("audit", "--policy", "mps"), "No such option: --policy; use --assume NAMESPACE=POLICY of audit"),
        (("xyz",), "No such command 'xyz'; see --help for the commands"),
        (("certs", "xyz"), "No such command 'xyz'; see --help for the commands"),
    ],
)
def test_a_wrong_command_line_is_answered_with_the_fix(arguments: tuple[str, ...], sentence: str) -> None:
    ran = run(*arguments)

    assert ran.code == 2
    assert sentence in " ".join(ran.err.replace("│", " ").split())


def test_without_a_command_there_is_help() -> None:
    assert "Usage: gpuwarden" in (ran := run()).out + ran.err
    assert "see --help" not in ran.out + ran.err
