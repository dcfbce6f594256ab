r"""Secrets and addresses that are known by their form, on whatever machine: values behind a name, and one table.

Every pattern needs time linear in the text: it begins at a fixed word, or where the letter before is none of those that
it goes on with, and what is repeated is bounded or runs to the end of its letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "(redacted)"
LEAST = 6
"""Characters of a text or a value that is looked at."""
_TOKENS = """
    ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- gldt- glrt- ATBB ATATT3xFfGF0 hf_ api_org_ sk- sk_live_ sk_test_
    rk_live_ rk_test_ whsec_ xoxa- xoxb- xoxe. xoxp- xapp- AKIA ASIA AIza ya29. GOCSPX- 1//0 SG. npm_ pypi-
    dckr_pat_ dapi dop_v1_ HRKU- hvs. wandb_v1_ KGAT_ lsv2_ r8_ gsk_ xai- pplx- nvapi- pcsk_ glsa_ NRAK- sntrys_
    rubygems_ tskey-
"""
"""How tokens begin: of code hosts, model hubs and clouds."""
_LETTERS = "[A-Za-z]{16}"
"""Longer than a word: a secret may have no digit."""
_VALUE = r"(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s'\"<>|;&]{1,500})"
_KEY = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

FORMS = (
    # Private key
    rf"-----BEGIN {_KEY}[\s\S]*?(?:-----END {_KEY}|\Z)",
    # Token
    rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, _TOKENS.split()))})"
    rf"(?=[\w.+/=%~-]{{0,80}}\d|{_LETTERS})[\w.+/=%~-]{{16,}}",
    # JSON web token
    r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}",
    # Hash of a password
    r"\$(?<![\w$].)(?:1|2[abxy]|5|6|y|argon2(?:id|i|d)|scrypt)\$[\w./$,=+-]{16,}",
    # Credentials in a URL
    r"(?<=//)(?!git@)(?P<secret>[^\s/@'\"<>:]{0,200}(?::(?!\d{1,5}[\s/])[^\n/'\"<>]{0,200}(?:/[^\s/@'\"<>]{1,200})?)?)"
    r"(?=@[\w\[(])",
    # Query of a URL
    r"[?&;](?i:x-(?:amz|goog)-[a-z-]{1,30}|\w{0,20}sig(?:nature)?|key|code|ticket)=(?P<secret>[^\s&'\"<>#;)]{1,4000})",
    # Webhook
    r"(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks|webhook\.office\.com|hooks\.zapier\.com"
    r"|chat\.googleapis\.com)/(?P<secret>[^\s'\"<>]{8,})",
    # Authorization
    r"(?i:authorization)\\?[\"']?\s{0,3}[:=]\s{0,3}(?P<secret>\\?\"[^\"\n]{1,4000}\"?|\\?'[^'\n]{1,4000}'?|[^\n]{1,4000})",
    # Basic and bearer
    r"\b(?i:basic|bearer|auth\splain)\s(?P<secret>(?=[\w.~+/-]{0,200}[\d=]|(?<=(?i:bearer)\s)"
    rf"{_LETTERS})[\w.~+/-]{{12,}}={{0,2}})",
    # Cookies
    r"(?<![\w-])(?i:set-)?(?i:cookie)[\"']?\s?:\s?[\"']?(?P<secret>[\w.-]{1,60}=[^\n'\"]{1,4000})",
    # A client's password
    r"\b(?:(?:mysql\w*|mariadb[\w-]*)\b[^\n|;&]{0,300}?\s-p|sshpass\s-p\s?"
    r"|(?:docker|podman|nerdctl|buildah|skopeo|oras|registry|az|oc)\slogin\b[^\n|;&]{0,300}?\s-p[\s=]?"
    r"|redis-cli\b[^\n|;&]{0,300}?\s-a\s?|curl\b[^\n|;]{0,300}?\s(?:-u|--user)[\s=]?)"
    rf"(?P<secret>{_VALUE})",
    # Login of Oracle
    r"(?:\b(?:sqlplus|expdp|impdp|oracle:\w{2,5}:)[^\n|;&@/]{0,100}"
    r"|(?<![\w$#/.:@-])[\w$#]{1,64}(?=/[^\s/@'\"<>]{1,128}@(?://)?[\w.-]{1,255}:\d{4,5}(?!\w)))"
    r"/(?P<secret>[^\s/@'\"<>]{1,128})(?=@)",
    # Weights & Biases
    r"\bwandb\s+login\s+(?P<secret>[\w-]{20,})",
    # Kaggle
    r"(?<=[\"'])key\\?[\"']\s{0,2}:\s{0,2}\\?[\"'](?P<secret>[0-9a-f]{32,64})(?=\\?[\"'])",
)
"""Expressions of secrets; a group ``secret`` is what is hidden, without one all of it."""
ADDRESSES = (
    # E-mail
    r"(?<![\w.+%-])(?!git@)[\w.+%-]{1,64}@(?!stages\.)(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-]|\.\w)",
    # IPv6
    r"(?<![\w:.])[23fF][0-9a-fA-F]{3}(?=[0-9:]{1,40}[a-fA-F])(?::[0-9a-fA-F]{0,4}){2,7}(?:%\w{1,16})?(?![\w:])",
    # MAC
    r"(?<![\w:-])(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}(?![\w:-])",
    # A host inside
    r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?i:(?:compute|ec2)\.internal|cluster\.local|corp|lan|intranet|localdomain"
    r"|amazonaws\.com)(?![\w-]|\.\w)|(?<![\w.-])ip-\d{1,3}(?:-\d{1,3}){3}(?![\w-])",
    # A host of a database
    r"\b(?i:(?:postgres|mysql|mariadb|mssql|sqlserver|oracle|db2|mongodb|redis|amqp|clickhouse|cockroach|cassandra"
    r"|kafka|snowflake)[\w+]{0,40}://(?:[^\s/@]{0,200}@)?|oracle:\w{2,5}:[^\s@]{0,200}@/{0,2})"
    r"(?P<secret>(?!(?:localhost|127\.[\d.]{1,12}|\[::1\])(?::\d{1,5})?(?![\w.:-]|,\S)|\{|%[sd(]|\$[A-Z{(])[^\s/@?;'\"<>`)]{1,300}\)?)",
)
_IPV4 = r"(?<![\w.<>~^-])(?<![=<>~!]=)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w-]|\.\d)"


def hide_secrets(text: str) -> str:
    """A text without secrets that are known by their name or form, whatever the machine."""
    return _hide_named(_without(FORMS, text)) if len(text) >= LEAST else text


def hide_addresses(text: str) -> str:
    """A text without addresses; the machine's own (``127.0.0.1``, ``::1``) and versions are none."""
    return _without(ADDRESSES, re.sub(_IPV4, lambda found: HIDDEN if _is_ipv4(found[0]) else found[0], text))


