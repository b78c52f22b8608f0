"""The server answers this machine alone; the command says what it cannot do in one sentence."""

import json
import socket
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest
from shelved import fill

from suiren.cli import main
from suiren.view.server import ADDRESS, PortTaken, address_of, server_of
from suiren.view.shelf import Shelf


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "history.sqlite"
    fill(path)
    server = server_of(Shelf(["r2"], history=path), 0)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def asked(port: int, path: str, host: str | None = None) -> tuple[int, str]:
    link = HTTPConnection(ADDRESS, port, timeout=20)
    link.request("GET", path, headers={"Host": host or f"{ADDRESS}:{port}"})
    answer = link.getresponse()
    return answer.status, answer.read().decode()


def test_page_and_data(port):
    status, page = asked(port, "/")
    assert (status, page.startswith("<!doctype html>")) == (200, True)
    told = json.loads(asked(port, "/api/list")[1])
    assert told["named"] == ["r2"]
    assert [row["id"] for row in told["rows"]] == [f"r{n}" for n in range(9, 0, -1)]
    assert json.loads(asked(port, "/api/item/r2")[1])["kind"] == "run"
    assert json.loads(asked(port, "/api/compare/r1/r2")[1])["a"]["id"] == "r1"


def test_what_is_not_there_is_said(port):
    status, told = asked(port, "/api/item/r99")
    assert status == 404
    assert "r99" in json.loads(told)["error"]
    assert asked(port, "/api/compare/r1/r4")[0] == 404
    assert asked(port, "/etc/passwd")[0] == 404


def test_another_name_for_this_machine_is_refused(port):
    assert asked(port, "/api/list", host="evil.example:80")[0] == 403


def test_listens_on_this_machine_alone(port):
    with pytest.raises(PortTaken, match=f"port {port} of {ADDRESS}"):
        server_of(Shelf([]), port)


def test_an_address_is_one_a_browser_takes():
    server = server_of(Shelf([]), 0)
    assert address_of(server) == f"http://{ADDRESS}:{server.server_port}/"
    server.server_close()


@pytest.mark.parametrize(("arguments", "said"), [
    (["nothing"], "no record is called 'nothing'"),
    (["gone.json"], "there is no file 'gone.json'"),
    (["--on", "t99"], "t99"),
    (["--html", "/no/such/folder/x.html"], "cannot be written"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(arguments, said, capsys):
    with pytest.raises(SystemExit) as end:
        main(["view", *arguments])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_a_taken_port_is_one_sentence(capsys):
    with socket.socket() as other:
        other.bind((ADDRESS, 0))
        other.listen()
        with pytest.raises(SystemExit) as end:
            main(["view", "--no-open", "--port", str(other.getsockname()[1])])
    assert end.value.code == 2
    assert "give another with --port" in capsys.readouterr().err


def test_html_is_written(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SUIREN_HISTORY", str(tmp_path / "h.sqlite"))
    fill(tmp_path / "h.sqlite")
    main_ends(["view", "last", "--html", str(tmp_path / "page.html")])
    assert 'data-path="item/r9"' in (tmp_path / "page.html").read_text()


def main_ends(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
