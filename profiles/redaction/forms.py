r"""Forms of secrets in texts: one table, each form with an example.

Every pattern needs time linear in the text: it begins at a fixed word, or where the letter before is none of those that
it goes on with, and what is repeated is bounded or runs to the end of its letters.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HIDDEN = "(redacted)"


@dataclass(frozen=True)
class Form:
    """Form of one kind of secret.

    Attributes:
        marks: Lowercase texts: where none of them stands, the form is not searched.
        pattern: The form; a group ``secret`` is what is hidden, without one all of it.
        example: A text with one, made up.
        check: Whether a match is a secret; None for always.
    """

    name: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]
    example: str
    check: Callable[[str], bool] | None = None

    def hide(self, text: str) -> str:
        """The text without secrets of this form."""
        return self.pattern.sub(self._hidden, text)

    def _hidden(self, found: re.Match[str]) -> str:
        group = "secret" if "secret" in self.pattern.groupindex else 0
        start, end = found.span(group)
        was_hidden = found.string.startswith(HIDDEN, start) and end <= start + len(HIDDEN)
        if was_hidden or (self.check is not None and not self.check(found[group])):
            return found[0]
        return f"{found[0][: start - found.start()]}{HIDDEN}{found[0][end - found.start() :]}"


def hide_forms(text: str) -> str:
    """A text without secrets that are known by their form."""
    lower = text.lower()
    for form in FORMS:
        if any(mark in lower for mark in form.marks):
            text = form.hide(text)
    return text


def _mixed(secret: str) -> bool:
    """Whether a text is no word: it has digits, or capitals inside, or signs of base64."""
    return any(letter.isdigit() or letter in "+/=_~" for letter in secret) or (
        secret[1:] != secret[1:].lower() and secret != secret.upper()
    )


def _with_digit(secret: str) -> bool:
    return any(letter.isdigit() for letter in secret)


_CHECKS = {"digit": _with_digit, "mixed": _mixed}


def _basic(secret: str) -> bool:
    """Whether it is a name and a password, as HTTP writes them."""
    try:
        return b":" in base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


def _tokens() -> Iterator[Form]:
    """The forms of ``tokens.txt``."""
    for line in Path(__file__).with_name("tokens.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, beginnings, rest, example, *check = line.split(" | ")
        starts = beginnings.split()
        # What is before the token is looked at after its begin: Python searches fast for patterns that start with one.
        listed = "|".join(rf"{re.escape(start)}(?<![A-Za-z0-9]{re.escape(start)})" for start in starts)
        pattern, marks = re.compile(rf"(?:{listed}){rest}"), tuple(start.lower() for start in starts)
        yield Form(name, marks, pattern, example, _CHECKS[check[0]] if check else None)


def _form(
    name: str,
    marks: str,
    pattern: str,
    example: str,
    check: Callable[[str], bool] | None = None,
    *,
    exact: bool = False,
) -> Form:
    return Form(name, tuple(marks.split()), re.compile(pattern, 0 if exact else re.IGNORECASE), example, check)


_A24 = "abcdefgh0123ijkl4567mnop"
_A40 = f"{_A24}QRST8901uvwxYZ23"
_H32 = "0123456789abcdef" * 2
_H40 = f"{_H32}89abcdef"
_DB = r"mysql\w*|mariadb[\w-]*|mycli|7z"
_SPACED = (
    r"mongo\w*|clickhouse-client|sshpass|cqlsh|influx|docker|podman|helm|az|mssql-cli|vncpasswd|sqlcmd|bcp|unzip|zip"
)

TOKENS = (
    *_tokens(),
    _form("Terraform", ".atlasv1.", r"(?<![\w])\w{14}\.atlasv1\.[\w-]{20,}", f"abcdefgh012345.atlasv1.{_A40}"),
    _form(
        "Telegram",
        ":aa",
        r"(?:(?<![\w:-])|(?<=bot))\d{8,10}:AA[\w-]{33}(?![\w-])",
        f"123456789:AA{_A40[:33]}",
        exact=True,
    ),
    _form(
        "Discord",
        ".",
        r"[MNO](?<![\w.-].)[\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w-])",
        f"MT{_A24}.Gabcde.{_A40[:30]}",
        _with_digit,
        exact=True,
    ),
    _form("Okta", "ssws ", r"\bSSWS\s(?P<secret>[\w-]{20,})", f"SSWS 00{_A40}"),
    _form(
        "Mailchimp",
        "-us1 -us2 -us3 -us4 -us5 -us6 -us7 -us8 -us9",
        r"(?<![\w-])[0-9a-f]{32}-us\d{1,2}\b",
        f"{_H32}-us12",
    ),
    _form(
        "Azure, client", "q~", r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}(?![\w.~-])", f"abc8Q~{_A40[:34]}", exact=True
    ),
    _form(
        "Azure, key of an account",
        "==",
        r"(?<![A-Za-z0-9+/-])[A-Za-z0-9+/]{86}==(?![A-Za-z0-9+/=])",
        f"{'Ab0+' * 21}cd==",
        exact=True,
    ),
    _form(
        "JSON web token",
        "eyj",
        r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}",
        f"eyJhbGciOiJI.eyJ{_A24}.{_A24}",
        exact=True,
    ),
    _form(
        "hash of a password",
        "$",
        r"\$(?<![\w$].)(?:1|2[abxy]|5|6|7|y|gy|apr1|argon2(?:id|i|d)|pbkdf2[\w-]*|scrypt)\$[\w./$,=+-]{16,}",
        "$2b$12$abcdefghijklmnopqrstuv0123456789",
        exact=True,
    ),
)
"""Secrets that are known by how they look."""

_VALUE = r"(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s'\"<>|;&]{1,500})"
_END = r"(?=[\s'\"\\,;)]|$)"

USES = (
    _form(
        "credentials in a URL",
        "//",
        r"(?<=//)(?!\(redacted\)@)(?P<secret>[^\s/@'\"<>:]{0,200}:(?!\d{1,5}[\s/])[^\n/'\"<>]{0,200}(?:/[^\s/@'\"<>]{1,200})?)(?=@[\w\[(])",
        "postgresql://ada:pl5in@db/x",
    ),
    _form(
        "name in a URL",
        "://",
        r"(?<=://)(?!git@|\(redacted\)@)(?P<secret>[^\s/@'\"<>:]{1,200})(?=@[\w\[(])",
        f"https://{_A24}@dev.azure.com/x",
    ),
    _form(
        "credentials of Oracle",
        "thin:",
        r"(?<=thin:)[^\s/@'\"]{1,100}/[^\s@'\"]{1,100}(?=@)",
        "jdbc:oracle:thin:scott/tig3r@db",
    ),
    _form(
        "SQL*Plus",
        "sqlplus",
        r"(?<=sqlplus )(?:-\w{1,3} ){0,3}(?P<secret>[^\s/@'\"]{1,100}/[^\s@'\"]{1,100})(?=@|\s|$)",
        "sqlplus scott/tig3r@orcl",
    ),
    _form(
        "query of a URL",
        "=",
        r"(?<=[?&;])(?:x-(?:amz|goog|oss)-(?:signature|credential|security-token)|sig|signature|access_?token|auth|authkey"
        r"|auth_?token|api_?key|apikey|client_?secret|password|passwd|pwd|secret|token|ticket|sv?ig|code|key|credential"
        r"|hdnts|policy|googleaccessid)="
        r"(?P<secret>[^\s&'\"<>#;)]{1,4000})",
        "https://a.blob.core.windows.net/x?sv=2022&sig=aBc%2F1",
    ),
    _form(
        "signature",
        "sig= signature=",
        r"(?<![\w-])(?:x-(?:amz|goog|oss)-signature|signature|sig)=(?P<secret>[A-Za-z0-9%+/_-]{16,}={0,2})",
        f"SharedAccessSignature sr=hub&sig={_A24}%3D&se=1",
    ),
    _form("basic", "basic ", r"\bbasic\s(?P<secret>[A-Za-z0-9+/]{6,}={0,2})", "Basic YWxpY2U6cGFzc3dvcmQ=", _basic),
    _form(
        "AUTH of mail",
        "auth",
        r"\bauth\s(?:plain|login|xoauth2)\s(?P<secret>[A-Za-z0-9+/]{8,}={0,2})",
        "AUTH PLAIN AGFkYQBwbDVpbg==",
        _mixed,
    ),
    _form("bearer", "bearer ", r"\bbearer\s(?P<secret>[\w.~+/=-]{8,})", "BEARER abcdefgh0123", _mixed),
    _form(
        "webhook",
        "hooks.slack.com/ /api/webhooks webhook.office.com hooks.zapier.com hooks.airtable.com maker.ifttt.com"
        " open.feishu.cn outlook.office.com/webhook",
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks|webhook\.office\.com"
        r"|hooks\.zapier\.com/hooks|hooks\.airtable\.com/workflows|maker\.ifttt\.com/trigger|open\.feishu\.cn/open-apis/bot"
        r"|outlook\.office\.com/webhook)"
        r"/?(?P<secret>[\w/.@%+=-]{10,})",
        "https://hooks.slack.com/services/T0000/B0000/abcdefgh",
    ),
    _form(
        "Google Chat",
        "chat.googleapis",
        r"chat\.googleapis\.com/v1/spaces/(?P<secret>[^\s'\"<>]{10,})",
        "https://chat.googleapis.com/v1/spaces/A/messages?key=b",
    ),
    _form(
        "cookies",
        "cookie",
        r"(?<![\w-])(?:set-)?cookie[\"']?\s?:\s?[\"']?(?P<secret>[^\n'\"]{1,4000})",
        "Set-Cookie: sid=abc123; Path=/",
        lambda secret: "=" in secret,
    ),
    _form(
        "a line of .netrc",
        "login",
        r"\blogin\s{1,3}\S{1,100}\s{1,3}passw(?:or)?d\s{1,3}(?P<secret>\S{1,200})",
        "machine h login ada password pl5in",
    ),
    _form(
        "a line of .pgpass",
        ":",
        r":(?<=[\w*]:)(?:\d{4,5}|\*):(?![0-9a-f]{1,4}:)[\w*-]{1,60}:[\w*-]{1,60}:(?P<secret>[^\s'\"]{3,100})",
        "db.acme.io:5432:sales:ada:pl5in",
    ),
    _form(
        "a database client",
        "mysql mariadb mycli 7z",
        rf"\b(?:{_DB})\b[^\n|;&]{{0,300}}?\s-p(?P<secret>{_VALUE})",
        "mysqldump -u root -pPl5in sales",
    ),
    _form(
        "a client's password",
        "-p",
        rf"\b(?:{_SPACED})\b[^\n|;&]{{0,300}}?\s-p\s(?P<secret>{_VALUE})",
        "sshpass -p Pl5in ssh h",
        exact=True,
    ),
    _form(
        "a client's -P",
        "-p",
        rf"\b(?:sqlcmd|bcp|unzip|zip)\b[^\n|;&]{{0,300}}?\s-P\s?(?P<secret>{_VALUE})",
        "sqlcmd -U sa -P Pl5in",
        exact=True,
    ),
    _form(
        "redis-cli",
        "redis-cli",
        rf"\bredis-cli\b[^\n|;&]{{0,300}}?\s-a\s(?P<secret>{_VALUE})",
        "redis-cli -h h -a Pl5in",
    ),
    _form("LDAP", "ldap", rf"\bldap\w+\b[^\n|;&]{{0,300}}?\s-w\s(?P<secret>{_VALUE})", "ldapsearch -D cn=a -w Pl5in"),
    _form(
        "smbclient",
        "smbclient rpcclient mount.cifs",
        r"\b(?:smbclient|rpcclient|mount\.cifs)\b[^\n|;&]{0,300}?\s-U\s(?P<secret>[^\s'\"]{1,200}%[^\s'\"]{1,200})",
        "smbclient -U ada%pl5in",
        exact=True,
    ),
    _form(
        "curl",
        "curl wget http aria2c xh",
        r"\b(?:curl|wget|https?|aria2c|xh)\b[^\n|;]{0,300}?\s(?:-u|--user|-a|--auth|--proxy-user|-U)[\s=]?(?P<secret>(?:['\"][^'\"\n:]{0,100}:[^'\"\n]{1,200}['\"]|[^\s'\":]{1,100}:[^\s'\"]{1,200}))",
        "curl -u ada:pl5in https://h",
        exact=True,
    ),
    _form("OpenSSL", "pass:", r"(?<![\w])pass:(?P<secret>[^\s'\"]{1,200})", "openssl rsa -passin pass:pl5in"),
    _form("wandb login", "wandb", r"\bwandb\s+login\s(?:--\w+\s){0,3}(?P<secret>[\w-]{20,})", f"wandb login {_H40}"),
    _form(
        "wandb key",
        "wandb",
        r"\bwandb\b[^\n]{0,60}?\bkey\b[^\n0-9a-f]{0,20}(?P<secret>[0-9a-f]{40})(?![0-9a-f])",
        f"wandb: using the key {_H40}",
    ),
    _form(
        "kaggle.json",
        "key",
        r"(?<=[\"'])key\\?[\"']\s{0,2}:\s{0,2}\\?[\"'](?P<secret>[0-9a-f]{32,64})(?=\\?[\"'])",
        f'{{"username":"ada","key":"{_H32}"}}',
    ),
    _form(
        "password for",
        "pass",
        r"\bpass(?:word|wd|phrase)\sfor\s[^\n:;]{1,80}:\s(?P<secret>[^\s'\",;]{4,200})",
        "Enter password for ada: pl5in",
        _with_digit,
    ),
    _form("Redis", "auth ", r"\bAUTH\s(?P<secret>[^\s'\"]{6,200})", "> AUTH pl5inPw", _with_digit, exact=True),
    _form(
        "a key of Azure for Hadoop",
        "fs.azure.",
        r"\bfs\.azure\.(?:account\.key|sas|account\.oauth2\.client\.secret)[\w.-]{0,200}[=:\s]{1,3}(?P<secret>[^\s'\"]{6,500})",
        "fs.azure.account.key.acme.blob=pl5inKey==",
    ),
    _form(
        "AWS CLI",
        "aws",
        r"\baws_[a-z_]{3,40}(?:key|token)(?:_id)?\s{1,3}(?P<secret>[\w/+=]{16,})",
        f"aws configure set aws_secret_access_key {_A40}",
    ),
    _form(
        "in words",
        "pass secret token key",
        r"\b(?:passwords?|passphrase|passwd|pin|secret(?:\skey)?|api\s?key|access\skey|access\stoken|token)\s"
        r"(?:is|was|are|equals?|of|to)?\s?(?P<secret>\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|(?<=\bis\s)[^\s'\",;()]{6,200}|(?<=\bwas\s)[^\s'\",;()]{6,200}|(?<=\bto\s)[^\s'\",;()]{6,200})",
        "the password is 'hunter2'",
        lambda secret: _with_digit(secret) or (secret[:1] not in "'\"" and _mixed(secret)),
    ),
    _form(
        "identified by",
        "identified",
        r"\bidentified\s(?:with\s\S{1,60}\s)?by\s(?:password\s)?(?P<secret>'[^'\n]{1,200}'|\"[^\"\n]{1,200}\")",
        "CREATE USER ada IDENTIFIED BY 'pl5in'",
    ),
    _form(
        "WITH PASSWORD",
        "password",
        r"\b(?:with\s(?:encrypted\s)?|set\s)?password\s(?:for\s\S{1,100}\s=\s?)?(?P<secret>'[^'\n]{1,200}'|\"[^\"\n]{1,200}\")",
        "ALTER ROLE ada WITH PASSWORD 'pl5in'",
        exact=False,
        check=lambda secret: len(secret) > 5,
    ),
    _form(
        "an element of XML",
        "</",
        r"<(?:[\w.-]{1,40}[:._-])?(?:\w{0,30}(?:password|passwd|secret|token|apikey|accesskey|credential)s?)>(?P<secret>[^<\n]{1,500})(?=</)",
        "<db.password>pl5in</db.password>",
    ),
    _form(
        "a place in Windows",
        ":\\",
        r"(?<![A-Za-z0-9])(?P<secret>[a-z]:\\{1,2}(?:users|documents and settings)\\{1,2}[^\\\s'\"<>|:]{1,60})",
        "C:\\Users\\ada\\data",
    ),
    _form(
        "a folder of a Windows user in WSL",
        "/mnt/",
        r"(?<=/mnt/[a-z]/users/)(?P<secret>[^\s/'\"]{1,60})",
        "/mnt/c/Users/ada/data",
    ),
    _form(
        "remote shell",
        "ssh scp sftp rsync",
        r"(?:(?<=\bssh )|(?<=\bscp )|(?<=\bsftp )|(?<=\brsync ))(?:-\w{1,3}\s(?:\d{1,5}\s)?){0,4}"
        r"(?P<secret>[\w.-]{1,64}@[\w.-]{1,100})",
        "ssh ada@gpu-box",
    ),
    _form(
        "public key",
        "ssh-",
        r"\b(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp\d{3})\s(?P<secret>[A-Za-z0-9+/]{40,}={0,2}(?:\s[^\s@'\"]{1,64}@[^\s'\"]{1,100})?)",
        f"ssh-ed25519 {_A40}{_A24} ada@h",
    ),
)
"""Secrets that are known by what stands around them."""

FORMS = (*TOKENS, *USES)