def _without(forms: Iterable[str], text: str) -> str:
    for form in forms:
        text = re.sub(form, _hidden, text)
    return text


def _hidden(found: re.Match[str]) -> str:
    start, end = found.span("secret" if "secret" in found.re.groupindex else 0)
    if start == end or (found.string.startswith(HIDDEN, start) and end <= start + len(HIDDEN)):
        return found[0]
    return f"{found[0][: start - found.start()]}{HIDDEN}{found[0][end - found.start() :]}"


def _is_ipv4(address: str) -> bool:
    """Whether four numbers are an address of a network; those of versions are small."""
    parts = [int(part) for part in address.split(".")]
    return max(parts) <= 255 and parts[0] not in (0, 127, 255) and (parts[0] == 10 or max(parts) > 99)


_MORE = r"(?:[_.-]?(?:\d{1,3}|id|base|b64|base64|json|value|prod|dev|old|new)){0,2}"
"""What may follow the name of a secret in that of a variable."""
_SECRET = re.compile(
    r"(?!.{121}|(?-i:(?:OLD)?PWD)$|.*(?:pad|eos|bos|unk|oov|mask|max|next|sep|cls)[_.-]?token).*?(?:pass(?:word|wd|wort|phrase|code)|keyphrase|secret"
    r"|credential|access[ _.-]?signature|conn(?:ection)?[ _.-]?str(?:ing)?|sess(?:ion)?[_-]?id"
    r"|(?:\b|_)(?:pwd|jwt|dsn|webhook|sas|pat|cred)"
    r"|(?:api|access|account|auth|encryption|master|private|secret|shared|signing|storage|subscription)[ _.-]?key"
    r"|(?P<weak>token|(?:\b|_)(?:o?auth|cookie|pass)))(?(weak)|s?)"
    rf"{_MORE}",
    re.IGNORECASE,
)
"""Names of secrets; behind weak ones, words may follow in a sentence (``token: expected``)."""
_VARIABLE = re.compile(rf"(?!.{{121}}).*?(?:KEY|TOKEN|PASS|AUTH|COOKIE)S?{_MORE}", re.IGNORECASE)
_LONGEST = 120
"""Letters of a value that are looked at to tell it from words."""


def is_secret_name(name: str) -> bool:
    """Whether the value of an option, field, header or variable with this name is a secret.

    Example:
        >>> is_secret_name("HF_TOKEN"), is_secret_name("clientSecret"), is_secret_name("max_tokens")
        (True, True, False)
    """
    return _SECRET.fullmatch(name) is not None


def is_secret_variable(name: str) -> bool:
    """Whether a variable of the environment with this name has a secret: there, any key is one.

    Example:
        >>> is_secret_variable("PGPASSWORD"), is_secret_variable("API_KEYS"), is_secret_variable("PWD")
        (True, True, False)
    """
    return is_secret_name(name) or _VARIABLE.fullmatch(name) is not None


