"""Hiding in texts what tells about a person, a machine or a secret. Pure functions.

Hidden are: values of variables, secrets that are known by their name or form, addresses, absolute paths (those in the
repository become relative, of others only the last part stays), and names of the host and of its user. What is hidden
once stays as it is when it is hidden again.

Every pattern of a form needs time linear in the text: it begins at a fixed word, or where the letter before is none of
those that it goes on with, and what is repeated is bounded or runs to the end of its letters.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import quote

_PASSES = 20
_ANY_HOME = re.compile(
    r"(?<![\w.~-])(?:/home|/Users|/mnt/[a-z]/Users)/[^/\s:'\"]+|(?<![\w.~-])/root(?![\w.-])"
    r"|(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}Users\\{1,2}[^\\\s'\"<>|:]{1,60}"
)
_PART = r"[^\s/'\"<>|:,;()\[\]{}`=\u2026]+"
_START = r"(?:(?<![\w.~/:\u2026-])/+|(?<=:)/(?!/)|(?<=file:)/{2,})"
_PATH = re.compile(rf"{_START}(?:{_PART}/+)+(?:{_PART})?")
_BELOW_HOME = re.compile(rf"~(?:/+{_PART}){{2,}}/*")
_SYSTEM = ("/proc/", "/sys/", "/dev/")
"""Folders of the kernel, the same everywhere."""
_PACKAGES = re.compile(r".*/(?:site|dist)-packages/+(?=.)")
_KEPT = 4096
"""Texts whose result is kept: ids, names of stages and units come again and again."""
_SHORT = 64
_CUT = 12
_ELLIPSIS = re.compile(r"…|\.{3}")
_LONGEST_CUT = 200
_PASSWORD = re.compile(r"://[^\s:/@]{0,200}:(?P<password>[^\s/@]{1,500})@")


@dataclass(frozen=True)
class Private:
    """Private names, places and values, to be hidden.

    Attributes:
        root: The repository, else the current folder: paths in it are relative to `folder`; None if it says too much.
        home: Home folder, in addition to those under ``/home``, ``/Users`` and ``/root``.
        values: Of variables, by name: those that a spec took from the environment, and those named as secrets are.
    """

    root: str | None = None
    folder: str | None = None
    home: str | None = None
    names: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


class Hider:
    """Hides in texts what must not be seen."""

    def __init__(self, private: Private) -> None:
        words = _words_of(private.values)
        self._values = re.compile("|".join(map(_as_pattern, words))) if words else None
        self._long = tuple(word for word in words if len(word) > _CUT)
        self._names = _pattern_of(private.names)
        self._root = _folder(private.root)
        self._home = _folder(private.home)
        self._to = private.folder or private.root or "/"
        inside = rf"(?<![\w.~-]){re.escape(self._root)}(?:/{_PART})*/*(?![\w.-])" if self._root else None
        self._inside = re.compile(inside) if inside else None
        self._at_home = re.compile(rf"{re.escape(self._home)}(?![\w.-])") if self._home else None
        self._kept = lru_cache(_KEPT)(self._text)

    def text(self, text: str, *, names: bool = True, addresses: bool = True) -> str:
        """Hide in a text of any kind; in a fixed vocabulary, `names` of users and hosts are usual words."""
        hide = self._kept if len(text) <= _SHORT else self._text
        return hide(text, names=names, addresses=addresses)

    def path(self, text: str) -> str:
        """Hide in a text that is one path: a relative one stays as it is."""
        if not text.startswith("/"):
            return self.text(text, names=text.startswith(("~", "…")))
        if self._root and (text == self._root or text.startswith(f"{self._root}/")):
            return self.text(posixpath.relpath(text, self._to), names=False)
        return self.text(_shortened(text)) if not text.startswith(_SYSTEM) else text

    def _text(self, text: str, *, names: bool, addresses: bool) -> str:
        for _ in range(_PASSES):
            hidden = self._once(text, names=names, addresses=addresses)
            if hidden == text:
                break
            text = hidden
        return text

    def _once(self, text: str, *, names: bool, addresses: bool) -> str:
        if self._values:
            text = self._values.sub(HIDDEN, text)
        if self._long:
            text = _without_cut_off(text, self._long)
        text = hide_secrets(text)
        if self._inside:
            text = self._inside.sub(lambda found: posixpath.relpath(found[0], self._to), text)
        if self._at_home:
            text = self._at_home.sub("~", text)
        text = _BELOW_HOME.sub(lambda found: f"~/{_shortened(found[0])}", _ANY_HOME.sub("~", text))
        text = _PATH.sub(lambda found: found[0] if found[0].startswith(_SYSTEM) else _shortened(found[0]), text)
        if addresses:
            text = hide_addresses(text)
        return self._names.sub(HIDDEN, text) if names and self._names else text


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables whose values are secrets: by their names, and the passwords in URLs of any other."""
    found = {name: value for name, value in environment.items() if is_secret_variable(name)}
    for name, value in environment.items():
        password = _PASSWORD.search(value)
        if password is not None:
            found[f"{name}_PASSWORD"] = password["password"]
    return found


def _words_of(values: Mapping[str, str]) -> list[str]:
    """The values of variables as texts have them, but for ordinary ones; longer ones first."""
    found: set[str] = set()
    for name, value in values.items():
        secret = is_secret_variable(name)
        lines = {value.strip(), value.strip().rstrip("/"), *(line.strip() for line in value.splitlines())}
        for line in lines:
            if len(line) >= LEAST and line not in HIDDEN and not is_ordinary(line, secret=secret):
                found.update(_spellings(line))
    return sorted(found, key=lambda word: (-len(word), word))


