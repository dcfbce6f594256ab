"""Names of secrets: of variables of the environment, options, fields and headers."""

from __future__ import annotations

import re
from functools import lru_cache

from pipeprof.profiles.redaction.words import words_of

_LONGEST = 120
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_QUALIFIER = r"(?:[_.-]?(?:\d{1,3}|ID|B64|BASE64|BASE|JSON|VALUE|STRING|OLD|NEW|PROD|DEV|STAGING|TEST|CI|RO|RW))"
_VARIABLE = re.compile(
    r"(?:(?:[A-Z][\w.-]*?)?(?:PASS|PASSWO?R?D|PASSPHRASE|PWD|KEY|AUTH|WEBHOOK|TOKEN|SECRET|CREDENTIAL|CRED|COOKIE|DSN|JWT|APIKEY)"
    r"|(?:[A-Z][\w.-]*[_.-])?(?:PAT|SAS|OTP|SIGNATURE|CONN(?:ECTION)?[_.-]?(?:STR|STRING|URL|URI)"
    r"|(?:DATABASE|DB|REDIS|MONGO(?:DB)?|BROKER|AMQP|POSTGRES(?:QL)?|MYSQL|WEBHOOK|SLACK)[_.-]?(?:URL|URI)))"
    rf"(?:S|ES)?{_QUALIFIER}{{0,3}}|(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)_\w+|(?:\w+_)?(?:BEARER|PEM|HOOK)",
    re.IGNORECASE,
)
_FOLDERS = frozenset({"PWD", "OLDPWD"})

_ENDS = tuple(
    words_of(
        """
        password passwd passwort passphrase keyphrase passcode secret apikey accesskey secretkey authtoken
        accesstoken sessiontoken credential creds connectionstring sessid sessionid
        """
    )
)
_STRONG = frozenset({"pwd", "jwt", "dsn", "webhook", "authorization", "sas"})
_KEYS = words_of(
    """
    access account admin api auth authentication encryption hmac instrumentation kaggle license master private
    secret shared signing ssh storage subscription wandb webhook
    """
)
_WEAK_KEYS = words_of(
    """
    app client cloud consumer deploy functions host integration primary secondary service user
    """
)
"""Words before *key* in names of secrets: other keys are those of mappings."""
_TOKENS = words_of(
    """
    access api auth bearer bot csrf github gitlab hf id oauth refresh security session user
    """
)
_NO_TOKENS = words_of(
    """
    bos cls each end eos every extra first last mask max min next num oov one other pad per prev sep special start
    stop text token unk unknown vocab word
    """
)
"""Words before *token* in names of a tokenizer's arguments."""
_PASSES = words_of(
    """
    admin auth basic db email ftp http https key ldap login mail mongo my mysql pg proxy rabbitmq redis root sa smtp
    sql ssh sudo user wifi
    """
)
_AFTER_KEY = frozenset({"id", "value", "b64", "base64", "json", "hash"})


def is_secret_variable(name: str) -> bool:
    """Whether a variable of the environment with this name has a secret.

    Example:
        >>> is_secret_variable("PGPASSWORD"), is_secret_variable("API_KEYS"), is_secret_variable("PWD")
        (True, True, False)
    """
    return len(name) <= _LONGEST and name not in _FOLDERS and _VARIABLE.fullmatch(name) is not None


def is_secret_name(name: str) -> bool:
    """Whether the value of an option, field, header or variable with this name is a secret.

    Example:
        >>> is_secret_name("HF_TOKEN"), is_secret_name("clientSecret"), is_secret_name("max_tokens")
        (True, True, False)
    """
    return strength(name) > 1


@lru_cache(1024)
def strength(name: str) -> int:
    """Rate how likely a name is that of a secret.

    Returns:
        3 if all values are, 2 if words may follow it in a sentence (``token: x``), 1 if only what looks like one
        is (``LABEL_KEY``), else 0.
    """
    if len(name) > _LONGEST or name in _FOLDERS:
        return 0
    if name.isupper() and len(name) > 3:
        sure = _of_words(name)
        if sure or not is_secret_variable(name) or name.endswith("TOKENS"):
            return sure
        return 1 if name.endswith(("KEY", "KEYS")) else 3
    return _of_words(name)


def _of_words(name: str) -> int:
    words = [word.lower() for word in _PARTS.findall(name)]
    while len(words) > 1 and (words[-1].isdecimal() or (words[-1] in _AFTER_KEY and "session" not in words[-2])):
        words.pop()
    if not words:
        return 0
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    glued = before + last
    single = last.removesuffix("s") if last not in {"pass", "sas"} else last
    if single.endswith(_ENDS) or last in _STRONG or glued in {"connectionstring", "connstr", "webhookurl", "sessionid"}:
        return 3
    if single == "key":
        own = glued.endswith(("ckey", "customerkey")) and "sse" in words
        return 3 if own or before in _KEYS else 1 if before in _WEAK_KEYS else 0
    if single == "token":
        return 3 if before in _TOKENS else 2 if last == "token" and before not in _NO_TOKENS else 0
    if last == "pass":
        return 3 if before in _PASSES else 0 if before else 2
    return 2 if single in {"auth", "oauth", "cookie"} or (last == "pat" and before) else 0
