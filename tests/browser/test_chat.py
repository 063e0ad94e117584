"""Two tabs of a browser open the chat over HTTPS and talk to each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.conftest import Chat

PATIENCE = 15


def open_and_join(browser: Chrome, chat: Chat, nick: str) -> str:
    """Open the chat in the tab at hand and join; return the name of the server that serves it."""
    browser.get(chat.url)
    browser.find_element(By.ID, "nick").send_keys(nick)
    browser.find_element(By.CSS_SELECTOR, "#join button").click()
    wait_for_text(browser, "#state", "connected", whole=True)
    served = browser.find_element(By.ID, "served").text
    return served.removeprefix("served by ").partition(",")[0]


def open_elsewhere(browser: Chrome, chat: Chat, nick: str, server: str) -> str:
    """Join in a new tab that, if there are several servers, another one serves; return the tab."""
    for _attempt in range(20):
        browser.switch_to.new_window("tab")
        if open_and_join(browser, chat, nick) != server or chat.servers == 1:
            return browser.current_window_handle
        # Left open: the load balancer prefers a server with fewer connections.
    pytest.fail(f"{server} serves every tab")


def say(browser: Chrome, text: str) -> None:
    browser.find_element(By.ID, "text").send_keys(text)
    browser.find_element(By.ID, "send").click()


def wait_for_text(browser: Chrome, selector: str, text: str, *, whole: bool = False) -> None:
    """Wait until an element shows a text, as its whole content or as a part of it."""

    def shown(_browser: Chrome) -> bool:
        found = browser.find_element(By.CSS_SELECTOR, selector).text
        return found == text if whole else text in found

    WebDriverWait(browser, PATIENCE, poll_frequency=0.1).until(
        shown, f"{selector} does not show {text!r}"
    )


def picture(browser: Chrome, name: str) -> None:
    """Keep a picture of the tab at hand where CHAT_PICTURES says."""
    if folder := os.environ.get("CHAT_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def complaints(browser: Chrome) -> list[str]:
    """Return what the console of the tab at hand holds against the page."""
    entries: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries]


def test_two_tabs_talk_to_each_other(browser: Chrome, chat: Chat) -> None:
    ada = browser.current_window_handle
    server = open_and_join(browser, chat, "ada")
    bob = open_elsewhere(browser, chat, "bob", server)

    say(browser, "Hello from Bob")
    browser.switch_to.window(ada)
    wait_for_text(browser, "#log", "bob joined")
    wait_for_text(browser, "#log", "Hello from Bob")
    say(browser, "Hello, Bob! Ada here.")
    browser.switch_to.window(bob)
    wait_for_text(browser, "#log", "Hello, Bob! Ada here.")
    picture(browser, "chat")
    assert complaints(browser) == []

    browser.close()
    browser.switch_to.window(ada)
    wait_for_text(browser, "#log", "bob left")
    assert complaints(browser) == []


def test_a_page_that_came_over_http2_opens_its_websocket(browser: Chrome, chat: Chat) -> None:
    """The browser has an HTTP/2 connection to the name already, which can't carry a WebSocket."""
    if chat.move is not None:
        pytest.skip("only behind nginx")
    open_and_join(browser, chat, "ada")
    navigation = "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
    assert browser.execute_script(navigation) == "h2"


def test_a_browser_that_does_not_trust_the_authority_refuses(stranger: Chrome, chat: Chat) -> None:
    stranger.get(chat.url)
    assert "ERR_CERT_AUTHORITY_INVALID" in stranger.page_source
    assert not stranger.find_elements(By.ID, "nick")


def test_a_connection_that_is_moved_comes_back_by_itself(browser: Chrome, chat: Chat) -> None:
    if chat.move is None:
        pytest.skip("only with the chat that the tests serve themselves")
    open_and_join(browser, chat, "ada")
    browser.find_element(By.ID, "text").send_keys("half a sentence")
    chat.move()
    wait_for_text(browser, "#log", "the server moved this connection away (close code 1001)")
    picture(browser, "moved")
    wait_for_text(browser, "#state", "connected", whole=True)
    # What was being written is still there, and can be sent.
    say(browser, ", and the rest")
    wait_for_text(browser, "#log", "half a sentence, and the rest")
    assert complaints(browser) == []