_NAMED = re.compile(
    r"(?<![\w.-])(?P<dashes>-{0,2})(?P<name>[A-Za-z_][\w.-]{0,99}(?:[ ](?:key|token|secret|string))?)(?:\\?[\"']\]?)?"
    r"(?P<sign>\s{0,3}(?:=>|:=|==?|:)\s{0,3}|(?<=[\"']),[ ]?(?=[\"'])|[ ](?:is|was|to)[ ]|[ ]{1,3})"
)
_QUOTED = re.compile(
    r"[bBrRuUfF]{0,2}(?:\\(?P<a>[\"'])(?P<escaped>(?:(?!\\(?P=a)).)*?)(?:\\(?P=a)|$)"
    r"|(?P<b>[\"'])(?P<plain>(?:\\.|(?!(?P=b))[^\\\n])*\\?)(?:(?P=b)|$))",
    re.MULTILINE,
)
"""To its end, or to that of the line: nothing makes it fail, so nothing is read twice."""
_GROUPED = re.compile(r"[(\[][^()\[\]\n]{0,300}[\"'][^()\[\]\n]{0,300}[)\]]")
_PLAIN = re.compile(
    r"[^\s\"'<>,;&|\\)\]}]{1,2000}(?:(?<=\(redacted)\)[^\s\"'<>,;&|\\)\]}]{0,2000}){0,20}(?:(?<=\(redacted)\))?"
)
_MIXED = re.compile(r"(?=.{6}).*(?:\d|[a-z][A-Z]|[^\w.,:;!?-])|" + _LETTERS, re.DOTALL)
_UNLIKE_WORDS = re.compile(rf".*\d|{_LETTERS}")
_METAVAR = re.compile(r"[A-Z_]+")
_LONG = 16
"""Characters of a value that no sign stands before."""
_NO_VALUE = re.compile(
    r"\W*|[\d.,]{1,15}|(?:self|cls|os|args|config|settings|env|opts|options|flags|FLAGS)\.[\w.]+|[A-Za-z_][\w.]*[(\[].*"
    r"|\$[A-Z_{(].*|\{.*|%\(.*|[(\[<].*|(?i:none|null|nil|true|false|str|bytes|string|text|optional|any|required|final"
    r"|missing|invalid|wrong|incorrect|unknown|expired|denied|rejected|accepted|valid|changed|needed|expected|empty|unset"
    r"|set|given|not|is|was|are|and|or|the|a|an|of|for|to|in|on|at|with|from|by|if|must|see|no|yes|default)\W*",
    re.DOTALL,
)
"""Numbers, code, places of a value, and words that follow a name in sentences."""


def _hide_named(text: str) -> str:
    """A text without values that follow the name of a secret: ``password: x``, ``--token x``, ``'PGPASSWORD': 'x'``."""
    parts: list[str] = []
    position = 0
    for found in _NAMED.finditer(text):
        # A comma is between an option and its value alone, in a list of words.
        is_list = "," in found["sign"] and not found["dashes"]
        if found.start() >= position and not is_list and (secret := _SECRET.fullmatch(found["name"])) is not None:
            end = _end_of_value(text, found, weak=secret["weak"] is not None)
            if end is not None:
                parts += [text[position : found.end()], HIDDEN]
                position = end
    return "".join(parts) + text[position:]


def _end_of_value(text: str, found: re.Match[str], *, weak: bool) -> int | None:
    """End of the value behind a name; None where there is none to hide: code, or the next word of a sentence."""
    sign, at = found["sign"], found.end()
    spaced = not set(sign) & set("=:,")
    if (quoted := _QUOTED.match(text, at)) is not None:
        value = quoted["escaped"] if quoted["a"] else quoted["plain"]
        likely = not spaced or any(map(str.isdigit, value))
        # In a list, the next option.
        likely = likely and not ("," in sign and value.startswith("-"))
        return quoted.end() if likely and value != HIDDEN and not _is_no_value(value, found["name"]) else None
    if not spaced and (grouped := _GROUPED.match(text, at)) is not None:
        return grouped.end()
    plain = _PLAIN.match(text, at)
    if plain is None or plain[0] == HIDDEN or _is_no_value(plain[0], found["name"]):
        return None
    mixed = _MIXED.match(plain[0][:_LONGEST]) is not None
    if spaced and found["dashes"] and sign.isspace():
        likely = not plain[0].startswith("-") and _METAVAR.fullmatch(plain[0]) is None
    elif spaced:
        least = _LONG if sign.isspace() else LEAST
        likely = mixed and len(plain[0]) >= least and _UNLIKE_WORDS.match(plain[0]) is not None
    else:
        likely = mixed or not weak or sign == "="
    return plain.end() if likely else None


def _is_no_value(value: str, name: str) -> bool:
    if value.startswith(HIDDEN):
        return False
    return _NO_VALUE.fullmatch(value.strip()[:_LONGEST]) is not None or value.lower() == name.lower().rpartition(".")[2]
