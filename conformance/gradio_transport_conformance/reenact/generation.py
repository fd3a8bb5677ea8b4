# SPDX-License-Identifier: Apache-2.0
"""The wire protocol of each Gradio version: its paths, its refusals, the start and the end of its streams.

Each fact names its origin: ``source`` (read in Gradio's source at the tags on both sides), ``seen`` (on a
real running server).  The libraries below Gradio (FastAPI, pydantic) are those that a version was released
with.
"""

from __future__ import annotations

import enum
import json
from typing import Any

import attrs

from .refusals import Refusals


class Queue(enum.StrEnum):
    """The protocol of a version's queue."""

    NONE = "none"
    POLLING = "polling"
    WEBSOCKET_A = "websocket A"
    WEBSOCKET_B = "websocket B"
    WEBSOCKET_C = "websocket C"
    SSE_V0 = "sse"
    SSE = "sse_v1 and later"

    @property
    def is_websocket(self) -> bool:
        """Whether it is one of the three dialects of the websocket."""
        return self.name.startswith("WEBSOCKET")


class Cancelling(enum.StrEnum):
    """The effect of a request to stop a running call."""

    NONE = "nothing can be asked"
    FORGETS = "the generator begins again"
    ENDS_STREAM = "its stream ends"
    SILENCES = "no more messages are sent"
    COMPLETES = "it completes without data"


