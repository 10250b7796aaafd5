"""Sanitizers of recordings: there are none."""

from __future__ import annotations

from typing import Any


def _nothing(*_: Any, **__: Any) -> None:
    return None


add_body_key_sanitizer = add_header_regex_sanitizer = add_oauth_response_sanitizer = _nothing
add_remove_header_sanitizer = remove_batch_sanitizers = _nothing
