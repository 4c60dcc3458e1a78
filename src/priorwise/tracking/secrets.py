"""Passwords and keys never reach a tag, a param, an artifact or a message."""

import os
import re

#: variables whose values are secrets: they go wherever they turn up, address or not
VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
#: characters below which a value may be a plain word, such as `test`
_SHORTEST = 8
#: user:password before a host; the last @ counts, since a password may hold one, and a slash if
#: what follows the colon is no port
_PASSWORD = re.compile(r"://([^/:@\s]*):(?:[^/\s]*@|(?!\d+(?:/|\s|$))[^@\s]*@)")
#: a token on its own before a host
_TOKEN = re.compile(r"://[^/:@\s]+@")
#: MLflow's viewStateShareKey is no secret: it names a view of the run table, and we print the link
_QUERY = re.compile(
    r"(?i)((?<!viewStateShare)(?:key|keyid|credential|token|secret|password|passwd|pwd|signature|sig)"
    r"=)[^&\s]+"
)


def scrub(text: str) -> str:
    """`text` without passwords and keys inside addresses, and without those of the environment."""
    for name in VARIABLES:
        if len(value := os.environ.get(name, "")) >= _SHORTEST:
            text = text.replace(value, "***")
    text = _TOKEN.sub("://***@", _PASSWORD.sub(r"://\1:***@", text))
    return _QUERY.sub(r"\1***", text)