def _without_cut_off(text: str, words: Iterable[str]) -> str:
    """The text without beginnings of values that an ellipsis follows: messages cut long ones."""
    parts: list[str] = []
    position = 0
    for dots in _ELLIPSIS.finditer(text):
        before = text[max(position, dots.start() - _LONGEST_CUT) : dots.start()]
        for word in words:
            start = before.rfind(word[:LEAST])
            if start >= 0 and word.startswith(before[start:]):
                parts += [text[position : dots.start() - len(before) + start], HIDDEN]
                position = dots.start()
                break
    return "".join(parts) + text[position:]


def _spellings(value: str) -> Iterator[str]:
    """A value as it is, and as Python, JSON and URLs write it."""
    yield value
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="", errors="replace")
    yield quote(value, errors="replace")


def _as_pattern(value: str) -> str:
    """A value anywhere; a word is no part of a longer word."""
    word = value.isascii() and value.isalpha()
    return rf"(?<![A-Za-z]){value}(?![A-Za-z])" if word else re.escape(value)


def _shortened(path: str) -> str:
    # Anchored: a search would begin anew at each character of a long text without spaces.
    packages = _PACKAGES.match(path)
    return f"…/{path[packages.end() :] if packages else posixpath.basename(path.rstrip('/'))}"


def _folder(path: str | None) -> str | None:
    """A folder without its last slash; None for the root of the file system, which is in every path."""
    stripped = (path or "").rstrip("/")
    return stripped if stripped.count("/") >= 1 else None


_PUBLIC = frozenset({
    "root", "user", "runner", "nobody", "localhost", "ubuntu", "debian", "admin", "docker", "vagrant", "jovyan",
    "vscode", "codespace", "ec2-user",
})  # fmt: skip
"""Names of no person: images and services give them to all."""
_SHORTEST = 3
"""Letters of a name that is hidden wherever it stands."""
_PLACES = (
    r"(?<![\w.-]){name}(?=@[\w.-])|(?<=[\w.-]@){name}(?![\w-])|(?<=//){name}(?=[:/@])"
    r"|(?:(?<=host=)|(?<=user=)|(?<=name=)|(?<=name: )){name}(?![\w-])"
)
"""Places where only the name of a user or a host can stand."""


def _pattern_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """The pattern of names in texts; None for none that says anything.

    Names are found in any case and as parts of longer words (``ada_ds``, ``ada-bucket``); short ones, and words that
    reports are full of, only where nothing but the name of a user or a host can stand (``ada@h``, ``host=h``).
    """
    told = {name for name in names if name and name.lower() not in _PUBLIC and name.lower() != HIDDEN.strip("()")}
    listed = [
        rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
        if len(name) >= _SHORTEST and name.lower() not in COMMON
        else _PLACES.format(name=re.escape(name))
        for name in sorted(told, key=lambda name: (-len(name), name))
    ]
    return re.compile("|".join(listed), re.IGNORECASE) if listed else None


COMMON = frozenset(Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split())
"""Words that people name users, hosts, folders and variables' values with, and that reports are full of."""
_PARTS = 3
_NUMBER = re.compile(
    r"[+-]?(?:0[xXoObB][0-9a-fA-F_]{1,16}|(?:\d[\d_,x]*\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s?(?:[A-Za-z]{1,3}|%|ms/step)?)"
    r"|[vV]?\d{1,4}(?:[.:/-]\d{1,5}){1,5}(?:[ T]\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?)?Z?"
)
"""A number with a unit, a size, a date, a time or a version."""
_LETTERS = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"\d{4,}")


def is_ordinary(value: str, *, secret: bool) -> bool:
    """Whether a value may stand in a report: a number, or words of the language.

    Args:
        secret: The variable is named as secrets are: then only one word is ordinary, and no digits follow it.

    Example:
        >>> is_ordinary("spec.yaml", secret=False), is_ordinary("projectx-9931", secret=False)
        (True, False)
    """
    if _NUMBER.fullmatch(value):
        return True
    parts = _LETTERS.findall(value)
    if secret:
        return parts == [value] and _is_word(value)
    # Letters that are no word, next to digits and signs, are what secrets are made of.
    long = [part for part in parts if len(part) > 2]
    few = 0 < len(parts) <= _PARTS and 0 < len(long) >= len(parts) - 1
    return few and value.isascii() and not _DIGITS.search(value) and all(map(_is_word, long))


def _is_word(word: str) -> bool:
    return word.lower() in COMMON or word.lower() in _language()


@cache
def _language() -> frozenset[str]:
    """The words of the schemas of specs and profiles; made only for a value that is nothing but words."""
    from pipeprof.pipelines.spec.schema import spec_schema
    from pipeprof.profiles.document.profile import Profile

    texts = (json.dumps(schema) for schema in (spec_schema(), Profile.model_json_schema()))
    return frozenset(word for text in texts for word in _LETTERS.findall(text.lower()) if len(word) > 2)


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
_WORD_LETTERS = "[A-Za-z]{16}"
"""Longer than a word: a secret may have no digit."""
_VALUE = r"(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s'\"<>|;&]{1,500})"
_KEY = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

FORMS = (
    # Private key
    rf"-----BEGIN {_KEY}[\s\S]*?(?:-----END {_KEY}|\Z)",
    # Token
    rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, _TOKENS.split()))})"
    rf"(?=[\w.+/=%~-]{{0,80}}\d|{_WORD_LETTERS})[\w.+/=%~-]{{16,}}",
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
    rf"{_WORD_LETTERS})[\w.~+/-]{{12,}}={{0,2}})",
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
_MIXED = re.compile(r"(?=.{6}).*(?:\d|[a-z][A-Z]|[^\w.,:;!?-])|" + _WORD_LETTERS, re.DOTALL)
_UNLIKE_WORDS = re.compile(rf".*\d|{_WORD_LETTERS}")
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
