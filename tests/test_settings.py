"""The command line, the environment and README's table of both."""

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from demo.flags import PREFIX
from demo.settings import Settings, build_parser, parse, table

README = Path(__file__).parent.parent / "README.md"


def test_nothing_given_takes_the_defaults():
    assert parse([], {}) == Settings()


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["-c", "some/model"], "model", "some/model"),
        (["--checkpoint-path", "some/model"], "model", "some/model"),
        (["--cpu-only"], "device", "cpu"),
        (["--inbrowser"], "inbrowser", True),
        (["--server-port", "8000"], "port", 8000),
        (["--server-name", "0.0.0.0"], "host", "0.0.0.0"),
    ],
)
def test_every_flag_of_the_original_demo_is_taken(argv, name, value):
    assert getattr(parse(argv, {}), name) == value


def test_the_environment_sets_what_the_command_line_leaves_open():
    environ = {"DEMO_MODEL": "from/environment", "DEMO_PORT": "9000", "DEMO_SHARE": "true"}
    settings = parse(["--port", "9001"], environ)
    assert (settings.model, settings.port, settings.share) == ("from/environment", 9001, True)


def test_a_switch_of_the_environment_can_be_taken_back_on_the_command_line():
    assert parse(["--no-share"], {"DEMO_SHARE": "1"}).share is False


@pytest.mark.parametrize(
    ("argv", "environ", "said"),
    [
        (["--hub", "elsewhere"], {}, "invalid choice: 'elsewhere'"),
        (["--max-file-mb", "0"], {}, "0 is not above 0"),
        (["--auth", "nobody"], {}, "NAME:PASSWORD"),
        (["--auth", "@not/there"], {}, "not/there cannot be read: No such file or directory"),
        (["--ssl-certfile", "cert.pem"], {}, "go together"),
        ([], {"DEMO_MCP": "perhaps"}, "DEMO_MCP='perhaps': wants 1 or 0"),
    ],
)
def test_a_wrong_value_is_named_and_ends_the_start(argv, environ, said, capsys):
    with pytest.raises(SystemExit):
        parse(argv, environ)
    assert said in capsys.readouterr().err


def test_a_wrong_address_is_told_without_its_password(capsys):
    with pytest.raises(SystemExit):
        parse(["--engine", "openai"], {"DEMO_BASE_URL": "ttp://me:secret@gpu1/v1"})
    said = capsys.readouterr().err
    assert "gpu1/v1: wants an address" in said
    assert "secret" not in said


def test_accounts_may_come_from_a_file(tmp_path):
    accounts = tmp_path / "accounts"
    accounts.write_text("ann:one\nbob:two:with colon\n")
    settings = parse(["--auth", f"@{accounts}"], {})
    assert settings.auth == (("ann", "one"), ("bob", "two:with colon"))


def test_help_names_every_flag():
    parser = build_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    help_text = parser.format_help()
    for setting in fields(Settings):
        for flag in setting.metadata["flags"]:
            assert flag in help_text


def test_readme_carries_the_table_of_the_settings():
    assert table() in README.read_text(encoding="utf-8")
    assert f"{PREFIX}MODEL" in table()
