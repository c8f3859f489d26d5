"""The only way to customers' data. What goes through here is never logged and never kept."""
import json
import os
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit


class Problem(Exception):
    """Why it was refused, or that Strongroom does not answer (503). `said` has codes and words, never a value."""

    def __init__(self, status, said, retry_after=None):
        super().__init__(said["code"])
        self.status, self.said, self.retry_after = status, said, retry_after


def call(role, method, path, body=None, behalf=None, **headers):
    """One call with a role's key; headers as `if_match="…"`. Personal data belongs into the body, never the path."""
    key = Path(os.environ[f"STRONGROOM_{role.upper()}_KEY_FILE"]).read_text().strip()  # a new one needs no restart
    headers |= {"authorization": f"Bearer {key}", "content_type": "application/json", "strongroom_purpose": "support"}
    if behalf:
        headers["strongroom_on_behalf_of"] = f"staff-{behalf}"
    url = urlsplit(os.environ["STRONGROOM_URL"])
    tls = {"context": ssl.create_default_context(cafile=os.environ.get("STRONGROOM_CA"))}
    connection = HTTPSConnection(url.netloc, timeout=10, **tls) if url.scheme == "https" else HTTPConnection(
        url.netloc, timeout=10)
    try:
        connection.request(method, path, body and json.dumps(body), {k.replace("_", "-"): headers[k] for k in headers})
        answer = connection.getresponse()
        said = json.loads(answer.read() or "null")
    except (OSError, HTTPException, ValueError):  # refused, cut off, too slow, or not Strongroom's answer
        raise Problem(503, {"code": "unreachable"}, "30") from None
    finally:
        connection.close()
    if answer.status >= 300:
        raise Problem(answer.status, said, answer.headers["Retry-After"])
    return said