@attrs.frozen
class Generation(Refusals):
    """The facts of one version; its refusals are in ``refusals.py``."""

    @property
    def prefix(self) -> str:
        """The prefix of every path except pages, config and login. source: 5.0.0."""
        return "/gradio_api" if self._at_least(5) else ""

    @property
    def queue(self) -> Queue:
        """The protocol of its queue. source, and seen on both sides of each switch."""
        steps = (
            ((4, 9), Queue.SSE),
            ((4,), Queue.SSE_V0),
            ((3, 6), Queue.WEBSOCKET_C),
            ((3, 2), Queue.WEBSOCKET_B),
            ((3, 1, 5), Queue.WEBSOCKET_A),
            ((2, 2, 10), Queue.POLLING),
        )
        return next((queue for first, queue in steps if self._at_least(*first)), Queue.NONE)

    @property
    def blocks(self) -> bool:
        """Whether an app has several functions. source: 3.0."""
        return self._at_least(3)

    @property
    def flask(self) -> bool:
        """Whether the server is Flask's. source: up to 2.6."""
        return not self._at_least(2, 7)

    # --- paths and features ------------------------------------------------------------------------------

    @property
    def has_names(self) -> bool:
        """Whether a function can be called by name. source: 3.0.13."""
        return self._at_least(3, 0, 13)

    @property
    def has_run(self) -> bool:
        """Whether there is ``/run/{api_name}``. source: 3.9."""
        return self._at_least(3, 9)

    @property
    def has_upload(self) -> bool:
        """Whether there is ``/upload``. source: 3.19."""
        return self._at_least(3, 19)

    @property
    def has_files(self) -> bool:
        """Whether there is ``/file=``. source: 3.2."""
        return self._at_least(3, 2)

    @property
    def has_info(self) -> bool:
        """Whether there is ``/info``. source: 3.26."""
        return self._at_least(3, 26)

    @property
    def has_call(self) -> bool:
        """Whether there is ``/call``. source: 4.20."""
        return self._at_least(4, 20)

    @property
    def has_call_v2(self) -> bool:
        """Whether there is ``/call/v2``. source: 6.13."""
        return self._at_least(6, 13)

    @property
    def has_heartbeat(self) -> bool:
        """Whether there is ``/heartbeat``. source: 4.25."""
        return self._at_least(4, 25)

    @property
    def has_cancel(self) -> bool:
        """Whether there is ``/cancel``. source: 4.31."""
        return self._at_least(4, 31)

    @property
    def has_reset(self) -> bool:
        """Whether there is ``/reset``. source: 3.6."""
        return self._at_least(3, 6)

    @property
    def has_component_server(self) -> bool:
        """Whether there is ``/component_server``. source: 3.47."""
        return self._at_least(3, 47)

    @property
    def has_streaming_inputs(self) -> bool:
        """Whether there is ``/stream/{event_id}``. source: 5.0."""
        return self._at_least(5)

    @property
    def has_startup_events(self) -> bool:
        """Whether there is ``/startup-events``. seen: 3.1.7, not 3.1.4."""
        return self._at_least(3, 1, 5)

    @property
    def startup_events_run_each_time(self) -> bool:
        """Whether each request runs them, and requires a login. source: until 3.9."""
        return not self._at_least(3, 9, 1)

    @property
    def has_theme(self) -> bool:
        """Whether there is ``/theme.css``. source: 3.22."""
        return self._at_least(3, 22)

    @property
    def has_logout(self) -> bool:
        """Whether there is ``/logout``. source: 4.20."""
        return self._at_least(4, 20)

    @property
    def has_manifest(self) -> bool:
        """Whether there is ``/manifest.json``. seen: 5.50, not 5.0."""
        return self._at_least(5, 10)

    @property
    def hides_manifest(self) -> bool:
        """Whether only installable apps have ``/manifest.json``. seen: 5.50, not 6.31."""
        return not self._at_least(6)

    @property
    def has_robots(self) -> bool:
        """Whether there is ``/robots.txt``. seen: 3.16, not 3.4."""
        return self._at_least(3, 16)

    @property
    def has_favicon(self) -> bool:
        """Whether there is ``/favicon.ico``. seen: 3.1, not 2.9."""
        return self._at_least(3)

    @property
    def has_plain_files(self) -> bool:
        """Whether there is ``/file/``. seen: 2.9."""
        return self._at_least(2, 7)

    @property
    def has_simple_format(self) -> bool:
        """Whether a join may request full values. source: 4.20."""
        return self._at_least(4, 20)

    @property
    def keeps_file_names(self) -> bool:
        """Whether an upload keeps characters like parentheses in a name. seen: 6.13, not 6.0."""
        return self._at_least(6, 12)

    @property
    def absolute_root(self) -> bool:
        """Whether redirects name the whole address. seen: 5.50, not 5.0."""
        return self._at_least(5, 10)

    @property
    def logs_into_open_apps(self) -> bool:
        """Whether a login to an app without one is a redirect, and not a 500. seen: 3.16, not 3.4."""
        return self._at_least(3, 16)

    @property
    def status_is_a_message(self) -> bool:
        """Whether ``/queue/status`` has ``msg``. seen: not from 4.0 to 4.16."""
        return not self._at_least(4) or self._at_least(4, 20)

    @property
    def status_names_event(self) -> bool:
        """Whether ``/queue/status`` has ``event_id``. seen: 4.20."""
        return self._at_least(4, 20)

    @property
    def estimates_at_length(self) -> bool:
        """Whether an estimation has the averages. source: until 4.11."""
        return not self._at_least(4, 11)

    @property
    def estimates_in_integers(self) -> bool:
        """Whether the times of estimations are whole numbers. source: until 3.16."""
        return not self._at_least(3, 16)

    @property
    def default_function_is_the_first(self) -> bool:
        """Whether direct HTTP without fn_index runs function 0, whatever the name. source: 3.0 to 3.2."""
        return self.blocks and not self._at_least(3, 3)

    @property
    def first_queue_position(self) -> int:
        """The place of a job in an empty polling queue. seen: -1 on 2.3.6, later 0."""
        return 0 if self._at_least(2, 4) else -1

    @property
    def has_app_id(self) -> bool:
        """Whether there is ``/app_id``. source: 3.0.5."""
        return self._at_least(3, 0, 5)

    @property
    def has_users(self) -> bool:
        """Whether there are ``/user``, ``/token`` and ``/login_check``. source: 2.7."""
        return self._at_least(2, 7)

    @property
    def has_file_heads(self) -> bool:
        """Whether ``/file=`` accepts HEAD. seen: 3.23, not 3.16."""
        return self._at_least(3, 17)

    @property
    def names_config_of_gradio(self) -> bool:
        """Whether the page calls the config ``gradio_config``. source: 2.6."""
        return self._at_least(2, 6)

    # --- streams ---------------------------------------------------------------------------------------

    @property
    def sends_diffs(self) -> bool:
        """Whether ``process_generating`` holds edits after the first. source: 4.17."""
        return self._at_least(4, 17)

    @property
    def sends_close_stream(self) -> bool:
        """Whether a session's stream ends with ``close_stream``. source: 4.22."""
        return self._at_least(4, 22)

    @property
    def names_event_in_session_messages(self) -> bool:
        """Whether ``close_stream`` and the like say ``event_id: null``. source: 4.39."""
        return self._at_least(4, 39)

    @property
    def survives_dropped_streams(self) -> bool:
        """Whether a session continues when its stream is dropped. seen: 4.20.1, 4.21.0, 4.22.0."""
        return self._at_least(4, 19, 2) and not self._at_least(4, 24)

    @property
    def compact(self) -> bool:
        """Whether messages have no blanks after separators. source: from 4.24; seen: websockets of 3.39."""
        return self._at_least(4, 24) or (self._at_least(3, 36) and not self._at_least(4))

    @property
    def escapes(self) -> bool:
        """Whether messages are ASCII. source: orjson from 4.24; seen: websockets from 3.39 are not."""
        return not self.compact

    @property
    def call_errors_say_why(self) -> bool:
        """Whether ``event: error`` of /call has a body. source: 6.13."""
        return self._at_least(6, 13)

    @property
    def call_finds_sessions(self) -> bool:
        """Whether /call may have a ``session_hash``, and fills the places of State. source: 6.18."""
        return self._at_least(6, 18)

    @property
    def wants_meta(self) -> bool:
        """Whether an input file needs ``meta``. source: 5.5."""
        return self._at_least(5, 5)

    @property
    def unknown_session(self) -> dict[str, Any] | None:
        """The message of a stream of an unknown session; None if the stream breaks. source; seen."""
        if not self._at_least(4, 10):
            return None
        text = "404: Session not found." if self._at_least(4, 13) else ""
        fields: dict[str, Any] = {"event_id": None} if self.names_event_in_session_messages else {}
        if self._at_least(5, 38):
            fields |= {"message": "404: Not Found", "session_not_found": True, "success": False}
        elif self._at_least(4, 20):
            fields |= {"message": text, "success": False}
        else:
            fields |= {"success": False, "message": text}
        return {"msg": "unexpected_error", **fields}

    @property
    def cancelling(self) -> Cancelling:
        """The effect of ``/cancel``, or before it ``/reset``, on a running call. source; seen."""
        if self.has_cancel:
            return Cancelling.COMPLETES
        if self._at_least(4, 9):
            return Cancelling.SILENCES
        if self._at_least(4):
            return Cancelling.ENDS_STREAM
        return Cancelling.FORGETS if self.has_reset else Cancelling.NONE

    @property
    def reset_is_obeyed(self) -> bool:
        """Whether ``/reset`` does anything. source: until 4.35."""
        return self.has_reset and not self._at_least(4, 35)

    @property
    def cancelled_completion(self) -> dict[str, Any]:
        """The last message of a call that ``/cancel`` ended, without ``event_id``. seen."""
        message: dict[str, Any] = {"msg": "process_completed", "output": {}, "success": True}
        if self._at_least(5, 2):
            message["title"] = None
        if self._at_least(6, 12):
            message |= {"used_cache": None, "cache_duration": None, "avg_time": None}
        return message

    def completion_fields(self, *, success: bool) -> dict[str, Any]:
        """Return the fields of a completion besides output and success. source: 5.2, 6.12."""
        fields: dict[str, Any] = {}
        if self._at_least(5, 2):
            fields["title"] = None if success else "Error"
        if self._at_least(6, 12):
            fields |= {"used_cache": None, "cache_duration": None, "avg_time": None}
        return fields

    def write(self, value: Any) -> str:
        """Return JSON text as this version's streams write it."""
        separators = (",", ":") if self.compact else (", ", ": ")
        return json.dumps(value, ensure_ascii=self.escapes, separators=separators)


__all__ = ["Cancelling", "Generation", "Queue"]
