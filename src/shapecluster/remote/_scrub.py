"""Nothing that looks like a credential leaves this package in a message or a log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

HIDDEN = "[hidden]"

_SHORTEST = 8  # characters of a secret; shorter ones would hide half of every text

_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ACCESS_KEY_ID")

# What stands before the value is kept, so that the reader sees what was hidden.
_NAMED = re.compile(
    r"(?i)\b((?:aws[_-]?)?(?:secret[_-]?access[_-]?key|session[_-]?token|access[_-]?key[_-]?id|security[_-]?token|"
    r"secret[_-]?key)|x-amz-(?:security-token|signature|credential)|awsaccesskeyid|authorization|password)"
    r"([\"']?\s*[:=]\s*[\"']?)(?:AWS4-HMAC-SHA256\s[^\n]*|[^\s\"'&,;}]+)"
)
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{12,}\b")
_LONG_TOKEN = re.compile(r"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{100,}={0,2}(?![A-Za-z0-9/+=])")
_FORTY = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")


def scrub(text: str, known: Iterable[str] = ()) -> str:
    """Replace whatever looks like an access key, a secret key, a token or a signature.

    Parameters
    ----------
    text : str
        A message of a service, or a line of a log.
    known : iterable of str, default=()
        Secrets in use, which are replaced whatever they look like.

    Returns
    -------
    str
        The text, with `HIDDEN` where credentials stood.
    """
    for value in (*known, *(os.environ.get(variable, "") for variable in _SECRET_VARIABLES)):
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    text = _ACCESS_KEY.sub(HIDDEN, text)
    text = _LONG_TOKEN.sub(HIDDEN, text)
    return _FORTY.sub(_hide_secret, text)


def _hide_secret(match: re.Match[str]) -> str:
    """Secret keys have characters of all kinds: no hexadecimal digest, and no path with a word in it."""
    found = match.group()
    kinds = (str.isupper, str.islower, str.isdigit)
    is_path = any(len(step) >= 4 and step.isalpha() and step.islower() for step in found.split("/"))
    return HIDDEN if not is_path and all(any(kind(c) for c in found) for kind in kinds) else found
