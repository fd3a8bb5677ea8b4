# SPDX-License-Identifier: Apache-2.0
"""The HAR of a tab, exported by Chromium's own developer tools.

Chromium has no command for that. Its developer tools are a page of their own, which a second tab can load:
connected to the first, it collects the requests as the network panel does, and its exporter writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from browser import Browser, Tab, find_chromium, open_browser

_EXPORT = """
(async () => {
    const { Writer } = await import('./models/har/har.js');
    const { NetworkLog } = await import('./models/logs/logs.js');
    // A copy: the exporter fails if a request joins the list while it writes.
    const requests = [...NetworkLog.NetworkLog.instance().requests()];
    let text = '';
    const stream = { write: async (more) => { text += more; }, close: async () => {} };
    const progress = new Proxy({}, { get: (_, name) => name === 'canceled' ? false : () => progress });
    await Writer.Writer.write(stream, requests, { sanitize: SANITIZE }, progress);
    return text;
})()
"""

_LAST = "data:,last"
"""Fetched by the page in the end: the log has all that came before it once it has this."""

_IS_COMPLETE = f"""
import('./models/logs/logs.js').then(({{ NetworkLog }}) => {{
    const requests = NetworkLog.NetworkLog.instance().requests();
    return requests.some((one) => one.url() === '{_LAST}')
        && requests.every((one) => one.finished || one.url().includes('/heartbeat/'));
}})
"""


class DevTools:
    """The developer tools of a tab."""

    def __init__(self, browser: Browser, tab: Tab) -> None:
        target = tab.call("Target.getTargetInfo")["targetInfo"]["targetId"]
        host = f"127.0.0.1:{browser.port}"
        self._inspected = tab
        self._tab = browser.open(f"http://{host}/devtools/inspector.html?ws={host}/devtools/page/{target}")
        # Only what comes from here on is in the log of requests.
        self._tab.wait_until(
            "import('./models/logs/logs.js').then((logs) => !!logs.NetworkLog.NetworkLog.instance())"
        )
        self._tab.wait_until("document.title.includes('about:blank')")

    def wait_for_replies(self) -> None:
        """Wait until the log has all that the page did, and every reply is over but heartbeats, which have no end."""
        self._inspected.evaluate(f"fetch('{_LAST}').then(() => 0)")
        self._tab.wait_until(_IS_COMPLETE.strip())

    def export(self, *, sanitize: bool = False) -> str:
        """Return the HAR, as "Save all as HAR with content" writes it.

        Args:
            sanitize: Leave out what is sensitive, as it does by default.
        """
        return str(self._tab.evaluate(_EXPORT.replace("SANITIZE", str(sanitize).lower())))


@contextmanager
def tab_with_devtools() -> Iterator[tuple[Tab, DevTools]]:
    """Open a tab in a browser of its own, with its developer tools."""
    with open_browser(find_chromium(), "--remote-allow-origins=*") as browser:
        tab = browser.open()
        yield tab, DevTools(browser, tab)


__all__ = ["DevTools", "tab_with_devtools"]
