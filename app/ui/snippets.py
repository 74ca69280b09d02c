"""A call as people would write it: for the shell and for Python."""

from __future__ import annotations

import json
import shlex

from .client import Call

_FILE = "poster.jpg"


def as_curl(call: Call, base_url: str) -> str:
    """The call for a shell."""
    url = f"{base_url}{call.path}"
    if call.method == "GET":
        return f"curl {shlex.quote(url)}"
    if call.image is None and not call.form:
        body = shlex.quote(json.dumps(call.body, ensure_ascii=False))
        return f"curl {shlex.quote(url)} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"
    lines = [f"curl {shlex.quote(url)}"]
    if call.image is not None:
        lines.append(f"-F image=@{_FILE}")
    for name, value in call.form.items():
        # --form-string takes the text as it is: -F would read a file where a plot begins with @ or <.
        texts = [value] if isinstance(value, str) else value
        lines += [f"--form-string {shlex.quote(f'{name}={text}')}" for text in texts]
    return " \\\n  ".join(lines)


def as_python(call: Call, base_url: str) -> str:
    """The call for Python, with httpx."""
    url = json.dumps(f"{base_url}{call.path}")
    lines = ["import httpx", ""]
    if call.method == "GET":
        lines.append(f"response = httpx.get({url})")
    elif call.image is None and not call.form:
        lines.append(f"response = httpx.post({url}, json={call.body!r})")
    else:
        form = {name: value if isinstance(value, str) else list(value) for name, value in call.form.items()}
        arguments = [url]
        if form:
            arguments.append(f"data={form!r}")
        if call.image is not None:
            lines.append(f'with open("{_FILE}", "rb") as image:')
            arguments.append('files={"image": image}')
        indent = "    " if call.image is not None else ""
        lines.append(f"{indent}response = httpx.post({', '.join(arguments)})")
    lines += ["response.raise_for_status()", "print(response.json())"]
    return "\n".join(lines)
