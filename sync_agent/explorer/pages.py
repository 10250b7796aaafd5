"""The two pages that are ours: how to connect, and what to do when there is no Explorer."""

from __future__ import annotations

import json

_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 40rem; padding: 0 1rem;
  color: #1b2733; background: #f7f9fb; }}
h1 {{ font-size: 1.5rem; }} code {{ background: #e6ecf1; padding: .1em .3em; border-radius: 3px; }}
button {{ font: inherit; padding: .5rem 1.5rem; border: 0; border-radius: 4px; color: #fff;
  background: #0b6cbd; cursor: pointer; }}
#state {{ color: #51606e; }}
</style></head><body>{body}</body></html>
"""
_CONNECT = """<h1>Azure Digital Twins Explorer</h1>
<p>The twins are at <code>{shown}</code>.</p>
<p><button id="open">Open Explorer</button> <span id="state"></span></p>
<script>
const instance = {instance};
const state = document.getElementById("state");
fetch("/api/proxy/models?api-version=2021-06-30-preview&includeModelDefinition=false")
  .then((answer) => answer.json().then((body) => {{
    if (!answer.ok) throw body.error ? body.error.message : answer.status;
    const count = body.value.length + (body.nextLink ? " or more" : "");
    state.textContent = `connected, ${{count}} ${{count === "1" ? "model" : "models"}}`;
  }}))
  .catch((error) => {{ state.textContent = `not connected: ${{error}}`; }});
document.getElementById("open").addEventListener("click", () => {{
  localStorage.setItem("configuration", JSON.stringify({{ appAdtUrl: instance }}));
  location.assign("/");
}});
</script>"""
_ABSENT = """<h1>There is no Explorer here</h1>
<p>{reason}</p>
<p>Build it from its sources (<code>npm run build</code>) and give the folder with
<code>--dir</code>, or start it with <code>npm start</code> and give its address with
<code>--upstream</code>.</p>"""


def connect_page(instance: str) -> str:
    """Return the page that names the instance to Explorer and opens it."""
    shown = instance.replace("&", "&amp;").replace("<", "&lt;")
    # Within a script nothing may end it, and JSON itself escapes no "<".
    quoted = json.dumps(instance).replace("<", "\\u003c")
    body = _CONNECT.format(shown=shown, instance=quoted)
    return _FRAME.format(title="Connect Explorer", body=body)


def absent_page(reason: str) -> str:
    """Return the page that says how to come by an Explorer."""
    return _FRAME.format(title="No Explorer", body=_ABSENT.format(reason=reason))
