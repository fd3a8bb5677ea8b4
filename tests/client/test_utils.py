# SPDX-License-Identifier: Apache-2.0
"""The modules that programs import names from: `utils`, `exceptions`, `data_classes`, `client`."""

import base64
import typing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import gradio_transport.client as package
from gradio_transport.client import client, data_classes, errors, exceptions, utils
from gradio_transport.client.settings import default_directory

META = {"_type": "gradio.FileData"}
PARAMETERS: list[Any] = [
    {"parameter_name": "a", "parameter_has_default": False, "parameter_default": None},
    {"parameter_name": "b", "parameter_has_default": True, "parameter_default": 2},
    {"label": "before 4.0 parameters have no name"},
]


def test_each_name_is_the_one_of_the_package() -> None:
    for module in (client, exceptions, utils, data_classes):
        for name in module.__all__:
            assert getattr(package, name, getattr(module, name)) is getattr(module, name)
    assert issubclass(exceptions.SerializationSetupError, ValueError)
    assert (utils.QueueError, utils.TooManyRequestsError) == (errors.QueueError, errors.TooManyRequestsError)
    assert package.__version__ == utils.__version__ == utils.get_package_version()
    assert default_directory() == Path(client.DEFAULT_TEMP_DIR)


def test_the_shapes_of_values_name_their_keys() -> None:
    assert {"path", "url", "size", "orig_name", "mime_type", "is_stream", "meta", "name", "data"} <= set(
        typing.get_type_hints(data_classes.FileData)
    )
    assert {
        "parameter_name",
        "type",
        "python_type",
        "component",
    } <= data_classes.ParameterInfo.__required_keys__
    assert package.FileData(path="x", meta=META) == {"path": "x", "meta": META}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("http://x", True), ("https://x", True), ("ftp://x", False), ("x", False), (None, False), (5, False)],
)
def test_a_url_is_told_by_its_beginning(value: Any, expected: bool) -> None:
    assert utils.is_http_url_like(value) is expected


def test_a_path_is_one_of_a_file_that_is_there(tmp_path: Path) -> None:
    there = tmp_path / "x"
    there.write_bytes(b"x")
    found = [utils.is_filepath(value) for value in (there, str(there), tmp_path, "\0", "x" * 9999, 5, None)]
    assert found == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"path": "x"}, (True, False, False)),
        ({"path": "x", "meta": META}, (True, True, False)),
        ({"path": "x", "meta": META, "url": "y"}, (True, True, True)),
        ({"path": "x", "meta": META, "url": None}, (True, True, False)),
        ({"path": "x", "meta": None}, (True, False, False)),
        ({"path": "x", "meta": {"_type": "other"}}, (True, False, False)),
        ({"path": None, "meta": META}, (False, False, False)),
        ("x", (False, False, False)),
    ],
)
def test_a_file_is_told_by_its_keys(value: Any, expected: tuple[bool, bool, bool]) -> None:
    told = utils.is_file_obj(value), utils.is_file_obj_with_meta(value), utils.is_file_obj_with_url(value)
    assert told == expected


def test_a_value_is_traversed_from_the_outside_in() -> None:
    value = {"a": [{"path": "x", "inside": {"path": "y"}}, 1], "b": ({"path": "z"},), "c": "text"}
    expected = {"a": ["x", 1], "b": ["z"], "c": "text"}
    assert utils.traverse(value, lambda file: file["path"], utils.is_file_obj) == expected
    assert value["c"] == "text"
    assert isinstance(value["b"], tuple)

    async def path(file: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return file["path"]

    for backend in ("asyncio", "trio"):
        assert anyio.run(utils.async_traverse, value, path, utils.is_file_obj, backend=backend) == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1, 3, 4), {}, [1, 3, 4]),
        ((1,), {"argument 2": 4}, [1, 2, 4]),
        ((), {"argument 2": 4, "a": 1, "b": None}, [1, None, 4]),
    ],
)
def test_arguments_are_put_in_order(args: Any, kwargs: Any, expected: list[Any]) -> None:
    assert utils.construct_args(PARAMETERS, args, kwargs) == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {}, "No value provided for required argument: a, argument 2"),
        ((1, 2, 3, 4), {}, "4 arguments were given, but the endpoint takes 3"),
        ((1,), {"c": 1}, "Parameter `c` is not a valid key-word argument"),
        ((1,), {"a": 1}, "Parameter `a` is already set as a positional argument"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(args: Any, kwargs: Any, said: str) -> None:
    for kind in (TypeError, ValueError, package.ValidationError):
        with pytest.raises(kind, match=said):
            utils.construct_args(PARAMETERS, args, kwargs)


def test_an_endpoint_that_says_nothing_takes_no_keywords() -> None:
    assert utils.construct_args(None, (1, 2), {}) == [1, 2]
    with pytest.raises(ValueError, match="does not support key-word arguments"):
        utils.construct_args(None, (), {"a": 1})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.WEBP", "image/webp"), ("x.vtt", "text/vtt"), ("a/x.wav", "audio/wav"), ("x.flac", "audio/flac"),
        ("x.png", "image/png"), ("x.unheard-of", None), ("x", None),
    ],
)  # fmt: skip
def test_the_media_type_is_that_of_the_name(name: str, kind: str | None) -> None:
    assert utils.get_mimetype(name) == kind


def test_a_file_becomes_a_data_url(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"hello")
    assert utils.encode_file_to_base64(path) == f"data:image/png;base64,{base64.b64encode(b'hello').decode()}"
    with pytest.raises(OSError, match="missing"):
        utils.encode_file_to_base64(str(tmp_path / "missing"))
