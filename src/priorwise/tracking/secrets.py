"""Passwords and keys never reach a tag, a param, an artifact or a message."""

import re

#: user:password before a host; the last @ counts, since a password may hold one
_PASSWORD = re.compile(r"://([^/:@\s]*):[^/\s]*@")
#: a token on its own before a host
_TOKEN = re.compile(r"://[^/:@\s]+@")
_QUERY = re.compile(r"(?i)((?:key|token|secret|password|passwd|pwd|signature|sig)=)[^&\s]+")


def scrub(text: str) -> str:
    """`text` without passwords and keys inside addresses."""
    text = _TOKEN.sub("://***@", _PASSWORD.sub(r"://\1:***@", text))
    return _QUERY.sub(r"\1***", text)
