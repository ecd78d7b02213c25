import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from realtime.cli import main


class Server:
    """Answers `POST /v1/commands` with `status` and `reply`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.reply = b'{"type":"ok","id":1,"pos":42}'
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append((self.path, self.headers["Authorization"], json.loads(body)))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.reply)))
                self.end_headers()
                self.wfile.write(outer.reply)

            def log_message(self, format: str, *args: object) -> None:
                """Silent: the tests look at what was printed."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    serving = Server()
    monkeypatch.setenv("GALAXY_URL", serving.url)
    monkeypatch.setenv("GALAXY_TOKEN", "t0ken")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = Thread(target=serving.http.serve_forever, args=(0.01,))
    thread.start()
    yield serving
    serving.http.shutdown()
    thread.join()
    serving.http.server_close()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["mute", "r1", "bob"], {"type": "member.mute", "user": "bob"}),
        (
            ["mute", "r1", "bob", "--seconds", "60", "--reason", "spam 垃圾"],
            {"type": "member.mute", "user": "bob", "seconds": 60, "reason": "spam 垃圾"},
        ),
        (["unmute", "r1", "bob"], {"type": "member.unmute", "user": "bob"}),
        (["kick", "r1", "bob", "--reason", "x"], {"type": "member.kick", "user": "bob", "reason": "x"}),
        (
            ["ban", "r1", "bob", "--seconds", "5", "--purge-seconds", "600"],
            {"type": "member.ban", "user": "bob", "seconds": 5, "purge_seconds": 600},
        ),
        (["unban", "r1", "bob"], {"type": "member.unban", "user": "bob"}),
        (["role", "r1", "bob", "moderator"], {"type": "member.role", "user": "bob", "role": "moderator"}),
        (["delete", "r1", "42"], {"type": "message.delete", "target": 42}),
        (["delete", "r1", "42", "--reason", "x"], {"type": "message.delete", "target": 42, "reason": "x"}),
        (
            ["settings", "r1", "slow_seconds=10", "locked=true", "write=members", 'entitlement="7"'],
            {
                "type": "room.update",
                "settings": {
                    "slow_seconds": 10,
                    "locked": True,
                    "write": "members",
                    "entitlement": "7",
                },
            },
        ),
        (
            ["settings", "r1", "entitlement=", "policy=null", "max_text=1.5"],
            {
                "type": "room.update",
                "settings": {"entitlement": "", "policy": "null", "max_text": "1.5"},
            },
        ),
    ],
)
def test_each_command_becomes_one_of_the_protocol(
    server: Server, arguments: list[str], command: dict[str, Any]
) -> None:
    assert main(["admin", *arguments]) == 0
    assert server.seen == [("/v1/commands", "Bearer t0ken", {"id": 1, "room": "r1", **command})]


def test_what_people_and_programs_are_shown(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "kick", "r1", "bob"]) == 0
    assert capsys.readouterr() == ("kick r1: done, pos 42\n", "")
    assert main(["admin", "kick", "r1", "bob", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "ok", "id": 1, "pos": 42}


def test_no_is_exit_code_1_with_code_and_text(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.status = 403
    error = {
        "type": "error",
        "id": 1,
        "code": "forbidden",
        "message": "Not below you.",
        "retry": False,
        "field": "user",
    }
    server.reply = json.dumps(error).encode()
    assert main(["admin", "ban", "r1", "bob"]) == 1
    assert capsys.readouterr() == ("", "forbidden: Not below you. (user)\n")
    assert main(["admin", "--json", "ban", "r1", "bob"]) == 1
    assert json.loads(capsys.readouterr().out) == error


@pytest.mark.parametrize("before", [True, False])
def test_options_win_over_the_environment_and_stand_anywhere(
    before: bool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAXY_URL", "http://127.0.0.1:1")
    options = ["--url", f"{server.url}/", "--token", "other"]
    command = ["kick", "r1", "bob"]
    assert main(["admin", *options, *command] if before else ["admin", *command, *options]) == 0
    assert [(path, token) for path, token, _ in server.seen] == [("/v1/commands", "Bearer other")]


def test_a_server_that_is_not_there_is_exit_code_3(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "kick", "r1", "bob", "--url", "http://127.0.0.1:1"]) == 3
    assert "http://127.0.0.1:1: not reached: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "reply"), [(502, b"<html>"), (200, b"[]"), (404, b'{"detail":"x"}'), (200, b"\xff"), (200, b"")]
)
def test_something_else_at_that_address_is_exit_code_3(
    status: int, reply: bytes, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status, server.reply = status, reply
    assert main(["admin", "kick", "r1", "bob", "--json"]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"answers {status}, but not as a galaxy-live server does" in printed.err


@pytest.mark.parametrize(
    "arguments", [["--token", "a\nb"], ["--token", "é"], ["--url", "ftp://x"], ["--url", "nothing"]]
)
def test_an_impossible_token_or_url_is_exit_code_2(
    arguments: list[str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["admin", "kick", "r1", "bob", *arguments]) == 2
    assert capsys.readouterr().err.startswith("galaxy-live admin: ")
    assert server.seen == []


def test_without_a_token_it_says_where_to_put_one(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GALAXY_TOKEN")
    assert main(["admin", "kick", "r1", "bob"]) == 2
    assert "GALAXY_TOKEN" in capsys.readouterr().err
    assert server.seen == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["mute", "r1"],
        ["mute", "r1", "bob", "--seconds", "soon"],
        ["role", "r1", "bob", "king"],
        ["delete", "r1", "last"],
        ["settings", "r1"],
        ["settings", "r1", "locked"],
        ["settings", "r1", "=true"],
        ["promote", "r1", "bob"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["admin", *arguments])
    assert caught.value.code == 2
    assert "usage: galaxy-live admin" in capsys.readouterr().err
    assert server.seen == []
