# SPDX-License-Identifier: Apache-2.0
"""The names and errors of the Gradio Python client, compared with those here, for docs/migration.md.

`NAMES` has a decision for each public name of the releases in `RELEASES`: the same, different, or absent, and
the reason. `RAISED` has the errors of both clients in the same situation. Tests compare both with the
packages of that client, so a new name there fails them until there is a decision. ``python docs/_surface.py``
writes the page.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

import attrs

RELEASES = ("0.6.1", "0.17.0", "1.13.3", "2.7.2")
"""The releases of the Gradio Python client that are compared: of Gradio 3.x, 4.x, 5.x and 6.x."""


class State(enum.Enum):
    """The relation of a name here to that of the Gradio client."""

    SAME = "same"
    DIFFERS = "differs"
    ABSENT = "absent"


@attrs.frozen
class Name:
    """The decision on one public name of the Gradio client.

    Attributes:
        name: The name below the package, such as ``"client.Client.predict"``. Names below an absent module or
            class are absent too, without a row.
        since: The first of `RELEASES` that has it.
        state: Its state in this client.
        why: The difference, or the reason of the absence, as Markdown.
        until: The last of `RELEASES` that has it.
        parameters: The differences of parameters. ``"*"`` if they are not compared, with the maker of the
            object.
    """

    name: str
    since: str
    state: State
    why: str = ""
    until: str = RELEASES[-1]
    parameters: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType[str, str]({}))


def _same(name: str, since: str, until: str = RELEASES[-1]) -> Name:
    return Name(name, since, State.SAME, until=until)


def _differs(
    name: str,
    since: str,
    why: str = "",
    until: str = RELEASES[-1],
    parameters: Mapping[str, str] | None = None,
) -> Name:
    return Name(name, since, State.DIFFERS, why, until, parameters or {})


def _absent(name: str, since: str, why: str, until: str = RELEASES[-1]) -> Name:
    return Name(name, since, State.ABSENT, why, until)


_ALSO = "Also an error of this library; see [errors](#errors)."
_GIVEN = "It is what the client was given."
_ROUTES = "The routes differ by version, and with them what may be sent there."
_STREAMS = "It is how the streams are read there; jobs have no thread here. See [the transport](using.md)."
_STEPS = "It is a step of a call there; here the transport has them, by version."
_SERIALIZERS = (
    "There are no serializers here: values go to the server as they are, and files by `handle_file`."
)
_MESSAGES = "The messages are read by the transport; see `gradio_transport.events`."
_OF_GRADIO = "Servers of Gradio use it. `install()` leaves it to the installed package."
_ASKS = "Nothing here asks a URL that is not the app's."

NAMES: tuple[Name, ...] = (
    _same("Client", "0.6.1"),
    _same("FileData", "1.13.3"),
    _same("__version__", "0.6.1"),
    _same("file", "0.17.0"),
    _same("handle_file", "1.13.3"),
    _same("client", "0.6.1"),
    _differs(
        "client.Client",
        "0.6.1",
        "Takes more: see `help(Client)`.",
        parameters={
            "hf_token": "by keyword only; the second by position is `token`",
            "verbose": "by position it is the fourth, as from 1.0 on",
            "auth": "by position it is the fifth, as from 1.0 on",
            "download_files": "None by default, for [a directory of your own](#what-differs-and-why)",
            "output_dir": "by keyword only; the older name of `download_files` for a directory",
            "serialize": "there are no serializers: values go as they are",
            "upload_files": "a text is never taken for a file: pass `handle_file(path)`",
        },
    ),
    _absent(
        "client.Client.add_zero_gpu_headers",
        "1.13.3",
        "`gradio_transport.forward` does that, for the calls of a block.",
    ),
    _absent("client.Client.analytics_enabled", "1.13.3", _GIVEN),
    _absent("client.Client.api_prefix", "1.13.3", _ROUTES),
    _absent("client.Client.api_url", "0.6.1", _ROUTES),
    _same("client.Client.app_version", "0.17.0"),
    _same("client.Client.close", "0.17.0"),
    _differs(
        "client.Client.config",
        "0.6.1",
        "A copy: what is changed in it changes no call. `Client.app_config` is the same, read.",
    ),
    _same("client.Client.cookies", "0.17.0"),
    _absent(
        "client.Client.deploy_discord", "0.6.1", "Deploying a bot is no part of a client.", until="1.13.3"
    ),
    _absent("client.Client.download_files", "0.17.0", _GIVEN),
    _differs(
        "client.Client.duplicate",
        "0.6.1",
        "Takes free hardware unless `hardware=` names another.",
        parameters={"hf_token": "by keyword only; the third by position is `token`"},
    ),
    _same("client.Client.endpoints", "0.6.1"),
    _absent("client.Client.executor", "0.6.1", _STREAMS),
    _differs(
        "client.Client.headers",
        "0.6.1",
        "Names are in lower case, and found in any. `x-gradio-user` always says `api`.",
    ),
    _absent("client.Client.heartbeat", "0.17.0", _STREAMS),
    _absent("client.Client.heartbeat_url", "0.17.0", _ROUTES),
    _absent("client.Client.helper_executor", "2.7.2", _STREAMS),
    _same("client.Client.hf_token", "0.6.1", until="1.13.3"),
    _absent("client.Client.httpx_kwargs", "1.13.3", _GIVEN),
    _differs(
        "client.Client.new_helper",
        "0.17.0",
        "Makes a `Communicator` for `Endpoint.make_end_to_end_fn`, and nothing else.",
    ),
    _absent("client.Client.oauth_token", "2.7.2", _GIVEN),
    _same("client.Client.output_dir", "0.6.1"),
    _absent("client.Client.pending_event_epoch", "2.7.2", _STREAMS),
    _absent("client.Client.pending_event_ids", "0.17.0", _STREAMS),
    _absent("client.Client.pending_lock", "2.7.2", _STREAMS),
    _absent("client.Client.pending_messages_per_event", "0.17.0", _STREAMS),
    _same("client.Client.predict", "0.6.1"),
    _same("client.Client.protocol", "0.17.0"),
    _same("client.Client.reset_session", "0.6.1"),
    _absent("client.Client.reset_url", "0.6.1", _ROUTES),
    _absent("client.Client.send_data", "0.17.0", _STREAMS),
    _absent("client.Client.serialize", "0.6.1", _GIVEN, until="0.6.1"),
    _same("client.Client.session_hash", "0.6.1"),
    _same("client.Client.space_id", "0.6.1"),
    _differs("client.Client.src", "0.6.1", "Follows the redirects of the app."),
    _absent("client.Client.src_prefixed", "1.13.3", _ROUTES),
    _absent("client.Client.sse_data_url", "0.17.0", _ROUTES),
    _absent("client.Client.sse_url", "0.17.0", _ROUTES),
    _absent("client.Client.ssl_verify", "0.17.0", _GIVEN),
    _absent("client.Client.stream_epoch", "2.7.2", _STREAMS),
    _absent("client.Client.stream_executor", "2.7.2", _STREAMS),
    _absent("client.Client.stream_messages", "0.17.0", _STREAMS),
    _absent("client.Client.stream_open", "0.17.0", _STREAMS),
    _absent("client.Client.streaming_future", "0.17.0", _STREAMS),
    _same("client.Client.submit", "0.6.1"),
    _same("client.Client.token", "2.7.2"),
    _absent("client.Client.upload_files", "0.17.0", _GIVEN, until="0.17.0"),
    _absent("client.Client.upload_url", "0.6.1", _ROUTES),
    _absent("client.Client.verbose", "0.6.1", _GIVEN),
    _differs(
        "client.Client.view_api",
        "0.6.1",
        "The dict is the server's `/info`, in its order, with the keys that the Gradio client of the "
        "server's time returns: all but `show_api`, `api_visibility` and `code_snippets`. Without `/info` "
        "(before 3.26) it is built from the app's config, and `serializer` is missing. The text is laid out "
        "differently.",
    ),
    _absent("client.Client.ws_url", "0.6.1", _ROUTES),
    _absent("client.ComponentApiType", "0.17.0", _STEPS),
    _differs(
        "client.DEFAULT_TEMP_DIR", "0.6.1", "`$GRADIO_TEMP_DIR` is also looked at when a client is made."
    ),
    _differs("client.Endpoint", "0.6.1", parameters={"*": "made by `Client.endpoints`"}),
    _same("client.Endpoint.api_name", "0.6.1"),
    _same("client.Endpoint.api_visibility", "2.7.2"),
    _same("client.Endpoint.backend_fn", "0.17.0"),
    _same("client.Endpoint.client", "0.6.1"),
    _same("client.Endpoint.dependency", "0.6.1"),
    _absent("client.Endpoint.deserialize", "0.6.1", _STEPS, until="0.6.1"),
    _absent("client.Endpoint.deserializers", "0.6.1", _STEPS, until="0.6.1"),
    _absent("client.Endpoint.download_files", "0.17.0", _STEPS),
    _same("client.Endpoint.fn_index", "0.6.1"),
    _absent("client.Endpoint.input_component_types", "0.6.1", _STEPS),
    _absent("client.Endpoint.insert_empty_state", "0.17.0", _STEPS),
    _absent("client.Endpoint.insert_state", "0.6.1", _STEPS, until="0.6.1"),
    _absent("client.Endpoint.is_continuous", "0.6.1", _STEPS, until="0.17.0"),
    _same("client.Endpoint.is_valid", "0.6.1"),
    _absent("client.Endpoint.make_cancel", "0.17.0", _STEPS),
    _differs(
        "client.Endpoint.make_end_to_end_fn",
        "0.6.1",
        "Uploads files of `$GRADIO_TEMP_DIR` only, unless `handle_file` names them.",
    ),
    _absent("client.Endpoint.make_predict", "0.6.1", _STEPS),
    _absent("client.Endpoint.oauth_token_payload", "2.7.2", _STEPS),
    _absent("client.Endpoint.oauth_token_requirement", "2.7.2", _STEPS),
    _absent("client.Endpoint.output_component_types", "0.6.1", _STEPS),
    _same("client.Endpoint.parameters_info", "0.17.0"),
    _absent("client.Endpoint.process_input_files", "0.17.0", _STEPS),
    _absent("client.Endpoint.process_predictions", "0.6.1", _STEPS),
    _same("client.Endpoint.protocol", "0.17.0"),
    _absent("client.Endpoint.reduce_singleton_output", "0.6.1", _STEPS),
    _absent("client.Endpoint.remove_skipped_components", "0.6.1", _STEPS),
    _same("client.Endpoint.root_url", "0.6.1"),
    _absent("client.Endpoint.serialize", "0.6.1", _STEPS, until="0.6.1"),
    _absent("client.Endpoint.serializers", "0.6.1", _STEPS, until="0.6.1"),
    _absent("client.Endpoint.show_api", "0.17.0", _STEPS, until="1.13.3"),
    _absent("client.Endpoint.use_ws", "0.6.1", _STEPS, until="0.6.1"),
    _absent("client.Endpoint.value_is_file", "0.17.0", _STEPS),
    _absent("client.HEARTBEAT_RETRY_DELAY_MAX", "2.7.2", _STREAMS),
    _absent("client.HEARTBEAT_RETRY_DELAY_MIN", "2.7.2", _STREAMS),
    _absent("client.HEARTBEAT_RETRY_RESET_AFTER", "2.7.2", _STREAMS),
    _differs("client.Job", "0.6.1", parameters={"*": "made by `Client.submit`"}),
    _same("client.Job.cancel", "0.6.1"),
    _absent("client.Job.cancel_fn", "0.17.0", "`Job.cancel` does it."),
    _same("client.Job.communicator", "0.6.1"),
    _differs("client.Job.future", "0.6.1", "The job itself."),
    _same("client.Job.outputs", "0.6.1"),
    _same("client.Job.result", "0.6.1"),
    _absent("client.Job.space_id", "0.6.1", _GIVEN),
    _same("client.Job.status", "0.6.1"),
    _absent("client.Job.verbose", "0.6.1", _GIVEN),
    _absent("client.ReplaceMe", "0.17.0", _STEPS),
    _same("utils", "0.6.1"),
    _absent("utils.APIInfoParseError", "0.6.1", _OF_GRADIO),
    _absent("utils.API_INFO_URL", "0.6.1", _ROUTES),
    _absent("utils.API_URL", "0.6.1", _ROUTES),
    _absent("utils.CANCEL_URL", "0.17.0", _ROUTES),
    _absent("utils.CONFIG_URL", "0.6.1", _ROUTES),
    _absent("utils.CURRENT_FILE_DATA_FORMAT", "0.17.0", _OF_GRADIO),
    _differs(
        "utils.Communicator",
        "0.6.1",
        "A second view of the job.",
        parameters={"*": "made by `Client.new_helper`, or `Job.communicator`"},
    ),
    _same("utils.Communicator.event_id", "0.17.0"),
    _same("utils.Communicator.job", "0.6.1"),
    _same("utils.Communicator.lock", "0.6.1"),
    _absent("utils.Communicator.prediction_processor", "0.6.1", "Nothing here reads or fills it."),
    _same("utils.Communicator.request_headers", "1.13.3"),
    _absent("utils.Communicator.reset_url", "0.6.1", "Nothing here reads or fills it."),
    _same("utils.Communicator.should_cancel", "0.6.1"),
    _same("utils.Communicator.thread_complete", "0.17.0"),
    _absent("utils.Communicator.updates", "1.13.3", "Nothing here reads or fills it."),
    _absent("utils.FILE_DATA_FORMATS", "0.17.0", _OF_GRADIO),
    _absent("utils.HEARTBEAT_URL", "0.17.0", _ROUTES),
    _absent(
        "utils.INVALID_RUNTIME", "0.6.1", "Its situation raises another error here; see [errors](#errors)."
    ),
    _absent(
        "utils.InvalidAPIEndpointError",
        "0.6.1",
        "Its situation raises another error here; see [errors](#errors).",
    ),
    _differs("utils.JobStatus", "0.6.1", parameters={"*": "made as the `job` of a `Communicator`"}),
    _same("utils.JobStatus.latest_status", "0.6.1"),
    _same("utils.JobStatus.outputs", "0.6.1"),
    _absent("utils.LOGIN_URL", "0.17.0", _ROUTES),
    _absent("utils.Message", "0.17.0", _MESSAGES),
    _absent(
        "utils.OutputUpdate",
        "1.13.3",
        "`async for` on a job gives its outputs, and no updates; see [what differs](#what-differs-and-why).",
    ),
    _same("utils.ProgressUnit", "0.6.1"),
    _same("utils.ProgressUnit.desc", "0.6.1"),
    _absent("utils.ProgressUnit.from_msg", "0.17.0", _MESSAGES),
    _absent("utils.ProgressUnit.from_ws_msg", "0.6.1", _MESSAGES, until="0.6.1"),
    _same("utils.ProgressUnit.index", "0.6.1"),
    _same("utils.ProgressUnit.length", "0.6.1"),
    _same("utils.ProgressUnit.progress", "0.6.1"),
    _same("utils.ProgressUnit.unit", "0.6.1"),
    _differs("utils.QueueError", "0.6.1", _ALSO),
    _absent("utils.RAW_API_INFO_URL", "0.6.1", _ROUTES),
    _absent("utils.RESET_URL", "0.6.1", _ROUTES),
    _absent("utils.SKIP_COMPONENTS", "0.6.1", _OF_GRADIO),
    _absent("utils.SPACE_FETCHER_URL", "0.6.1", _ASKS),
    _absent("utils.SPACE_URL", "0.6.1", _ROUTES),
    _absent("utils.SSE_DATA_URL", "0.17.0", _ROUTES),
    _absent("utils.SSE_DATA_URL_V0", "0.17.0", _ROUTES),
    _absent("utils.SSE_URL", "0.17.0", _ROUTES),
    _absent("utils.SSE_URL_V0", "0.17.0", _ROUTES),
    _absent("utils.STATE_COMPONENT", "0.6.1", _OF_GRADIO),
    _absent("utils.ServerMessage", "0.17.0", _MESSAGES),
    _absent(
        "utils.SpaceDuplicationError",
        "0.6.1",
        "Its situation raises another error here; see [errors](#errors).",
    ),
    _same("utils.Status", "0.6.1"),
    _same("utils.Status.CANCELLED", "0.6.1"),
    _same("utils.Status.FINISHED", "0.6.1"),
    _same("utils.Status.IN_QUEUE", "0.6.1"),
    _same("utils.Status.ITERATING", "0.6.1"),
    _same("utils.Status.JOINING_QUEUE", "0.6.1"),
    _differs(
        "utils.Status.LOG",
        "0.17.0",
        "In the order of a job it comes after `PROCESSING`; there it has no place.",
    ),
    _same("utils.Status.PROCESSING", "0.6.1"),
    _same("utils.Status.PROGRESS", "0.6.1"),
    _same("utils.Status.QUEUE_FULL", "0.6.1"),
    _same("utils.Status.SENDING_DATA", "0.6.1"),
    _same("utils.Status.STARTING", "0.6.1"),
    _absent("utils.Status.msg_to_status", "0.6.1", _MESSAGES),
    _same("utils.Status.ordering", "0.6.1"),
    _differs(
        "utils.StatusUpdate",
        "0.6.1",
        "Its fields are given by keyword.",
        parameters={"*": "made by the job"},
    ),
    _same("utils.StatusUpdate.code", "0.6.1"),
    _same("utils.StatusUpdate.eta", "0.6.1"),
    _same("utils.StatusUpdate.log", "0.17.0"),
    _same("utils.StatusUpdate.progress_data", "0.6.1"),
    _same("utils.StatusUpdate.queue_size", "0.6.1"),
    _same("utils.StatusUpdate.rank", "0.6.1"),
    _same("utils.StatusUpdate.success", "0.6.1"),
    _same("utils.StatusUpdate.time", "0.6.1"),
    _absent(
        "utils.StatusUpdate.type",
        "1.13.3",
        "`async for` on a job gives its outputs, and no updates; see [what differs](#what-differs-and-why).",
    ),
    _differs("utils.TooManyRequestsError", "0.6.1", _ALSO),
    _absent("utils.UPLOAD_URL", "0.6.1", _ROUTES),
    _absent(
        "utils.Update",
        "1.13.3",
        "`async for` on a job gives its outputs, and no updates; see [what differs](#what-differs-and-why).",
    ),
    _absent("utils.WS_URL", "0.6.1", _ROUTES),
    _same("utils.__version__", "0.6.1"),
    _absent("utils.apply_diff", "0.17.0", _MESSAGES),
    _same("utils.async_traverse", "0.17.0"),
    _absent("utils.check_for_cancel", "0.17.0", _MESSAGES),
    _differs("utils.construct_args", "0.17.0", "Refuses surplus arguments."),
    _absent("utils.create_initial_status_update", "0.6.1", _MESSAGES),
    _absent("utils.create_tmp_copy_of_file", "0.6.1", _OF_GRADIO),
    _absent("utils.decode_base64_to_binary", "0.6.1", _OF_GRADIO),
    _absent("utils.decode_base64_to_file", "0.6.1", _OF_GRADIO),
    _absent("utils.dict_or_str_to_json_file", "0.6.1", _OF_GRADIO),
    _absent("utils.download_byte_stream", "0.6.1", _ASKS),
    _absent("utils.download_tmp_copy_of_file", "0.6.1", _ASKS),
    _absent("utils.encode_file_path", "2.7.2", _ROUTES),
    _same("utils.encode_file_to_base64", "0.6.1"),
    _absent("utils.encode_url_or_file_to_base64", "0.6.1", _ASKS),
    _absent("utils.encode_url_to_base64", "0.6.1", _ASKS),
    _absent("utils.extract_validation_message", "1.13.3", _MESSAGES),
    _same("utils.file", "0.17.0"),
    _absent("utils.file_to_json", "0.6.1", _OF_GRADIO),
    _absent("utils.get_extension", "0.6.1", _OF_GRADIO),
    _same("utils.get_mimetype", "0.6.1"),
    _same("utils.get_package_version", "0.6.1"),
    _absent("utils.get_pred_from_sse_v0", "0.17.0", _STREAMS),
    _absent("utils.get_pred_from_sse_v1plus", "0.17.0", _STREAMS),
    _absent("utils.get_pred_from_ws", "0.6.1", _STREAMS, until="1.13.3"),
    _absent("utils.get_type", "0.6.1", _OF_GRADIO),
    _same("utils.handle_file", "1.13.3"),
    _same("utils.is_file_obj", "0.17.0"),
    _same("utils.is_file_obj_with_meta", "0.17.0"),
    _same("utils.is_file_obj_with_url", "0.17.0"),
    _same("utils.is_filepath", "0.17.0"),
    _same("utils.is_http_url_like", "0.6.1"),
    _absent("utils.is_valid_file", "1.13.3", _OF_GRADIO),
    _absent("utils.is_valid_url", "0.6.1", _ASKS),
    _absent("utils.json_schema_to_python_type", "0.6.1", _OF_GRADIO),
    _absent("utils.probe_url", "0.6.1", _ASKS),
    _absent("utils.python_type_to_json_schema", "1.13.3", _OF_GRADIO),
    _absent("utils.sanitize_parameter_names", "0.6.1", _OF_GRADIO),
    _absent("utils.set_space_timeout", "0.6.1", _ASKS),
    _absent("utils.stream_sse_v0", "0.17.0", _STREAMS),
    _absent("utils.stream_sse_v1plus", "0.17.0", _STREAMS),
    _absent("utils.strip_invalid_filename_characters", "0.6.1", _OF_GRADIO),
    _absent("utils.synchronize_async", "0.6.1", _STREAMS),
    _same("utils.traverse", "0.17.0"),
    _absent("utils.value_is_file", "0.17.0", _OF_GRADIO),
    _same("exceptions", "0.6.1"),
    _differs(
        "exceptions.AppError",
        "0.17.0",
        "Also a `GradioTransportError`. Before 1.0 the text begins with words of the Gradio client; here it "
        "is the app's alone, as from 1.0 on.",
        parameters={
            "duration": "by keyword only, and None if the app does not say it",
            "title": "by keyword only, and None if the app does not say it",
            "visible": "by keyword only",
            "print_exception": "it is for the server",
            "message": "is needed",
        },
    ),
    _same("exceptions.AppError.duration", "1.13.3"),
    _same("exceptions.AppError.message", "1.13.3"),
    _absent("exceptions.AppError.print_exception", "1.13.3", "It is for the server."),
    _same("exceptions.AppError.title", "1.13.3"),
    _same("exceptions.AppError.visible", "1.13.3"),
    _differs("exceptions.AuthenticationError", "0.17.0", _ALSO),
    _differs("exceptions.SerializationSetupError", "0.6.1", "Never raised: there are no serializers."),
    _differs("exceptions.ValidationError", "1.13.3", _ALSO),
    _same("data_classes", "0.6.1"),
    _same("data_classes.FileData", "0.6.1"),
    _same("data_classes.FileData.data", "0.6.1"),
    _same("data_classes.FileData.is_file", "0.6.1"),
    _same("data_classes.FileData.is_stream", "0.6.1"),
    _same("data_classes.FileData.mime_type", "0.6.1"),
    _same("data_classes.FileData.name", "0.6.1"),
    _same("data_classes.FileData.orig_name", "0.6.1"),
    _same("data_classes.FileData.size", "0.6.1"),
    _same("data_classes.ParameterInfo", "0.17.0"),
    _same("data_classes.ParameterInfo.component", "0.17.0"),
    _same("data_classes.ParameterInfo.example_input", "0.17.0"),
    _same("data_classes.ParameterInfo.label", "0.17.0"),
    _same("data_classes.ParameterInfo.parameter_default", "0.17.0"),
    _same("data_classes.ParameterInfo.parameter_has_default", "0.17.0"),
    _same("data_classes.ParameterInfo.parameter_name", "0.17.0"),
    _same("data_classes.ParameterInfo.python_type", "0.17.0"),
    _same("data_classes.ParameterInfo.type", "0.17.0"),
    _absent("serializing", "0.6.1", _SERIALIZERS, until="1.13.3"),
    _absent("compatibility", "0.17.0", _SERIALIZERS, until="1.13.3"),
    _absent("media_data", "0.6.1", _SERIALIZERS, until="1.13.3"),
    _absent("cli", "0.6.1", "Deploying a bot is no part of a client.", until="1.13.3"),
    _absent("documentation", "0.6.1", _OF_GRADIO),
    _absent("snippet", "2.7.2", _OF_GRADIO),
)
"""The decisions, by module and name."""


@attrs.frozen(kw_only=True)
class Raised:
    """The errors of both clients in one situation.

    Attributes:
        situation: The situation.
        theirs: The exception of the Gradio client 2.7.2; empty if it raises none.
        here: The exception of this client; empty if it raises none.
        caught_as: Other types that catch it, except `GradioTransportError`.
        words: Words in both texts, which programs match on.
        remark: Other differences, as Markdown.
    """

    situation: str
    theirs: str
    here: str
    caught_as: tuple[str, ...] = ()
    words: str = ""
    remark: str = ""


_NET = ("ConnectionError", "OSError")
_LATE = ("TimeoutError", "OSError")
_VALUE = ("ValueError",)
_ARGUMENT = ("ValidationError", "ValueError", "TypeError")
_LOST = "There it cannot be told from a cancellation. `may_have_run` says whether the function may have run."

RAISED: tuple[Raised, ...] = (
    Raised(
        situation="Nothing listens at the address",
        theirs="httpx.ConnectError",
        here="ConnectError",
        caught_as=_NET,
        words="Connection refused",
    ),
    Raised(
        situation="The host has no address (DNS)",
        theirs="httpx.ConnectError",
        here="ConnectError",
        caught_as=_NET,
    ),
    Raised(
        situation="TLS fails", theirs="httpx.ConnectError", here="ConnectError", caught_as=_NET, words="SSL"
    ),
    Raised(
        situation="The config does not come in time",
        theirs="httpx.ReadTimeout",
        here="JobTimeout",
        caught_as=_LATE,
        remark="The text begins with `Timed out.`",
    ),
    Raised(
        situation="The app wants a login, and none is given",
        theirs="AuthenticationError",
        here="AuthenticationError",
        caught_as=_VALUE,
    ),
    Raised(
        situation="The app refuses the login",
        theirs="ValueError",
        here="AuthenticationError",
        caught_as=_VALUE,
    ),
    Raised(
        situation="A proxy refuses the config (403)",
        theirs="ValueError",
        here="AuthenticationError",
        caught_as=_VALUE,
        words="Could not fetch config for",
    ),
    Raised(
        situation="Too many requests for the config (429)",
        theirs="TooManyRequestsError",
        here="TooManyRequestsError",
        words="Too many requests",
    ),
    Raised(
        situation="The page is none of Gradio's",
        theirs="ValueError",
        here="NotAGradioAppError",
        caught_as=_VALUE,
        remark="The text begins with `Could not fetch config for`",
    ),
    Raised(
        situation="The server answers 502 (an app that starts)",
        theirs="ValueError",
        here="ConfigError",
        caught_as=_VALUE,
        words="Could not fetch config for",
    ),
    Raised(
        situation="There is no such Space, or it is hidden",
        theirs="huggingface_hub.errors.RepositoryNotFoundError",
        here="SpaceNotFoundError",
        caught_as=_VALUE,
        remark="The text begins with `Could not find Space`",
    ),
    Raised(
        situation="The Space sleeps",
        theirs="",
        here="",
        remark="It is woken and waited for, `Timeouts(space=)` long.",
    ),
    Raised(
        situation="The Space is paused, or failed to build or run",
        theirs="ValueError",
        here="SpaceNotRunningError",
        caught_as=_VALUE,
        words="The current space is in the invalid state: BUILD_ERROR",
        remark="`stage` has the state.",
    ),
    Raised(
        situation="There is no endpoint of that name",
        theirs="ValueError",
        here="EndpointError",
        caught_as=_VALUE,
        words="Cannot find a function with `api_name`: /nothing",
    ),
    Raised(
        situation="There is no function of that number",
        theirs="ValueError",
        here="EndpointError",
        caught_as=_VALUE,
        words="Invalid function index: 99.",
    ),
    Raised(
        situation="No endpoint is named, and the app has several",
        theirs="ValueError",
        here="EndpointError",
        caught_as=_VALUE,
        words="This Gradio app might have multiple endpoints. Please specify an `api_name` or `fn_index`",
    ),
    Raised(
        situation="An argument is missing",
        theirs="TypeError",
        here="ArgumentError",
        caught_as=_ARGUMENT,
        words="No value provided for required argument: text",
    ),
    Raised(
        situation="There is an argument too many",
        theirs="",
        here="ArgumentError",
        caught_as=_ARGUMENT,
        remark="There it is lost.",
    ),
    Raised(
        situation="There is no parameter of that name",
        theirs="TypeError",
        here="ArgumentError",
        caught_as=_ARGUMENT,
        words="Parameter `nothing` is not a valid key-word argument.",
    ),
    Raised(
        situation="An argument is given twice",
        theirs="TypeError",
        here="ArgumentError",
        caught_as=_ARGUMENT,
        words="Parameter `text` is already set as a positional argument.",
    ),
    Raised(situation="The value is no JSON", theirs="TypeError", here="ArgumentError", caught_as=_ARGUMENT),
    Raised(
        situation="The app's validator refuses a value (5.45+)",
        theirs="ValidationError",
        here="ValidationError",
        caught_as=_VALUE,
    ),
    Raised(
        situation="`handle_file` of a path where no file is",
        theirs="ValueError",
        here="FileError",
        caught_as=_VALUE,
        words="does not exist on local filesystem and is not a valid URL",
    ),
    Raised(
        situation="A file is larger than the app takes",
        theirs="ValueError",
        here="ValidationError",
        caught_as=_VALUE,
        words="exceeds the maximum file size",
    ),
    Raised(
        situation="The server refuses an upload (413)",
        theirs="httpx.HTTPStatusError",
        here="InvalidPayload",
        words="413",
    ),
    Raised(
        situation="A file of the result cannot be downloaded (404)",
        theirs="httpx.HTTPStatusError",
        here="FileUnavailable",
        words="404",
    ),
    Raised(
        situation="The app's function raises (show_error on)",
        theirs="AppError",
        here="AppError",
        caught_as=_VALUE,
        words="why",
        remark="The text is the app's alone.",
    ),
    Raised(
        situation="The app's function raises (show_error off)",
        theirs="AppError",
        here="AppError",
        caught_as=_VALUE,
        words="The upstream Gradio app has raised an exception but has not enabled verbose error reporting",
    ),
    Raised(
        situation="The queue is full (503)", theirs="QueueError", here="QueueError", words="Queue is full!"
    ),
    Raised(
        situation="Too many requests for the call (429)",
        theirs="httpx.HTTPStatusError",
        here="TooManyRequestsError",
        words="429",
        remark="`retry_after` has the seconds.",
    ),
    Raised(
        situation="The server answers the call with 500",
        theirs="httpx.HTTPStatusError",
        here="ServerRefused",
        words="500",
    ),
    Raised(
        situation="The login has expired (401)",
        theirs="httpx.HTTPStatusError",
        here="AuthenticationError",
        caught_as=_VALUE,
        words="401",
    ),
    Raised(
        situation="The server is gone when the call is made",
        theirs="httpx.ConnectError",
        here="ConnectError",
        caught_as=_NET,
        words="Connection refused",
    ),
    Raised(
        situation="The stream breaks",
        theirs="CancelledError",
        here="StreamLost",
        caught_as=_NET,
        remark=_LOST,
    ),
    Raised(
        situation="The stream ends before the result",
        theirs="CancelledError",
        here="StreamLost",
        caught_as=_NET,
        remark=_LOST,
    ),
    Raised(
        situation="The stream is silent for longer than `timeout` of `httpx_kwargs`",
        theirs="CancelledError",
        here="JobTimeout",
        caught_as=_LATE,
    ),
    Raised(
        situation="The server says that the session is unknown (it restarted)",
        theirs="KeyError",
        here="StreamLost",
        caught_as=_NET,
    ),
    Raised(situation="`result(timeout=)` is over", theirs="TimeoutError", here="JobTimeout", caught_as=_LATE),
    Raised(
        situation="`result()` of a job that was cancelled",
        theirs="CancelledError",
        here="CancelledError",
        remark="Of `concurrent.futures`.",
    ),
)
"""The errors, by situation."""


__all__ = ["NAMES", "RAISED", "RELEASES", "Name", "Raised", "State"]
