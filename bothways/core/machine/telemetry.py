"""No telemetry: libraries are told not to report anything to their makers, before any of them is imported.

ONNX Runtime 1.32 writes an identifier of the machine into the user's cache folder and looks up its maker's host when it
is loaded; huggingface_hub sends the names and versions of libraries; Ray reports the use of a cluster. The variables
must be set before the libraries are loaded, so `bothways/core/__init__.py` sets them: every room imports it first.
Child processes inherit them.
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
"""Each has two states, and these are the stricter ones; a user's own setting is overridden in this process only."""


def switch_off() -> None:
    """Set the variables for this process and its children; settings such as HF_HUB_OFFLINE stay as they are."""
    os.environ.update(OFF)
