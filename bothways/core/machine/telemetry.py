"""No telemetry: what libraries would report of us to their makers is switched off before any of them is imported.

ONNX Runtime 1.32 writes an identifier of the machine into the user's cache folder and looks up its maker's host as soon
as it is loaded; huggingface_hub tells which libraries and versions download a model; Ray reports a cluster's use. The
variables have to be set before the libraries are loaded, which is why `bothways/core/__init__.py` does it: every room
imports that first, be it in the command line, a server, a worker, a test or another program. Child processes inherit
them.
"""

from __future__ import annotations

import os

OFF = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "SCARF_NO_ANALYTICS": "true",
}
"""Each has two states, and this is the stricter: whoever set it to the other did so for other programs."""


def switch_off() -> None:
    """Set the variables for this process and its children; settings such as HF_HUB_OFFLINE stay as they are."""
    os.environ.update(OFF)
