# SPDX-License-Identifier: Apache-2.0
"""What a client is given: ``httpx_kwargs`` and tokens, on both clients."""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fake_gradio import FakeGradio, fake_gradio
from scripted import CONFIG, INFO, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.client import AsyncClient, Client
from gradio_transport.client.settings import SettingError, make_settings, upload_directory
from gradio_transport.files import private

SECONDS = 20.0


def predict_sync(url: str, *arguments: Any, api_name: str, **given: Any) -> Any:
    with Client(url, **given) as client:
        return client.predict(*arguments, api_name=api_name)


def predict_async(url: str, *arguments: Any, api_name: str, **given: Any) -> Any:
    async def main() -> Any:
        async with AsyncClient(url, **given) as client:
            return await client.predict(*arguments, api_name=api_name)

    return anyio.run(main)


EVERY_CLIENT = pytest.mark.parametrize("predict", [predict_sync, predict_async])


def settings_of(**given: Any) -> Any:
    defaults = {
        "token": None, "hf_token": None, "max_workers": 40, "auth": None, "httpx_kwargs": None,
        "headers": None, "download_files": False, "ssl_verify": True, "protocol": "auto",
        "token_origin": None, "foreign_files": False, "timeouts": None, "tap": None, "oauth_token": None,
        "skip_components": True, "trust_redirects": False, "output_dir": None,
    }  # fmt: skip
    return make_settings("http://app", **{**defaults, **given})


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def gradio() -> Iterator[FakeGradio]:
    with fake_gradio() as server:
        yield server


# --- httpx_kwargs -----------------------------------------------------------------------------------------


def open_and_be_silent(reply: Reply) -> None:
    reply.stream()
    reply.hold()


@EVERY_CLIENT
@pytest.mark.parametrize(
    ("path", "script", "api_name"),
    [
        ("/gradio_api/queue/join", Reply.hold, "/hello"),
        ("/gradio_api/queue/data", Reply.hold, "/hello"),
        ("/gradio_api/queue/data", open_and_be_silent, "/hello"),
        ("/gradio_api/run/direct", Reply.hold, "/direct"),
    ],
    ids=["join", "opening of the stream", "silence of the stream", "direct call"],
)
def test_the_timeout_bounds_what_httpx_would_bound(
    server: Scripted, predict: Any, path: str, script: Callable[[Reply], None], api_name: str
) -> None:
    server.scripts[path] = script
    with pytest.raises(TimeoutError):
        predict(server.url, "x", api_name=api_name, httpx_kwargs={"timeout": 0.3})


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        (7, {"connect": 7, "idle": 7, "no_heartbeat": 7, "upload": 7, "first_message": 7, "total": None}),
        (None, {"connect": None, "idle": None, "join": None, "download_stall": None}),
        (httpx.Timeout(5, read=9, write=3), {"connect": 5, "idle": 9, "upload": 3, "discover": 9}),
    ],
)
def test_the_timeout_is_one_of_httpx(given: Any, bounds: dict[str, Any]) -> None:
    timeouts = settings_of(httpx_kwargs={"timeout": given}).connect["timeouts"]
    assert {name: getattr(timeouts, name) for name in bounds} == bounds


