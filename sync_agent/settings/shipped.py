"""Where the files that come with the package are: the DTDL models and the default rules.

In a wheel the models are inside the package; in a checkout they are the folder beside it. A path
is returned even when nothing is there, so that whoever reads it names it in its error.
"""

from __future__ import annotations

from pathlib import Path

import sync_agent

_PACKAGE = Path(sync_agent.__file__).parent


def shipped_models() -> Path:
    """Return the folder of the shipped DTDL models."""
    installed = _PACKAGE / "_models"
    return installed if installed.is_dir() else _PACKAGE.parent / "dtdl_models"


def shipped_default(name: str) -> Path:
    """Return the shipped rules file of that name: bindings, health profiles or flag queries."""
    return _PACKAGE / "defaults" / name
