# SPDX-License-Identifier: Apache-2.0
"""Where files are fetched from: what the caller named, and otherwise public hosts alone, on every engine.

Each host here is a server on loopback, reached through an internet of the tests' own.
"""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import pytest
from chat_server import TOKEN, chat_server
from faces import with_app
from internet import Internet, internet
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport_conformance.faults.certificates import authority_pem, server_context

FACES = (
    "sync", "sync+httpx2", "asyncio", "asyncio+httpx2", "trio", "asyncio+aiohttp",
    "sync+client of httpx", "sync+client of httpx2", "asyncio+client of httpx", "trio+client of httpx2",
)  # fmt: skip
GENERATIONS: dict[str, dict[str, Any]] = {
    "websocket": {"version": "3.50.2", "enable_queue": True},
    "polling": {"version": "3.1.4", "enable_queue": True},
    "direct": {"version": "3.4.1"},
}
ENDPOINTS = {"chat": "/chat", "direct": "/direct"}
DISCOVERY = ("/config", "/info", "/app_id", "/v1/models")
TIMEOUTS = gt.Timeouts(total=10)
FILE_CONFIG = CONFIG | {"components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)]}
META = {"_type": "gradio.FileData"}

PHOTOS, OTHER = "93.184.216.34", "93.184.216.35"
"""Public addresses."""

faces = pytest.mark.parametrize("face", FACES)


def engine_of(face: str) -> Any:
    """Return the client of a face that has one of the caller's."""
    face, _, library = face.partition("+client of ")
    module = {"httpx": httpx, "httpx2": httpx2}[library]
    # What `verify=` is to the library's own engines.
    options = {"verify": ssl.create_default_context(cadata=authority_pem().decode()), "trust_env": False}
    return module.Client(**options) if face == "sync" else module.AsyncClient(**options)


def run(face: str, url: str, use: Callable[[Any, Callable[[Any], Any]], Any], **arguments: Any) -> Any:
    """Return what `use` returns for the app at a URL; see `with_app`."""
    arguments = {"timeouts": TIMEOUTS, **arguments}
    if "client of" not in face:
        context = ssl.create_default_context(cadata=authority_pem().decode())
        return with_app(face, url, use, verify=context, **arguments)
    client = engine_of(face)

    async def use_and_close(app: Any, wait: Any) -> Any:
        try:
            return await use(app, wait)
        finally:
            closed = (client.close if face.startswith("sync") else client.aclose)()
            if inspect.isawaitable(closed):
                await closed

    return with_app(face.partition("+")[0], url, use_and_close, engine=client, **arguments)


@contextmanager
def serving(text: str = "the photo") -> Iterator[Scripted]:
    """Return a host whose file is at every path."""
    with scripted() as host:
        host.default = lambda path: lambda reply: reply.text(text, kind="text/plain")  # type: ignore[method-assign]
        yield host


@contextmanager
def app_of(generation: str) -> Iterator[tuple[Scripted, dict[str, Any]]]:
    """Return an app of a generation that has this side fetch its files, and the arguments of `connect`."""
    if generation == "chat":
        settings = {"protocol": "openai_chat", "model": "parrot", "token": TOKEN, "streaming": False}
        with chat_server() as server:
            yield server, settings | {"file_types": ["text_encoded"]}
    else:
        with scripted() as server:
            config = FILE_CONFIG | {"protocol": None, "api_prefix": ""} | GENERATIONS[generation]
            server.scripts["/config"] = lambda reply: reply.json(config)
            for path in ("/run/direct", "/api/direct", "/api/direct/"):
                server.scripts[path] = lambda reply: reply.json({"data": ["taken"], "duration": 0.1})
            yield server, {}


def give(face: str, generation: str, *urls: str, **arguments: Any) -> list[tuple[Any, list[Any]]]:
    """Call an app with each URL; return what came of it, and what the app was sent for it."""
    with app_of(generation) as (server, settings):

        async def use(app: Any, wait: Any) -> Any:
            outcomes = []
            for url in urls:
                seen = len(server.seen)
                given: Any = gt.handle_file(url, name="notes.md")
                if generation == "chat":
                    given = {"text": "look", "files": [given]}
                try:
                    outcome = await wait(app.call(ENDPOINTS.get(generation, "/hello"), given))
                except gt.GradioTransportError as error:
                    outcome = error
                sent = [one for one in server.seen[seen:] if one[0] not in DISCOVERY]
                outcomes.append((outcome, sent))
            return outcomes

        where = f"{server.url}/v1/" if generation == "chat" else server.url
        return run(face, where, use, **settings, **arguments)


def redirects(host: Scripted, target: str, path: str = "/photo") -> None:
    host.scripts[path] = lambda reply: reply.text("", 302, location=target)


def assert_refused(outcome: Any, sent: list[Any], *words: str, phase: str = "upload") -> None:
    """Check that a call failed for its input, that it says why, and that nothing was sent to the app."""
    assert isinstance(outcome, gt.GradioTransportError), outcome
    assert outcome.phase is gt.errors.Phase(phase)
    assert not outcome.may_have_run
    for word in words:
        assert word in outcome.message
    assert sent == []


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as made:
        yield made


@pytest.fixture
def photos(net: Internet) -> Iterator[Scripted]:
    """A public host that the caller names: ``photos.example``."""
    with serving() as host:
        net.names["photos.example"] = [[PHOTOS]]
        net.hosts[PHOTOS, 80] = host.server_port
        yield host


@pytest.fixture
def inside(net: Internet) -> Iterator[Scripted]:
    """A service on loopback that must not be reached."""
    with serving("secret") as host:
        yield host


PHOTO = "http://photos.example/photo"

INSIDE = {
    "metadata of a cloud": "http://169.254.169.254/latest/meta-data",
    "loopback of another port": "http://127.0.0.1:{port}/admin",
    "localhost": "http://localhost:{port}/admin",
    "no address": "http://0.0.0.0:{port}/admin",
    "loopback within IPv6": "http://[::ffff:127.0.0.1]:{port}/admin",
    "loopback as a number": "http://2130706433:{port}/admin",
    "loopback in hexadecimal": "http://0x7f000001:{port}/admin",
    "loopback in short": "http://127.1:{port}/admin",
    "loopback with a dot": "http://127.0.0.1.:{port}/admin",
    "metadata with a dot": "http://169.254.169.254.:{port}/admin",
    "loopback in short with a dot": "http://0x7f.1.:{port}/admin",
    "loopback percent-encoded": "http://%31%32%37.0.0.1:{port}/admin",
    "loopback of a zone": "http://[::1%25lo]:{port}/admin",
    "octal here and decimal elsewhere": "http://010.5:{port}/admin",
    "a name with a zero byte": "http://localhost%00.example.com:{port}/admin",
    "loopback behind a user": "http://photos.example@127.0.0.1:{port}/admin",
    "a private address": "http://10.0.0.5:{port}/admin",
    "a private name": "http://intranet.example:{port}/admin",
    "a name of loopback": "http://here.example:{port}/admin",
    "a name of loopback with a dot": "http://here.example.:{port}/admin",
    "a name that changes": "http://changing.example:{port}/admin",
}
NAMES = {
    "intranet.example": [["10.0.0.5", "10.0.0.6"]],
    "here.example": [["127.0.0.1"]],
    "here.example.": [["127.0.0.1"]],
    "changing.example": [[OTHER], ["127.0.0.1"]],
}


@faces
@pytest.mark.parametrize("generation", [*GENERATIONS, "chat"])
def test_no_redirect_of_an_input_leads_inside(
    net: Internet, photos: Scripted, inside: Scripted, face: str, generation: str
) -> None:
    net.names |= {name: list(answers) for name, answers in NAMES.items()}
    for number, target in enumerate(INSIDE.values()):
        redirects(photos, target.format(port=inside.server_port), f"/{number}")
    urls = [f"http://photos.example/{number}" for number in range(len(INSIDE))]
    for target, (outcome, sent) in zip(INSIDE, give(face, generation, *urls), strict=True):
        if target == "a name that changes":
            assert_refused(outcome, sent, "changing.example")
        else:
            assert_refused(outcome, sent, "is not public", "foreign_files=['http://")
    assert len(photos.asked) == len(INSIDE)
    assert inside.asked == []
    # The address that was checked is the one that was asked, though nothing answers there.
    assert {host for host, _ in net.reached} == {PHOTOS, OTHER}
    assert net.asked.count("changing.example") == 1


@faces
def test_what_the_caller_names_may_be_inside_but_for_what_only_a_name_server_says(
    net: Internet, inside: Scripted, face: str
) -> None:
    port = inside.server_port
    net.names |= {"nas.local": [["192.168.1.5"]], "cloud.example": [["169.254.169.254"], ["127.0.0.1"]]}
    net.hosts["192.168.1.5", port] = port
    net.hosts["169.254.169.254", 0] = port
    named = [f"http://{host}:{port}/x" for host in ("127.0.0.1", "localhost", "nas.local", "169.254.169.254")]
    *allowed, (refused, sent) = give(face, "direct", *named, f"http://cloud.example:{port}/x")
    assert [outcome for outcome, _ in allowed] == [["taken"]] * len(named)
    assert len(inside.asked) == len(named)
    assert_refused(refused, sent, "cloud.example", "169.254.169.254", "instead of the name")


@faces
def test_a_name_that_cannot_be_looked_up_is_not_looked_up_again(
    net: Internet, photos: Scripted, inside: Scripted, face: str
) -> None:
    net.names |= {"failing.example": [[], ["127.0.0.1"]], "given.example": [[], ["169.254.169.254"]]}
    redirects(photos, f"http://failing.example:{inside.server_port}/admin")
    given = f"http://given.example:{inside.server_port}/x"
    for outcome, sent in give(face, "direct", PHOTO, given):
        assert_refused(outcome, sent, "annot connect to" if "aiohttp" in face else "")
    assert inside.asked == []
    assert sorted(net.asked) == ["failing.example", "given.example", "photos.example"]


@faces
def test_redirects_are_followed_to_public_hosts_and_to_those_that_the_caller_named(
    net: Internet, photos: Scripted, inside: Scripted, face: str
) -> None:
    port = inside.server_port
    international = "xn--mnchen-3ya.example"
    net.names |= {"cdn.example": [[OTHER]], international: [[OTHER]], "store.corp": [["10.0.0.7"]]}
    net.hosts |= {(OTHER, 80): port, ("10.0.0.7", port): port}
    targets = (
        "http://cdn.example/x",
        f"http://store.corp:{port}/x",
        "/0",
        "http://m\xc3\xbcnchen.example/x",
    )  # in UTF-8
    for number, target in enumerate(targets):
        redirects(photos, target, f"/{number}")
    urls = [f"http://photos.example/{number}" for number in range(len(targets))]
    outcomes = give(face, "direct", *urls, foreign_files=[f"http://store.corp:{port}"])
    assert [outcome for outcome, _ in outcomes] == [["taken"]] * len(targets)
    assert [headers["host"] for _, headers in inside.asked] == [
        "cdn.example", f"store.corp:{port}", "cdn.example", international,
    ]  # fmt: skip


@faces
def test_redirects_of_an_input_end(net: Internet, photos: Scripted, face: str) -> None:
    redirects(photos, "/photo")
    ((outcome, sent),) = give(face, "direct", PHOTO, limits=gt.Limits(max_redirects=3))
    assert_refused(outcome, sent, "redirected endlessly", "max_redirects=")
    assert len(photos.asked) == 4


@faces
def test_what_is_fetched_for_an_input_is_bounded_in_time_and_size(
    net: Internet, photos: Scripted, face: str
) -> None:
    def drip(reply: Reply) -> None:
        reply.stream("text/plain")
        while not reply.server.released.wait(0.02):
            reply.chunk(b"x")

    photos.scripts["/slow"] = drip
    photos.scripts["/large"] = lambda reply: reply.text("x" * 5000)
    outcomes = give(
        face, "direct", "http://photos.example/slow", "http://photos.example/large",
        timeouts=gt.Timeouts(total=10, upload=0.3), limits=gt.Limits(max_response_bytes=1000),
    )  # fmt: skip
    for (outcome, sent), setting in zip(outcomes, ("upload=", "max_response_bytes="), strict=True):
        assert_refused(outcome, sent, setting)


@contextmanager
def serving_by_tls(text: str) -> Iterator[Scripted]:
    with serving(text) as server:
        server.socket = server_context("proper").wrap_socket(server.socket, server_side=True)
        yield server


@faces
def test_tls_is_kept_and_the_certificate_is_that_of_the_name(
    net: Internet, photos: Scripted, face: str
) -> None:
    """A device in the house answers plain http with a redirect to its own TLS, as most do."""
    with serving_by_tls("the photo") as safe:
        net.names |= {"localhost": [["192.168.1.5"]], "other.local": [["192.168.1.5"]]}
        net.hosts |= {("192.168.1.5", 443): safe.server_port, ("192.168.1.5", 80): photos.server_port}
        redirects(photos, "https://localhost/photo", "/upgraded")
        safe_paths = {"/back": "http://localhost/photo", "/file": "file:///etc/passwd"}
        for path, target in safe_paths.items():
            redirects(safe, target, path)
        upgraded, back, disk, wrong = give(
            face, "direct", "http://localhost/upgraded", "https://localhost/back", "https://localhost/file",
            "https://other.local/photo",
        )  # fmt: skip
    assert upgraded[0] == ["taken"]
    assert_refused(*back, "drops the TLS")
    assert_refused(*disk, "is not http(s)")
    assert_refused(*wrong, "certificate")
    assert [path for path, _ in photos.asked] == ["/upgraded"]


# --- files of results ------------------------------------------------------------------------------------


def fetch(face: str, server: Scripted, *urls: str, url: str = "", **arguments: Any) -> list[Any]:
    """Have an app, at a URL of its own if that is given, return files; return the content of each or the error."""

    async def use(app: Any, wait: Any) -> list[Any]:
        outcomes: list[Any] = []
        for place in urls:
            (file,) = await wait(app.call("/direct", {"path": place, "url": place, "meta": META}))
            try:
                outcomes.append(await wait(file.read()))
            except gt.GradioTransportError as error:
                outcomes.append(error)
        return outcomes

    server.scripts["/config"] = lambda reply: reply.json(FILE_CONFIG)
    return run(face, url or server.url, use, **arguments)


@faces
@pytest.mark.parametrize("way", ["named", "redirect"])
def test_no_file_of_a_result_is_fetched_from_inside(
    net: Internet, photos: Scripted, inside: Scripted, face: str, way: str
) -> None:
    net.names |= {name: list(answers) for name, answers in NAMES.items()}
    targets = [target.format(port=inside.server_port) for target in INSIDE.values()]
    for number, target in enumerate(targets):
        redirects(photos, target, f"/{number}")
    if way == "redirect":
        targets = [f"http://photos.example/{number}" for number in range(len(targets))]
    with scripted() as server:
        outcomes = fetch(face, server, *targets, "http://photos.example/x", foreign_files=True)
    assert outcomes.pop() == b"the photo"
    for outcome in outcomes:
        assert_refused(outcome, [], phase="download")
    assert inside.asked == []
    assert {host for host, _ in net.reached} == {PHOTOS, OTHER}
    assert net.asked.count("changing.example") == 1


@faces
def test_a_connection_that_was_made_for_the_caller_serves_no_stranger(
    net: Internet, photos: Scripted, inside: Scripted, face: str
) -> None:
    port = inside.server_port
    net.names["nas.local"] = [["192.168.1.5"]]
    net.hosts["192.168.1.5", port] = port
    redirects(photos, f"http://nas.local:{port}/x")
    first, second, third = give(
        face, "direct", f"http://nas.local:{port}/x", PHOTO, f"http://nas.local:{port}/x"
    )
    assert (first[0], third[0]) == (["taken"], ["taken"])
    assert_refused(*second, "192.168.1.5", "is not public")
    assert len(inside.asked) == 2


# --- connections of others -------------------------------------------------------------------------------


@pytest.mark.parametrize("face", [face for face in FACES if "client of" in face])
def test_a_client_of_the_callers_shows_no_certificate_of_one_name_for_another(
    net: Internet, face: str
) -> None:
    """Clients keep connections by address. Here they keep some to the address itself."""
    with serving_by_tls("the photo") as safe, scripted() as server:
        names = {"localhost": [["127.0.0.1"]], "other.local": [["127.0.0.1"]]}
        net.names |= names
        url = f"https://127.0.0.1:{safe.server_port}/x"
        local, other = (url.replace("127.0.0.1", name) for name in names)
        arguments = {"foreign_files": [url, local, other], "retry": gt.RetryPolicy.none()}
        *taken, refused = fetch(face, server, url, local, local, url, other, **arguments)
    assert taken == [b"the photo"] * 4
    assert_refused(refused, [], "certificate", phase="download")


@pytest.mark.parametrize("face", [face for face in FACES if "client of" not in face])
def test_behind_a_proxy_addresses_and_what_is_known_here_are_checked(net: Internet, face: str) -> None:
    """The proxy plays all hosts, and knows names that this machine does not."""
    net.names |= NAMES
    inner = [target.format(port=1) for name, target in INSIDE.items() if name != "a name that changes"]
    refused = (*inner, "http://metadata.google.internal/x", "http://intranet/x", "http://printer.lan/x")
    taken = (
        "http://unknown.example/x", "http://93.184.216.34/x", "http://unknown.example./x", "http://m\xfcnchen.example/x",
    )  # fmt: skip
    with serving("of the proxy") as proxy, scripted() as server:
        for path in ("/config", "/gradio_api/info", "/gradio_api/run/direct"):
            proxy.scripts[path] = server.default(path)
        outcomes = fetch(
            face, proxy, *refused, *taken, url="http://app.example", foreign_files=True, proxy=proxy.url
        )
    assert outcomes[len(refused) :] == [b"of the proxy"] * len(taken)
    for outcome in outcomes[: len(refused)]:
        assert_refused(outcome, [], "is not public", phase="download")
    assert [path for path, _ in proxy.asked].count("/x") == len(taken)


@pytest.mark.parametrize("face", [face for face in FACES if "client of" not in face])
def test_behind_a_proxy_a_name_of_the_callers_is_for_the_proxy_to_look_up(net: Internet, face: str) -> None:
    with serving("of the proxy") as proxy, scripted() as server:
        for path in ("/config", "/gradio_api/info", "/gradio_api/run/direct"):
            proxy.scripts[path] = server.default(path)
        named = ["http://store.corp/x", "http://169.254.1.5/x", "http://0xa9fea9fe/x"]
        *taken, refused = fetch(
            face, proxy, *named, url="http://app.example", foreign_files=named, proxy=proxy.url
        )
    assert taken == [b"of the proxy"] * 2
    assert_refused(refused, [], "instead of the name", phase="download")
    assert net.asked == []
