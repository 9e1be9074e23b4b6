"""Removal of credentials from messages and logs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

HIDDEN = "[hidden]"

_SHORTEST = 8  # characters of a secret; replacing shorter ones would hide half of every text

_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ACCESS_KEY_ID")

# The name before a value is kept, so that the reader sees which value was hidden.
_NAMED = re.compile(
    r"(?i)\b((?:aws[_-]?)?(?:secret[_-]?access[_-]?key|session[_-]?token|access[_-]?key[_-]?id|security[_-]?token|"
    r"secret[_-]?key)|x-amz-(?:security-token|signature|credential)|awsaccesskeyid|authorization|password)"
    r"([\"']?\s*[:=]\s*[\"']?)(?:AWS4-HMAC-SHA256\s[^\n]*|[^\s\"'&,;}]+)"
)
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{12,}\b")
_LONG_TOKEN = re.compile(r"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{100,}={0,2}(?![A-Za-z0-9/+=])")
# The length of a secret key, and of a SHA-1 digest.
_FORTY = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")


def scrub(text: str, known: Iterable[str] = ()) -> str:
    """Replace everything that looks like an access key, a secret key, a token or a signature.

    Parameters
    ----------
    text : str
        A message of a service, or a line of a log.
    known : iterable of str, default=()
        Secrets in use, which are replaced wherever they occur.

    Returns
    -------
    str
        The text, with `HIDDEN` in place of credentials.
    """
    for value in (*known, *(os.environ.get(variable, "") for variable in _SECRET_VARIABLES)):
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    text = _ACCESS_KEY.sub(HIDDEN, text)
    text = _LONG_TOKEN.sub(HIDDEN, text)
    return _FORTY.sub(_hide_secret, text)


def _hide_secret(match: re.Match[str]) -> str:
    """Hide 40 characters if they may be a secret key; keep hexadecimal digests and paths."""
    found = match.group()
    # A secret key mixes upper case, lower case and digits; a digest does not, and a path has words.
    kinds = (str.isupper, str.islower, str.isdigit)
    is_path = any(len(step) >= 4 and step.isalpha() and step.islower() for step in found.split("/"))
    return HIDDEN if not is_path and all(any(kind(c) for c in found) for kind in kinds) else found
