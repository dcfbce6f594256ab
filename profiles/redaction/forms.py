r"""Forms of secrets in texts: one table, each form with an example.

Every pattern needs time linear in the text: it begins at a fixed word, or where the letter before is none of those that
it goes on with, and what is repeated is bounded or runs to the end of its letters.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

HIDDEN = "(redacted)"


@dataclass(frozen=True)
class Form:
    """How one kind of secret is written.

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


def _basic(secret: str) -> bool:
    """Whether it is a name and a password, as HTTP writes them."""
    try:
        return b":" in base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


def _token(name: str, prefixes: str, body: str, example: str, check: Callable[[str], bool] | None = None) -> Form:
    """The form of a token that is known by how it begins.

    Args:
        check: Whether a match is one.
    """
    starts = prefixes.split()
    # What is before the prefix is looked at after it: Python searches fast for patterns that begin with a letter.
    listed = "|".join(rf"{re.escape(start)}(?<![A-Za-z0-9]{re.escape(start)})" for start in starts)
    pattern = re.compile(rf"(?:{listed}){body}")
    return Form(name, tuple(start.lower() for start in starts), pattern, example, check)


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
    _token("GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", r"\w{20,}", f"ghp_{_A24}"),
    _token("GitHub, fine-grained", "github_pat_", r"\w{20,}", f"github_pat_{_A24}"),
    _token(
        "GitLab",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct-",
        r"[\w.-]{15,}",
        f"glpat-{_A24}",
    ),
    _token("Bitbucket", "ATBB ATCTT3xFfG", r"[\w=-]{20,}", f"ATBB{_A24}", _with_digit),
    _token("Atlassian", "ATATT3xFfGF0 ATATT", r"[\w=-]{20,}", f"ATATT3xFfGF0{_A24}"),
    _token("Hugging Face", "hf_ api_org_", r"[A-Za-z0-9]{20,}", f"hf_{_A24}"),
    _token("OpenAI, Anthropic, OpenRouter", "sk-", r"[\w-]{20,}", f"sk-ant-api03-{_A24}", _with_digit),
    _token("OpenAI, session", "sess-", r"[A-Za-z0-9]{30,}", f"sess-{_A40}", _with_digit),
    _token(
        "Slack", "xoxa- xoxb- xoxc- xoxd- xoxe- xoxe.xox xoxo- xoxp- xoxr- xoxs- xapp-", r"[\w.%-]{10,}", f"xoxb-{_A24}"
    ),
    _token("AWS, key", "AKIA ASIA ABIA ACCA", r"[0-9A-Z]{16}(?![0-9A-Z])", "AKIAIOSFODNN7EXAMPLE"),
    _token("AWS, Bedrock", "ABSK bedrock-api-key-", r"[A-Za-z0-9+/=]{40,}", f"ABSK{_A40}"),
    _token("Google, key", "AIza", r"[\w-]{35}", f"AIza{_A24}01234567890"),
    _token("Google, access", "ya29.", r"[\w.-]{8,}", f"ya29.a0{_A24}"),
    _token("Google, client", "GOCSPX-", r"[\w-]{20,}", f"GOCSPX-{_A24}"),
    _token("Google, refresh", "1//0", r"[\w-]{30,}", f"1//0g{_A40}"),
    _token("Stripe", "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ whsec_", r"\w{10,}", f"sk_live_{_A24}"),
    _token("SendGrid", "SG.", r"[\w-]{16,}\.[\w.-]{16,}", f"SG.{_A24}.{_A40}"),
    _token("Brevo", "xkeysib- xsmtpsib-", r"[\w-]{20,}", f"xkeysib-{_H32}"),
    _token("Mailgun", "key-", r"[0-9a-f]{32}(?![0-9a-f])", f"key-{_H32}"),
    _token("Twilio", "SK AC", r"[0-9a-f]{32}(?![0-9a-f])", f"SK{_H32}"),
    _token("npm", "npm_", r"[A-Za-z0-9]{20,}", f"npm_{_A40}", _mixed),
    _token("PyPI", "pypi-", r"[\w-]{16,}", f"pypi-AgEIcHlwaS5vcmc{_A24}", _mixed),
    _token("RubyGems", "rubygems_", r"[0-9a-f]{32,}", f"rubygems_{_H32}"),
    _token("NuGet", "oy2", r"[a-z0-9]{43}(?![a-z0-9])", f"oy2{'abcd01234567' * 3}abcdefg"),
    _token("crates.io", "cio", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])", f"cio{_A24}01234567", _with_digit),
    _token("Docker Hub", "dckr_pat_ dckr_oat_", r"[\w-]{20,}", f"dckr_pat_{_A24}"),
    _token("Databricks", "dapi dkea dose", r"[0-9a-f]{32}(?:-\d)?(?![0-9a-f])", f"dapi{_H32}"),
    _token("DigitalOcean", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{32,}", f"dop_v1_{_H32}"),
    _token("Heroku", "HRKU-", r"[\w-]{20,}", f"HRKU-{_A24}"),
    _token("Netlify", "nfp_ nfc_", r"[A-Za-z0-9]{20,}", f"nfp_{_A24}"),
    _token("Fly.io", "fo1_ fm1r_ fm2_", r"[\w+/=-]{20,}", f"fo1_{_A40}"),
    _token("Cloudflare", "v1.0-", r"[0-9a-f]{20,}-[0-9a-f]{100,}", f"v1.0-{_H32[:24]}-{_H32 * 5}"),
    _token("HashiCorp Vault", "hvs. hvb. hvr.", r"[\w-]{16,}", f"hvs.{_A24}"),
    _form("Terraform", ".atlasv1.", r"(?<![\w])\w{14}\.atlasv1\.[\w-]{20,}", f"abcdefgh012345.atlasv1.{_A40}"),
    _token("Pulumi", "pul-", r"[0-9a-f]{40}(?![0-9a-f])", f"pul-{_H40}"),
    _token("Doppler", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[\w.]{20,}", f"dp.pt.{_A24}"),
    _token("PlanetScale", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.=-]{20,}", f"pscale_pw_{_A24}"),
    _token("Supabase", "sbp_ sb_secret_", r"\w{20,}", f"sbp_{_H40}"),
    _token("Neon", "napi_ neon_", r"[a-z0-9]{40,}", f"napi_{_H40}"),
    _token("MongoDB Atlas", "mdb_sa_sk_", r"[\w-]{20,}", f"mdb_sa_sk_{_A24}"),
    _token("Postman", "PMAK- PMAT-", r"[\w-]{20,}", f"PMAK-{_A24}"),
    _token("Linear", "lin_api_ lin_oauth_", r"[A-Za-z0-9]{20,}", f"lin_api_{_A24}"),
    _token("Notion", "ntn_ secret_", r"[A-Za-z0-9]{40,}", f"ntn_{_A40}"),
    _token("Figma", "figd_ figo_", r"[\w-]{20,}", f"figd_{_A24}"),
    _token("Airtable", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}", f"patAbCd0123EfGh45.{_H32 * 2}"),
    _token("Asana", "0/ 1/ 2/", r"\d{16}:[0-9a-f]{32}", f"1/0123456789012345:{_H32}"),
    _token("Grafana", "glsa_ glc_", r"[\w+/=]{20,}", f"glsa_{_A24}"),
    _token("New Relic", "NRAK- NRJS- NRRA- NRII- NRAA-", r"[\w-]{19,}", f"NRAK-{_A24}"),
    _token("Sentry", "sntrys_ sntryu_", r"[\w+/=]{20,}", f"sntrys_{_A24}"),
    _token(
        "Dynatrace", "dt0c01. dt0s16.", r"[A-Z0-9]{16,}\.[A-Z0-9]{20,}", f"dt0c01.{'ABCD0123' * 3}.{'ABCD0123' * 8}"
    ),
    _token("Honeycomb", "hcaik_ hcbik_ hcamk_ hcxik_", r"[a-z0-9]{20,}", f"hcaik_{_H32}"),
    _token("PostHog", "phc_ phx_", r"[A-Za-z0-9]{30,}", f"phx_{_A40}"),
    _token("CircleCI", "CCIPAT_ CCIPRJ_", r"\w{20,}", f"CCIPAT_{_A24}"),
    _token("Buildkite", "bkua_ bkct_", r"[A-Za-z0-9]{20,}", f"bkua_{_H40}"),
    _token("Tailscale", "tskey-", r"[\w-]{16,}", f"tskey-auth-{_A24}"),
    _token("Sourcegraph", "sgp_ slk_", r"[\w-]{40,}", f"sgp_{_H40}"),
    _token("SonarQube", "sqp_ sqa_ squ_", r"[0-9a-f]{40}", f"squ_{_H40}"),
    _token("JFrog", "AKCp", r"[A-Za-z0-9]{40,}", f"AKCp{_A40}{_A24}"),
    _token("Artifactory, reference", "cmVmdGtu", r"[A-Za-z0-9]{40,}", f"cmVmdGtu{_A40}{_A24}"),
    _token("Weights & Biases", "wandb_v1_", r"[\w-]{20,}", f"wandb_v1_{_A40}"),
    _token("Kaggle", "KGAT_", r"[0-9A-Za-z]{20,}", f"KGAT_{_H32}"),
    _token("LangSmith", "lsv2_pt_ lsv2_sk_", r"\w{20,}", f"lsv2_pt_{_H32}"),
    _token("Replicate", "r8_", r"[A-Za-z0-9]{30,}", f"r8_{_A40}", _with_digit),
    _token("Groq", "gsk_", r"[A-Za-z0-9]{30,}", f"gsk_{_A40}"),
    _token("xAI", "xai-", r"[A-Za-z0-9]{30,}", f"xai-{_A40}"),
    _token("Perplexity", "pplx-", r"[A-Za-z0-9]{30,}", f"pplx-{_A40}", _with_digit),
    _token("NVIDIA", "nvapi-", r"[\w-]{30,}", f"nvapi-{_A40}"),
    _token("Pinecone", "pcsk_", r"\w{20,}", f"pcsk_{_A40}"),
    _token("Shopify", "shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{32}", f"shpat_{_H32}"),
    _token("Square", "sq0atp- sq0csp- sq0idp- EAAAE", r"[\w-]{20,}", f"sq0atp-{_A24}"),
    _token("PayPal, Braintree", "access_token$", r"[\w$]{20,}", f"access_token$production${_A24}"),
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
    _token("Dropbox", "sl.", r"[\w-]{100,}", f"sl.{_A40 * 3}"),
    _token("Facebook", "EAAC EAAB EAAG EAAD", r"[A-Za-z0-9]{40,}", f"EAAC{_A40}{_A24}"),
    _token("Alibaba", "LTAI", r"[A-Za-z0-9]{12,}", f"LTAI5t{_A24}", _with_digit),
    _token("Tencent", "AKID", r"[A-Za-z0-9]{28,}", f"AKID{_A40}", _with_digit),
    _token("Yandex", "AQVN t1.9eu", r"[\w.=-]{30,}", f"AQVN{_A40}"),
    _token("Prefect", "pnu_ pnb_", r"[A-Za-z0-9]{30,}", f"pnu_{_A40}"),
    _token("Typeform", "tfp_", r"[\w.=-]{30,}", f"tfp_{_A40}"),
    _token("EasyPost", "EZAK EZTK", r"[A-Za-z0-9]{40,}", f"EZAK{_A40}{_A24}"),
    _token("Adobe", "p8e-", r"[A-Za-z0-9]{32}", f"p8e-{_A40}"),
    _token("Contentful", "CFPAT-", r"[\w-]{30,}", f"CFPAT-{_A40}"),
    _token("Mapbox", "sk.eyJ pk.eyJ tk.eyJ", r"[\w-]{16,}\.[\w-]{10,}", f"sk.eyJ{_A24}.{_A24}"),
    _token("age", "AGE-SECRET-KEY-", r"[A-Z0-9]{20,}", f"AGE-SECRET-KEY-1{'QPZRY9X8' * 7}"),
    _form("Okta", "ssws ", r"\bSSWS\s(?P<secret>[\w-]{20,})", f"SSWS 00{_A40}"),
    _form(
        "Mailchimp",
        "-us1 -us2 -us3 -us4 -us5 -us6 -us7 -us8 -us9",
        r"(?<![\w-])[0-9a-f]{32}-us\d{1,2}\b",
        f"{_H32}-us12",
    ),
    _form(
        "Azure, client",
        "q~",
        r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}(?![\w.~-])",
        f"abc8Q~{_A40[:34]}",
        exact=True,
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
"""Tokens that are known by how they begin."""

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
