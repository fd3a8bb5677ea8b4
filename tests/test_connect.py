# SPDX-License-Identifier: Apache-2.0
"""What `connect` takes is checked when it is given, and no secret is shown."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import FACES, with_app
from scripted import Reply, scripted

import gradio_transport as gt
from gradio_transport.calls.options import CallOptions, Options
from gradio_transport.calls.setting_checks import check_verify
from gradio_transport.errors import EndpointNotFound, LocalProtocolError, TimeoutExpired
from gradio_transport.files.outputs import ServerFile

URL = "http://127.0.0.1:9"
SECRET = "s3cr3t-canary"

CONNECTS = pytest.mark.parametrize("connect", [gt.connect, gt.connect_async])


@CONNECTS
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"auth": f"user:{SECRET}"}, "auth="),
        ({"auth": (SECRET,)}, "auth="),
        ({"auth": ("user", "")}, "auth="),
        ({"auth": ("user", 5)}, "auth="),
        ({"headers": {"x": 5}}, "header 'x'"),
        ({"headers": {"x": f"{SECRET}\n"}}, "header 'x'"),
        ({"headers": {"x": f"{SECRET}\r\nx-admin: yes"}}, "header 'x'"),
        ({"headers": {"x": f" {SECRET}"}}, "header 'x'"),
        ({"headers": {"x": f"{SECRET}é"}}, "header 'x'"),
        ({"headers": {"x": f"{SECRET}\x00"}}, "header 'x'"),
        ({"headers": {"a b": "1"}}, "headers="),
        ({"headers": {"": "1"}}, "headers="),
        ({"headers": {5: "1"}}, "headers="),
        ({"headers": ["x: 1"]}, "headers="),
        ({"cookies": {"a": f"{SECRET}; b=2"}}, "cookie 'a'"),
        ({"cookies": {"a": f"{SECRET}\n"}}, "cookie 'a'"),
        ({"cookies": {"a": 5}}, "cookie 'a'"),
        ({"cookies": {"a=b": "1"}}, "cookies="),
        ({"cookies": "a=1"}, "cookies="),
        ({"token": f"{SECRET}\n"}, "token="),
        ({"token": f"Bearer {SECRET}"}, "token="),
        ({"token": ""}, "token="),
        ({"token": 5}, "token="),
        ({"proxy": f"user:{SECRET}@host:8080"}, "proxy="),
        ({"proxy": f"ftp://{SECRET}"}, "proxy="),
        ({"proxy": 8080}, "proxy="),
        ({"verify": "/no/such/bundle.pem"}, "verify="),
        ({"verify": None}, "verify="),
        ({"verify": 0}, "verify="),
        ({"trust_env": 0}, "trust_env="),
        ({"skip_components": None}, "skip_components="),
        ({"protocol": []}, "protocol="),
        ({"protocol": ""}, "protocol="),
        ({"protocol": ["sse_v3", 3]}, "protocol="),
        ({"protocol": 3}, "protocol="),
        ({"timeouts": "5"}, "timeouts="),
        ({"timeouts": True}, "timeouts="),
        ({"timeouts": 0}, "must be greater than 0"),
        ({"timeouts": -1}, "must be greater than 0"),
        ({"timeouts": float("nan")}, "must be greater than 0"),
        ({"limits": 5}, "limits="),
        ({"retry": 3}, "retry="),
        ({"tap": "file.jsonl"}, "tap="),
        ({"download_files": 5}, "download_files="),
        ({"download_files": ""}, "download_files="),
        ({"foreign_files": "https://cdn.example"}, "foreign_files="),
        ({"foreign_files": 5}, "foreign_files="),
        ({"foreign_files": [5]}, "foreign_files="),
        ({"foreign_files": ["cdn.example"]}, "foreign_files="),
        ({"foreign_files": [f"https://u:{SECRET}@[bad"]}, "foreign_files="),
        ({"token_origin": 5}, "token_origin="),
        ({"token_origin": f"u:{SECRET}@proxy.example"}, "token_origin="),
        ({"token_origin": f"https://{SECRET}:99999"}, "token_origin="),
        ({"engine": "htpx"}, "Did you mean 'httpx'"),
        ({"engine": "os.path"}, "There is no engine 'os.path'"),
        ({"engine": object()}, "it lacks request, stream"),
        ({"engine": 5}, "it lacks request, stream"),
        ({"timeout": 5}, "Did you mean 'timeouts'"),
        ({"header": {}}, "Did you mean 'headers'"),
        ({"cookie": {}}, "Did you mean 'cookies'"),
        ({"verif": True}, "Did you mean 'verify'"),
        ({"engin": "httpx"}, "Did you mean 'engine'"),
        ({"proxi": None}, "Did you mean 'proxy'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_setting_that_cannot_be_used_is_named_at_once(
    connect: Callable[..., Any], settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        connect(URL, **settings)
    assert named in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"headers": {"x": f"{SECRET}\n"}}, "header 'x'"),
        ({"oauth_token": f"{SECRET} "}, "oauth_token="),
        ({"timeouts": "5"}, "timeouts="),
        ({"protocol": []}, "protocol="),
        ({"fetch_after": -1}, "fetch_after="),
        ({"fetch_after": "5"}, "fetch_after="),
        ({"fetch_after": float("inf")}, "fetch_after="),
        ({"fetch_after": float("nan")}, "fetch_after="),
        ({"trigger_id": "7"}, "trigger_id="),
        ({"own_session": "no"}, "own_session="),
        ({"repeatable": 3}, "repeatable="),
        ({"upload_progress": 5}, "upload_progress="),
        ({"listener": 5}, "listener="),
        ({"download_files": 5}, "download_files="),
        ({"attach": "later"}, "attach is one of"),
    ],
)
def test_options_of_a_call_are_checked_in_the_same_way(options: dict[str, Any], named: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        CallOptions(**options)
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


@CONNECTS
@pytest.mark.parametrize("source", [5, None, b"http://host", ["http://host"], Path("owner/name")])
def test_a_source_that_is_no_text_is_refused(connect: Callable[..., Any], source: Any) -> None:
    with pytest.raises(LocalProtocolError, match="source= takes the URL of an app, or the name of a Space"):
        connect(source)


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "endpoint of another type": (lambda app: app.call(None, "x"), "An endpoint is named by a text"),
    "endpoint as bytes": (lambda app: app.submit(b"/hello", "x"), "An endpoint is named by a text"),
    "endpoint as a truth value": (lambda app: app.explain(True), "An endpoint is named by a text"),
    "endpoint as a list": (lambda app: app.session().call(["/hello"]), "An endpoint is named by a text"),
    "headers of a session": (lambda app: app.session(headers=["x"]), "headers= takes a mapping"),
    "callback": (lambda app: app.submit("/hello", "x").add_done_callback(5), "callback= takes a function"),
    "handle": (lambda app: app.attach("{}"), "handle= takes a gradio_transport.Handle"),
    "options of attach": (
        lambda app: app.attach(HANDLE, options={"x": 1}),
        "options= takes gradio_transport",
    ),
    "component": (lambda app: app.component_server([1], "ls"), "no component"),
    "component's function": (lambda app: app.component_server(1, 5), "fn_name= takes"),
    "text of a handle": (lambda app: gt.Handle.from_json(5), "A handle is a JSON object"),
}  # type: ignore[arg-type,unused-ignore]

HANDLE = gt.Handle(url="http://app", session_hash="s", event_id="e", fn_index=0, protocol="sse_v3")

TIMED: dict[str, Callable[[Any, Any], Any]] = {
    "result": lambda app, timeout: app.submit("/hello", "x").result(timeout=timeout),
    "events": lambda app, timeout: app.submit("/hello", "x").events(timeout=timeout),
    "cancel": lambda app, timeout: app.submit("/hello", "x").cancel(timeout=timeout),
    "component_server": lambda app, timeout: app.component_server(1, "ls", timeout=timeout),
    "file.read": lambda app, timeout: a_file(app).read(timeout=timeout),
    "file.open": lambda app, timeout: a_file(app).open(timeout=timeout),
    "file.download": lambda app, timeout: a_file(app).download("/nowhere", timeout=timeout),
    "session.close": lambda app, timeout: closing(app.session())(timeout=timeout),
    "close": lambda app, timeout: closing(app)(timeout=timeout),
}


def closing(closable: Any) -> Any:
    return getattr(closable, "aclose", None) or closable.close


def a_file(app: Any) -> Any:
    source = app._session._core._files_type(app._session._core.connection, app._app.credentials)
    return source.remote_file(ServerFile(url=f"{app.url}/x"))


class TestMethods:
    """Of a transport, session, call and file, on every face."""

    @pytest.mark.parametrize("face", FACES)
    def test_what_they_cannot_use_is_a_typed_error(self, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            for method, named in WRONG.values():
                with pytest.raises((LocalProtocolError, EndpointNotFound), match=named):
                    await wait(method(app))

        with scripted() as server:
            with_app(face, server.url, use)

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("timeout", ["5", True, [1], float("nan"), float("inf")], ids=repr)
    def test_a_timeout_is_a_number(self, face: str, timeout: Any) -> None:
        async def use(app: Any, wait: Any) -> None:
            for method in TIMED.values():
                with pytest.raises(LocalProtocolError, match="timeout= takes a number of seconds"):
                    await wait(method(app, timeout))

        with scripted() as server:
            with_app(face, server.url, use)

    @pytest.mark.parametrize("face", FACES)
    def test_one_below_0_is_a_time_that_is_over(self, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            with pytest.raises(TimeoutExpired):
                await wait(app.submit("/forever", "x").result(timeout=-1))
            await wait(closing(app)(timeout=-1))

        with scripted() as server:
            with_app(face, server.url, use)


def test_origins_may_come_from_a_generator() -> None:
    options = Options(foreign_files=(url for url in ["https://cdn.example/x"]))
    assert options.foreign_files == {"https://cdn.example:443"}


def test_the_package_lists_its_public_names_and_documented_modules_alone() -> None:
    assert isinstance(gt.__version__, str)
    shown = set(dir(gt))
    assert shown == {*gt.__all__, "__all__", "__version__", "adapter", "client", "spaces", "trace"}
    assert all(hasattr(gt, name) for name in shown)
    names = [name for name in gt.__all__ if not inspect.ismodule(getattr(gt, name))]
    assert len(names) <= 40


def test_a_number_of_seconds_bounds_each_phase_and_the_whole_call() -> None:
    timeouts = Options(timeouts=5).timeouts  # type: ignore[arg-type,unused-ignore]
    assert (timeouts.connect, timeouts.discover, timeouts.idle, timeouts.total) == (5, 5, 5, 5)
    timeouts = gt.Timeouts.at_most(100)
    assert (timeouts.connect, timeouts.discover, timeouts.idle, timeouts.total) == (10, 30, 60, 100)
    assert timeouts.cancel_on_expiry is True
    assert CallOptions(timeouts=2.5).timeouts == gt.Timeouts.at_most(2.5)
    assert CallOptions().timeouts is None
    given = gt.Timeouts(idle=1)
    assert Options(timeouts=given).timeouts is given


def test_what_is_given_is_copied_and_secrets_are_in_no_repr() -> None:
    headers, cookies = {"x": SECRET}, {"c": SECRET}
    options = Options(
        headers=headers, cookies=cookies, token=SECRET, auth=("user", SECRET), protocol=["sse_v3", "direct"]
    )
    headers.clear()
    cookies.clear()
    assert options.headers == {"x": SECRET}
    assert options.cookies == {"c": SECRET}
    assert options.protocol == ("sse_v3", "direct")
    assert SECRET not in repr(options)


def test_the_path_of_a_bundle_and_a_time_to_fetch_are_taken(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    check_verify(str(bundle))
    assert CallOptions(attach="late", fetch_after=0).fetch_after == 0


@pytest.mark.parametrize("verify", [True, False, ssl.create_default_context()])
@pytest.mark.parametrize("proxy", [None, "http://user:pass@host:1", "socks5://host:1"])
def test_what_can_be_used_is_taken(verify: Any, proxy: str | None) -> None:
    transport = gt.connect_async(URL, verify=verify, proxy=proxy, headers={"X-A": "1\t2"}, auth=["u", "p"])  # type: ignore[arg-type]
    assert "pass" not in repr(transport)


def test_both_connects_take_the_same_settings() -> None:
    sync, asynchronous = inspect.signature(gt.connect), inspect.signature(gt.connect_async)
    assert list(sync.parameters) == list(asynchronous.parameters)
    for name, parameter in sync.parameters.items():
        if name != "engine":
            assert parameter == asynchronous.parameters[name]


def test_headers_of_a_session_are_checked_too() -> None:
    with scripted() as server, gt.connect(server.url) as app:
        with pytest.raises(LocalProtocolError, match="header 'x'") as caught:
            app.session(headers={"x": f"{SECRET}\n"})
        assert SECRET not in str(caught.value)


class TestEngines:
    def test_a_client_of_the_callers_is_used_and_stays_open(self) -> None:
        with scripted() as server, httpx.Client() as client:
            with gt.connect(server.url, engine=client) as app:
                assert app.call("/hello", "x") == ["Hello, x!"]
            assert not client.is_closed

    @pytest.mark.anyio
    async def test_so_is_an_async_one(self) -> None:
        with scripted() as server:
            async with httpx.AsyncClient() as client:
                async with gt.connect_async(server.url, engine=client) as app:
                    assert await app.call("/hello", "x") == ["Hello, x!"]
                assert not client.is_closed

    def test_a_client_of_httpx2_is_taken_for_what_it_is(self) -> None:
        httpx2 = pytest.importorskip("httpx2")
        with scripted() as server, httpx2.Client() as client, gt.connect(server.url, engine=client) as app:
            assert app.call("/hello", "x") == ["Hello, x!"]

    def test_a_client_of_the_other_kind_is_refused(self) -> None:
        with pytest.raises(LocalProtocolError, match=r"takes an httpx\.Client"):
            gt.connect(URL, engine=httpx.AsyncClient())
        with (
            httpx.Client() as client,
            pytest.raises(LocalProtocolError, match=r"takes an httpx\.AsyncClient"),
        ):
            gt.connect_async(URL, engine=client)

    def test_an_engine_of_the_other_kind_is_refused(self) -> None:
        class Engine:
            def request(self) -> None: ...
            def stream(self) -> None: ...
            def websocket(self) -> None: ...
            def close(self) -> None: ...
            def aclose(self) -> None: ...

        with pytest.raises(LocalProtocolError, match="its methods are sync"):
            gt.connect_async(URL, engine=Engine())  # type: ignore[arg-type]


class TestCookies:
    def test_they_go_to_the_app_and_the_server_may_replace_them(self) -> None:
        def answer(reply: Reply) -> None:
            reply.json({"data": [reply.headers.get("cookie")]}, set_cookie="a=server")

        with scripted() as server:
            server.scripts["/gradio_api/run/direct"] = answer
            with gt.connect(server.url, cookies={"a": "mine", "b": "2"}) as app:
                assert app.call("/direct", "x") == ["a=mine; b=2"]
                assert app.call("/direct", "x") == ["a=server; b=2"]

    def test_they_are_secrets_of_a_pickle(self) -> None:
        import pickle

        with scripted() as server, gt.connect(server.url, cookies={"a": SECRET}) as app:
            text = pickle.dumps(app)
        assert SECRET.encode() not in text
        with pytest.raises(LocalProtocolError, match="cookies"):
            pickle.loads(text).call("/hello", "x")