@EVERY_CLIENT
def test_the_environment_s_proxy_counts_unless_it_is_not_trusted(
    gradio: FakeGradio, predict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(gt.errors.ConnectError, match="http_proxy"):
        predict(gradio.url, "you", api_name="/hello")
    told = predict(gradio.url, "you", api_name="/hello", httpx_kwargs={"trust_env": False})
    assert told == "Hello, you!"


@EVERY_CLIENT
@pytest.mark.parametrize("follow", [True, False])
def test_redirects_are_followed_and_secrets_are_not_taken_along(
    server: Scripted, predict: Any, follow: bool
) -> None:
    with scripted() as other:
        other.scripts["/config"] = lambda reply: reply.json(CONFIG)
        server.scripts["/config"] = lambda reply: reply.text("", 307, location=f"{other.url}/config")
        given = {"httpx_kwargs": {"follow_redirects": follow}}
        assert predict(server.url, "x", api_name="/direct", **given) == "x"
        assert not [headers for _, headers in other.asked if "authorization" in headers]


@EVERY_CLIENT
def test_a_login_of_http_itself_goes_to_the_app(gradio: FakeGradio, predict: Any) -> None:
    predict(gradio.url, "x", api_name="/hello", httpx_kwargs={"auth": ("user", "pässword")})
    sent = [{name.lower(): value for name, value in headers.items()} for _, headers, _ in gradio.requests]
    assert {headers.get("authorization") for headers in sent} == {"Basic dXNlcjpww6Rzc3dvcmQ="}


@pytest.mark.parametrize(
    ("proxy", "url"),
    [
        ("http://proxy:8080", "http://proxy:8080"),
        (httpx.URL("http://proxy:8080"), "http://proxy:8080"),
        (httpx.Proxy("http://proxy:8080"), "http://proxy:8080"),
        (httpx.Proxy("http://proxy:8080", auth=("me", "p@ss")), "http://me:p%40ss@proxy:8080"),
        (httpx.Proxy("http://me:word@proxy:8080"), "http://me:word@proxy:8080"),
        (None, None),
    ],
)
def test_a_proxy_is_a_url_or_one_of_httpx(proxy: Any, url: str | None) -> None:
    assert settings_of(httpx_kwargs={"proxy": proxy}).connect["proxy"] == url


def test_limits_bound_the_connections() -> None:
    limits = settings_of(httpx_kwargs={"limits": httpx.Limits(max_connections=7)}).connect["limits"]
    assert (limits.connections, limits.workers) == (7, 40)
    unbounded = settings_of(httpx_kwargs={"limits": httpx.Limits()}).connect["limits"]
    assert unbounded.connections == gt.Limits().connections


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate with its key, in one file."""
    import trustme

    path = tmp_path / "client.pem"
    trustme.CA().issue_cert("me@example.org").private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize("verify", [True, False, "own"])
def test_a_certificate_of_the_client_s_is_shown(verify: Any, certificate: Path) -> None:
    own = ssl.create_default_context()
    kwargs = {"cert": str(certificate), "verify": own if verify == "own" else verify}
    context = settings_of(httpx_kwargs=kwargs).connect["verify"]
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname is (verify is not False)
    assert (context is own) is (verify == "own")
    of_a_file = settings_of(httpx_kwargs={"cert": (certificate, certificate), "verify": str(certificate)})
    assert len(of_a_file.connect["verify"].get_ca_certs()) <= 1


def test_without_a_certificate_verify_is_passed_on() -> None:
    assert settings_of(ssl_verify=False).connect["verify"] is False
    assert settings_of(ssl_verify=False, httpx_kwargs={"verify": "/ca.pem"}).connect["verify"] == "/ca.pem"


def test_what_nothing_answers_to_is_named() -> None:
    with pytest.raises(SettingError, match="httpx_kwargs has mounts; supported are timeout, proxy"):
        settings_of(httpx_kwargs={"mounts": {}})


# --- tokens --------------------------------------------------------------------------------------------------


@EVERY_CLIENT
@pytest.mark.parametrize("name", ["token", "hf_token"])
def test_a_token_is_not_sent_to_a_host_that_is_not_the_hub_s(
    gradio: FakeGradio, predict: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "gradio_transport.client")
    assert predict(gradio.url, "you", api_name="/hello", **{name: "hf_mine"}) == "Hello, you!"
    assert "hf_mine" not in str(gradio.requests)
    (record,) = [one for one in caplog.records if one.name.startswith("gradio_transport.client")]
    assert "connecting without the token" in record.message
    assert f"token_origin='{gradio.url}'" in record.message
    assert "hf_mine" not in record.message


def test_a_token_that_is_withheld_is_still_the_client_s(gradio: FakeGradio) -> None:
    with Client(gradio.url, "hf_mine") as client:
        assert client.token == client.hf_token == "hf_mine"
        assert "hf_mine" not in str(client.headers)


@EVERY_CLIENT
def test_a_token_goes_to_the_origin_that_is_named_for_it(gradio: FakeGradio, predict: Any) -> None:
    predict(gradio.url, "x", api_name="/hello", token="hf_mine", token_origin=gradio.url)
    assert "Bearer hf_mine" in str(gradio.requests)


@EVERY_CLIENT
def test_the_token_of_the_caller_goes_to_functions_that_ask_for_it_and_to_no_other(
    server: Scripted, predict: Any
) -> None:
    named = {**INFO["named_endpoints"]}
    named["/hello"] = {**named["/hello"], "oauth_token": "optional"}
    server.scripts["/gradio_api/info"] = lambda reply: reply.json({**INFO, "named_endpoints": named})
    predict(server.url, "x", api_name="/hello", oauth_token="hf_mine")
    predict(server.url, "2", api_name="/count", oauth_token="hf_mine")
    joins = [body for path, body in server.seen if path.endswith("join")]
    assert [body.get("oauth_token") for body in joins] == ["hf_mine", None]
    assert "hf_mine" not in str(server.asked)


# --- where a gradio server of this process stores uploads ------------------------------------------------


def test_uploads_are_where_gradio_stores_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "named"))
    assert upload_directory() == tmp_path / "named"
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert upload_directory() is None
    (tmp_path / "gradio").mkdir()
    assert upload_directory() == tmp_path / "gradio"


@pytest.mark.skipif(os.name == "nt", reason="links and owners as POSIX has them")
def test_a_directory_that_another_user_can_fill_is_not_taken_for_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "other").mkdir()
    (tmp_path / "gradio").symlink_to(tmp_path / "other")
    assert upload_directory() is None
    (tmp_path / "gradio").unlink()
    (tmp_path / "gradio").mkdir()
    monkeypatch.setattr(private, "is_own", lambda found: False)
    assert upload_directory() is None
