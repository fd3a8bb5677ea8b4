# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas (2020-12) of every message between a Gradio server and a client, of every Gradio version.

``schemas/`` has a file for each message. `messages` reads them: whole, or reduced to one Gradio version.
docs/wire/ shows them as tables. The files use these annotations besides the keywords of JSON Schema:

- ``x-since``, ``x-until``: the first and the last Gradio version that has the message, field or form.
  ``"3.50"`` includes 3.50.2.
- ``x-required``: every version that has the field sends it.
- ``x-group``, ``x-from``, ``x-place``: the page of the message, its sender, and the request that carries it.
- ``x-sources``, ``x-source``: the source files in Gradio for the facts about a message or a field, as
  ``tag:file``. The tag is the first release that has the field and a tag.

A field that is not described is an error. Objects with ``additionalProperties: true`` are the exception:
configs, API info and the replies of chat servers.
"""
