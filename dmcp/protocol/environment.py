"""What of dmcp's own environment other programs get: its servers, and the few programs it runs itself. Pure.

A server gets dmcp's environment, as it always has, without what only other servers' entries refer to and without
dmcp's own variables. With ``inherit_env`` false it gets ``is_basic`` alone, with a list that and those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dmcp.config.model import StdioServer

_BASIC: Final = frozenset(
    {
        # What the official SDKs pass on, on POSIX and on Windows.
        *("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"),
        *(
            "APPDATA",
            "HOMEDRIVE",
            "HOMEPATH",
            "LOCALAPPDATA",
            "PATHEXT",
            "PROCESSOR_ARCHITECTURE",
            "PROGRAMFILES",
        ),
        *("SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE", "COMSPEC", "WINDIR"),
        # Locale, time zone and temporary files.
        *("LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP"),
        # Proxies; some programs know the small spelling only.
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        # Certificates of authorities, of OpenSSL, Python, curl, Node.js, git, pip, uv, AWS and Deno.
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
        *("GIT_SSL_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE", "DENO_CERT", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS"),
        *("NODE_USE_SYSTEM_CA", "DENO_TLS_CA_STORE"),
    }
)
_BASIC_PREFIX: Final = "LC_"

_OWN_PREFIXES: Final = ("DMCP_", "_DMCP_")
_OWN: Final = frozenset({"DYNAMIC_MCP_CONFIG"})

_SECRETIVE: Final = (
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "AUTH",
    "_KEY",
    "APIKEY",
    "_PAT",
)
_HARMLESS: Final = frozenset({"XAUTHORITY", "SSH_AUTH_SOCK"})


def is_basic(name: str) -> bool:
    """Return whether every program gets this variable: withholding it would keep programs from running."""
    return name in _BASIC or name.startswith(_BASIC_PREFIX)


def is_own(name: str) -> bool:
    """Return whether this variable is addressed to dmcp, and to no program that dmcp starts."""
    return name in _OWN or name.startswith(_OWN_PREFIXES)


def server_environment(
    server: StdioServer, environ: Mapping[str, str], withheld: Iterable[str], platform: str
) -> dict[str, str]:
    """Return the environment a server is started in.

    Args:
        server: what the configuration says: the variables it gives and what is inherited.
        environ: dmcp's own environment.
        withheld: the names that only other servers' entries refer to.
        platform: ``sys.platform``. On Windows names are compared without regard to case and given in upper case,
            as ``os.environ`` has them there.
    """
    own = {_folded(name, platform): value for name, value in server.env.items()}
    return {**_inherited(server.inherit_env, environ, withheld, platform), **own}


def not_given(
    server: StdioServer, environ: Mapping[str, str], withheld: Mapping[str, str], platform: str
) -> dict[str, str]:
    """Return the variables of dmcp's environment that a server does not get, each with the reason in words.

    Args:
        server: as in ``server_environment``, and so the next.
        environ: dmcp's own environment.
        withheld: for each variable that only other servers refer to, one of these.
        platform: ``sys.platform``.
    """
    given = server_environment(server, environ, withheld, platform)
    whose = {_folded(name, platform): group for name, group in withheld.items()}
    reasons = {}
    for name in environ:
        if _folded(name, platform) in given:
            continue
        if is_own(_folded(name, platform)):
            reasons[name] = "dmcp's own"
        elif name in whose and server.inherit_env is True:
            reasons[name] = f"only {whose[name]} refers to it"
        else:
            reasons[name] = "inherit_env"
    return reasons


def helper_environment(environ: Mapping[str, str], mask: Callable[[str], str]) -> dict[str, str]:
    """Return the environment of a program dmcp runs for itself: the browser, a coding tool's own command.

    It has no variable of dmcp's own, none whose name sounds like a secret, and none whose value is one.

    Args:
        environ: dmcp's own environment.
        mask: hides the secrets that are known; a value it changes is one.
    """
    return {
        name: value
        for name, value in environ.items()
        if is_basic(name) or not (is_own(name) or _sounds_secret(name) or mask(value) != value)
    }


def _sounds_secret(name: str) -> bool:
    upper = name.upper()
    return any(sign in upper for sign in _SECRETIVE) and upper not in _HARMLESS


def _inherited(
    policy: bool | tuple[str, ...], environ: Mapping[str, str], withheld: Iterable[str], platform: str
) -> dict[str, str]:
    environ = {_folded(name, platform): value for name, value in environ.items()}
    if policy is True:
        dropped = {_folded(name, platform) for name in withheld}
        return {
            name: value
            for name, value in environ.items()
            if not is_own(name) and (is_basic(name) or name not in dropped)
        }
    named = {_folded(name, platform) for name in (policy or ())}
    return {
        name: value
        for name, value in environ.items()
        if not is_own(name)
        # An exported shell function is a program text; the official SDKs leave it out too.
        and (name in named or (is_basic(name) and not value.startswith("()")))
    }


def _folded(name: str, platform: str) -> str:
    return name.upper() if platform == "win32" else name
