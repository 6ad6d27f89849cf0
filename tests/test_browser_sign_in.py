"""Signing in on the real server, in a real browser: Streamlit's pages and socket are behind the gate."""

import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from waiting_run import make_waiting_run

from experiments.browser import PATIENCE, READY, Server
from prefrl.access import Role, grant_access, revoke_access
from prefrl.store.feedback_store import FeedbackStore

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waiting_run(tmp_path_factory.mktemp("made") / "human")


def sign_in(browser: Any, server: Server, name: str, code: str) -> Any:
    """A page of somebody who has come to the app's address and given a name and a code."""
    page = browser.new_context().new_page()
    page.add_init_script("localStorage.setItem('prefrl:warned', '1')")
    page.goto(f"{server.address}/?run=human&labeller=somebody")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Access code").fill(code)
    page.get_by_role("button", name="Sign in").click()
    return page


def handshake(server: Server, *headers: str) -> str:
    """The first line that Streamlit's socket answers to a client without a browser."""
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Connection: Upgrade",
        *headers,
    ]
    lines += [
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "",
        "",
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return connection.recv(1000).split(b"\r\n")[0].decode()


def test_a_labeller_answers_under_the_name_of_the_code_and_sees_no_more(
    browser: Any, serve: Any, runs: Path, store: FeedbackStore
) -> None:
    code = grant_access(runs, "Ada", Role.LABELLER)
    server = serve(runs)
    page = sign_in(browser, server, "Ada", "wrong")
    assert "do not belong together" in page.get_by_role("alert").inner_text(timeout=PATIENCE)
    page = sign_in(browser, server, "Ada", code)
    page.wait_for_selector(READY, timeout=PATIENCE)
    page.wait_for_selector("dialog[open], .label-page:not(.empty)", timeout=PATIENCE)
    name = page.get_by_label("Your name")
    assert (name.input_value(), name.is_disabled()) == ("Ada", True)
    assert (
        page.locator("[data-testid=stSidebarNavLink], [data-testid=stTopNavLink]")
        .filter(has_text="Runs")
        .count()
        == 0
    )
    page.locator("dialog[open] button").last.click(timeout=PATIENCE)
    page.wait_for_selector(".label-page:not(.empty)", timeout=PATIENCE)
    for _ in range(600):
        page.keyboard.press("ArrowUp")  # again: keys are ignored right after a pair has appeared
        page.wait_for_timeout(200)
        if store.answers("human"):
            break
    assert {answer.labeller for answer in store.answers("human")} == {"Ada"}
    page.goto(f"{server.address}/runs")
    page.wait_for_selector(READY, timeout=PATIENCE)
    assert page.get_by_role("heading", name="Runs").count() == 0


def test_a_researcher_sees_everything_until_access_is_taken_away(
    browser: Any, serve: Any, runs: Path
) -> None:
    server_folder = runs
    code = grant_access(server_folder, "Eve", Role.RESEARCHER)
    server = serve(server_folder)
    page = sign_in(browser, server, "Eve", code)
    page.wait_for_selector(READY, timeout=PATIENCE)
    page.goto(f"{server.address}/runs")
    page.get_by_role("heading", name="Runs").wait_for(timeout=PATIENCE)
    revoke_access(server_folder, "Eve")
    grant_access(server_folder, "Somebody else", Role.RESEARCHER)
    page.goto(f"{server.address}/runs")
    page.get_by_label("Access code").wait_for(timeout=PATIENCE)


def test_without_a_session_there_is_no_page_no_socket_and_no_upload(serve: Any, runs: Path) -> None:
    grant_access(runs, "Ada", Role.LABELLER)
    server = serve(runs)
    assert handshake(server).split()[1] == "403"
    assert handshake(server, "Cookie: prefrl_session=forged.forged").split()[1] == "403"
    for path in ("/", "/_stcore/host-config", "/media/x", "/static/index.html", "/_stcore/metrics"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{server.address}{path}", timeout=60)
