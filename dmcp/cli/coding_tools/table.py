"""The coding tools dmcp knows: one entry for each, in the order of the help text and the documentation.

Data only. Its types are described in ``model``; ``docs/render_tools.py`` prints it as docs/import.md.
"""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dmcp.cli.coding_tools import special
from dmcp.cli.coding_tools.model import CodingTool, EntryFormat, Installation, Location, SignInKeys
from dmcp.cli.coding_tools.references import (
    BRACES,
    CURLY,
    EDITOR,
    EXTENSION,
    PLAIN_BRACES,
    PLAIN_SHELL,
    SHELL,
    TEMPLATED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = ("timeout", 1.0)
_MILLISECONDS: Final = ("timeout", 0.001)
_SERVER_URL: Final[Mapping[str, Any]] = {"serverUrl": "auto", "url": "auto"}
_DISABLED: Final = ("disabled", True)
_NOT_ENABLED: Final = ("enabled", False)
_WORKSPACE: Final = "${workspaceFolder}/"
_GOOGLE: Final = "dmcp signs in with OAuth only; a token in an environment variable can go into headers"
_NO_SANDBOX: Final = "dmcp starts servers without a sandbox"


def _old(path: str, servers: tuple[str, ...] = ("mcpServers",), note: str = "older") -> Location:
    """Return a file that ``dmcp import`` reads and ``dmcp install`` does not write to."""
    return Location(path, servers, note=note, installable=False)


def _files(folder: str, *names: str, **more: Any) -> tuple[Location, ...]:
    """Return files in OpenCode's format."""
    return tuple(Location(f"{folder}/{name}", ("mcp",), **more) for name in names)


_CURSOR: Final = CodingTool(
    name="cursor",
    title="Cursor",
    syntax=EDITOR,
    project=(Location("{cwd}/.cursor/mcp.json", reach="nearest"),),
    user=(Location("{home}/.cursor/mcp.json"),),
    format=EntryFormat(
        sign_in=SignInKeys("auth", "CLIENT_ID", "CLIENT_SECRET"),
        env_file="envFile",
        types={"command": "stdio"},
    ),
    install=Installation(project_prefix=_WORKSPACE),
)

_OPENCODE_NAMES: Final = ("opencode.json", "opencode.jsonc")
_OPENCODE_PROJECT: Final = (
    *_files("{cwd}", *_OPENCODE_NAMES, reach="worktree"),
    *_files("{cwd}/.opencode", *_OPENCODE_NAMES, reach="worktree outwards"),
)
_OPENCODE_USER: Final = (
    *_files("{xdg}/opencode", "config.json", *_OPENCODE_NAMES),
    Location("$OPENCODE_CONFIG", ("mcp",)),
    *_files("{home}/.opencode", *_OPENCODE_NAMES),
)
_OPENCODE_SIGN_IN: Final = SignInKeys(scopes="scope", redirect_port="callbackPort")
_OPENCODE_INSTALL: Final = Installation(special.opencode_entry, _NOT_ENABLED)
_OPENCODE: Final = CodingTool(
    name="opencode",
    title="OpenCode",
    syntax=CURLY,
    project=_OPENCODE_PROJECT,
    user=_OPENCODE_USER,
    settings=(*_OPENCODE_USER, *_OPENCODE_PROJECT),
    overlays=True,
    flatten=special.opencode_flatten,
    select=special.opencode_select,
    remark="files are merged key by key; an entry of only `enabled` is for a server of another file; `tools` and "
    "`permission` at the top become `tools.include` and `tools.exclude` of each server they are about (a tool's name "
    "is taken to hold only letters, digits, `_` and `-`), or `features.tools: false` where none is left",
    format=EntryFormat(
        env=("environment",), enabled="enabled", timeout=_MILLISECONDS, sign_in=_OPENCODE_SIGN_IN
    ),
    install=_OPENCODE_INSTALL,
)

_CLAUDE_DESKTOP: Final = CodingTool(
    name="claude-desktop",
    title="Claude Desktop",
    syntax=EXTENSION,
    user=(
        Location("{programs}/Claude/Claude Extensions/*/manifest.json", note="extensions", installable=False),
        Location(
            "{localappdata}/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json",
            platforms=("win32",),
            note="installed from the store",
        ),
        Location("{programs}/Claude/claude_desktop_config.json"),
    ),
    remark="extensions (MCPB) that are installed, with what you have chosen for them; a secret out of the keyring "
    "becomes a variable to be set",
)

_CLAUDE_FILE: Final = "{root}/.claude.json"
_CLAUDE: Final = CodingTool(
    name="claude",
    title="Claude Code",
    syntax=BRACES,
    root=("CLAUDE_CONFIG_DIR", "{home}"),
    project=(
        Location("{cwd}/.mcp.json", reach="above", installable=False),
        Location(_CLAUDE_FILE, ("projects", "{cwd}", "mcpServers"), note="its local scope"),
    ),
    user=(Location(_CLAUDE_FILE),),
    settings=(
        Location(_CLAUDE_FILE),
        Location("{home}/.claude/settings.json"),
        Location("{cwd}/.claude/settings.json"),
        Location("{cwd}/.claude/settings.local.json"),
    ),
    is_off=special.claude_is_off,
    remark="`disabledMcpServers` of the project, `deniedMcpServers` by name and, for servers in `.mcp.json`, "
    "`disabledMcpjsonServers` become `enabled: false`; a server that waits for your approval there is imported",
    format=EntryFormat(
        sign_in=SignInKeys(redirect_port="callbackPort"),
        timeout=_MILLISECONDS,
        ignored=("alwaysLoad",),
        unsupported={
            "headersHelper": "export what it prints as an environment variable and use ${VAR} in headers"
        },
    ),
    install=Installation(
        special.claude_entry,
        command=special.claude_command,
        shared=(".mcp.json", ".claude/settings.local.json", "disabledMcpjsonServers"),
    ),
)

_CONTAINER: Final = ("customizations", "vscode", "mcp", "servers")
_VSCODE: Final = CodingTool(
    name="vscode",
    title="Visual Studio Code",
    syntax=EDITOR,
    project=(
        _old("{cwd}/.devcontainer/devcontainer.json", _CONTAINER, "dev container"),
        _old("{cwd}/.devcontainer.json", _CONTAINER, "dev container"),
        _old("{cwd}/.vscode/settings.json", ("mcp", "servers")),
        Location("{cwd}/.vscode/mcp.json", ("servers",), reach="nearest"),
    ),
    user=(
        _old("{code}/settings.json", ("mcp", "servers")),
        Location("{code}/mcp.json", ("servers",)),
    ),
    variables=special.vscode_variables,
    remark="`~/` at the beginning of command, arguments and `cwd` becomes the home directory",
    format=EntryFormat(
        sign_in=SignInKeys(client_secret=None),
        env_file="envFile",
        expands_home=True,
        ignored=("gallery", "version", "dev"),
        unsupported={"sandboxEnabled": _NO_SANDBOX, "sandbox": _NO_SANDBOX},
    ),
    install=Installation(special.typed_entry, project_prefix=_WORKSPACE),
)

_CLINE: Final = CodingTool(
    name="cline",
    title="Cline",
    root=("CLINE_DIR", "{home}/.cline"),
    user=(
        _old("{code}/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
        Location("{root}/data/settings/cline_mcp_settings.json"),
        Location("$CLINE_MCP_SETTINGS_PATH"),
    ),
    flatten=special.cline_flatten,
    remark="what a nested `transport` says is read as if it stood in the entry",
    format=EntryFormat(
        urls={"url": "sse"},
        timeout=_SECONDS,
        sign_in=SignInKeys("oauthClient"),
        ignored=("alwaysAllow", "autoApprove", "metadata"),
    ),
    install=Installation(off=_DISABLED),
)

_KILO_PROJECT: Final = (
    _old("{cwd}/.kilocode/mcp.json"),
    *_files("{cwd}", "kilo.json", "kilo.jsonc", reach="worktree"),
    *_files("{cwd}/.kilo", "kilo.jsonc", "kilo.json", reach="worktree outwards"),
)
_KILO_USER: Final = (
    _old("{code}/globalStorage/kilocode.kilo-code/settings/mcp_settings.json"),
    *_files("{xdg}/kilo", "kilo.json", "kilo.jsonc"),
    *_files("{home}/.kilo", "kilo.jsonc", "kilo.json"),
)
_KILOCODE: Final = CodingTool(
    name="kilocode",
    title="Kilo Code",
    syntax=EDITOR + CURLY,
    project=_KILO_PROJECT,
    user=_KILO_USER,
    settings=(*_KILO_USER, *_KILO_PROJECT),
    overlays=True,
    flatten=special.opencode_flatten,
    select=special.opencode_select,
    remark="as OpenCode; the older format of the editor extension is read too",
    format=EntryFormat(
        env=("env", "environment"),
        enabled="enabled",
        timeout=_MILLISECONDS,
        exclude="disabledTools",
        sign_in=_OPENCODE_SIGN_IN,
        ignored=("alwaysAllow", "autoApprove", "watchPaths"),
    ),
    install=_OPENCODE_INSTALL,
)

_CODEX: Final = CodingTool(
    name="codex",
    title="Codex CLI",
    root=("CODEX_HOME", "{home}/.codex"),
    project=(Location("{cwd}/.codex/config.toml", ("mcp_servers",), reach="repository"),),
    user=(Location("{root}/config.toml", ("mcp_servers",)),),
    overlays=True,
    finish=special.codex_finish,
    select=special.codex_select,
    remark="files are merged key by key; `env_vars`, `env_http_headers` and `bearer_token_env_var` become references; "
    "`scopes`, `oauth_resource`, `mcp_oauth_callback_port` and `mcp_oauth_callback_url`; "
    "an empty `enabled_tools` becomes `features.tools: false`",
    format=EntryFormat(
        headers=("http_headers",),
        enabled="enabled",
        disabled=None,
        timeout=("tool_timeout_sec", 1.0),
        startup=("startup_timeout_sec", 1.0),
        include="enabled_tools",
        exclude="disabled_tools",
        literal=True,
        empty_is_none=True,
        sign_in=SignInKeys(client_id="client_id", client_secret=None),
        ignored=("required", "default_tools_approval_mode", "tools", "supports_parallel_tool_calls"),
        unsupported={
            "bearer_token": "put the token into an environment variable and use bearer_token_env_var",
            "experimental_environment": "dmcp starts servers on this machine only",
        },
    ),
    install=Installation(
        special.codex_entry,
        _NOT_ENABLED,
        special.codex_command,
        remark="Codex CLI reads a project's file only when you have told it to trust the project.",
    ),
)

_GEMINI_FORMAT: Final = EntryFormat(
    urls={"httpUrl": "http", "url": "sse"},
    timeout=_MILLISECONDS,
    startup=("discoveryTimeoutMs", 0.001),
    include="includeTools",
    exclude="excludeTools",
    literal=True,
    empty_is_none=True,
    sign_in=SignInKeys(),
    ignored=("trust", "extension", "extensionName"),
    unsupported={
        "tcp": "dmcp has no WebSocket transport",
        "authProviderType": _GOOGLE,
        "targetAudience": _GOOGLE,
        "targetServiceAccount": _GOOGLE,
    },
)
_GEMINI: Final = CodingTool(
    name="gemini",
    title="Gemini CLI",
    syntax=SHELL,
    root=("GEMINI_CLI_HOME", "{home}"),
    project=(Location("{cwd}/.gemini/settings.json"),),
    user=(Location("{root}/.gemini/settings.json"),),
    settings=(
        Location("{root}/.gemini/settings.json"),
        Location("{root}/.gemini/mcp-server-enablement.json"),
    ),
    finish=special.gemini_finish,
    is_off=special.gemini_is_off,
    select=special.gemini_select("mcp_{server}_"),
    remark="`mcp.allowed`, `mcp.excluded` and what `gemini mcp disable` writes become `enabled: false`; "
    "`mcp_SERVER_TOOL` in `tools.exclude` becomes `tools.exclude` of that server; "
    "an empty `includeTools` becomes `features.tools: false`",
    format=_GEMINI_FORMAT,
    install=Installation(
        special.gemini_entry,
        command=special.gemini_command("gemini"),
        remark="Gemini CLI starts servers only in folders you have told it to trust.",
        project_prefix="",
    ),
)

_ANTIGRAVITY: Final = CodingTool(
    name="antigravity",
    title="Google Antigravity",
    syntax=PLAIN_BRACES,
    project=(Location("{cwd}/.agents/mcp_config.json", reach="nearest"),),
    user=(
        Location("{home}/.gemini/antigravity/mcp_config.json"),
        Location("{home}/.gemini/config/mcp_config.json", note="newer"),
    ),
    format=EntryFormat(
        urls=_SERVER_URL,
        exclude="disabledTools",
        sign_in=SignInKeys(),
        ignored=("$typeName",),
        unsupported={"authProviderType": _GOOGLE},
    ),
    install=Installation(off=_DISABLED),
)

_COPILOT: Final = CodingTool(
    name="copilot",
    title="Copilot CLI",
    syntax=SHELL,
    root=("COPILOT_HOME", "{home}/.copilot"),
    project=(
        Location("{cwd}/.github/mcp.json", reach="repository", unless="{cwd}/.mcp.json"),
        Location("{cwd}/.mcp.json", reach="repository", installable=False),
    ),
    user=(Location("{root}/mcp-config.json"),),
    settings=(Location("{root}/settings.json"),),
    is_off=special.copilot_is_off,
    remark="`disabledMcpServers` of its settings become `enabled: false`; "
    "`tools` of `*` means all, an empty list none; `.github/mcp.json` is not read where there is a `.mcp.json`",
    format=EntryFormat(
        timeout=_MILLISECONDS, include="tools", empty_is_none=True, ignored=("isDefaultServer",)
    ),
    install=Installation(special.copilot_entry),
)

_QWEN: Final = CodingTool(
    name="qwen",
    title="Qwen Code",
    syntax=PLAIN_SHELL,
    root=("QWEN_HOME", "{home}/.qwen"),
    project=(Location("{cwd}/.qwen/settings.json"),),
    user=(Location("{root}/settings.json"),),
    settings=(Location("{root}/settings.json"),),
    finish=special.gemini_finish,
    is_off=special.qwen_is_off,
    select=special.gemini_select("mcp__{server}__"),
    remark="`mcp.allowed` and `mcp.excluded` become `enabled: false`; `mcp__SERVER__TOOL` in `tools.exclude` becomes "
    "`tools.exclude` of that server; an empty `includeTools` becomes `features.tools: false`",
    format=_GEMINI_FORMAT,
    install=Installation(command=special.gemini_command("qwen"), project_prefix=""),
)

_AMP: Final = CodingTool(
    name="amp",
    title="Amp",
    syntax=PLAIN_BRACES,
    project=(
        _old("{cwd}/.vscode/settings.json", ("amp.mcpServers",), "Amp in Visual Studio Code"),
        Location("{cwd}/.amp/settings.json", ("amp.mcpServers",), reach="nearest"),
        Location("{cwd}/.amp/settings.jsonc", ("amp.mcpServers",), reach="nearest"),
    ),
    user=(
        _old("{code}/settings.json", ("amp.mcpServers",), "Amp in Visual Studio Code"),
        Location("{xdg}/amp/settings.json", ("amp.mcpServers",)),
        Location("{xdg}/amp/settings.jsonc", ("amp.mcpServers",)),
        Location("$AMP_SETTINGS_FILE", ("amp.mcpServers",)),
    ),
    select=special.amp_select,
    remark="`mcp__SERVER__TOOL` in `amp.tools.disable` becomes `tools.exclude` of that server",
    format=EntryFormat(include="includeTools"),
)

_WINDSURF: Final = CodingTool(
    name="windsurf",
    title="Windsurf",
    syntax=EDITOR,
    user=(Location("{home}/.codeium/windsurf/mcp_config.json"),),
    format=EntryFormat(urls=_SERVER_URL, exclude="disabledTools", ignored=("alwaysAllow", "autoApprove")),
    install=Installation(off=_DISABLED),
)

_ZED: Final = CodingTool(
    name="zed",
    title="Zed",
    project=(Location("{cwd}/.zed/settings.json", ("context_servers",), reach="nearest"),),
    user=(
        Location("{xdg}/zed/settings.json", ("context_servers",), ("linux",)),
        Location("{home}/.config/zed/settings.json", ("context_servers",), ("darwin",)),
        Location("{appdata}/Zed/settings.json", ("context_servers",), ("win32",)),
    ),
    flatten=special.zed_flatten,
    remark="an older nested `command` table is read too; servers that come with an extension are left out",
    format=EntryFormat(enabled="enabled", timeout=_SECONDS, ignored=("source", "settings", "remote")),
    install=Installation(special.zed_entry, _NOT_ENABLED),
)

_ROO: Final = CodingTool(
    name="roo",
    title="Roo Code",
    syntax=EDITOR,
    project=(Location("{cwd}/.roo/mcp.json", reach="nearest"),),
    user=(Location("{code}/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"),),
    format=EntryFormat(timeout=_SECONDS, exclude="disabledTools", ignored=("alwaysAllow", "watchPaths")),
    install=Installation(off=_DISABLED),
)

_KIRO: Final = CodingTool(
    name="kiro",
    title="Kiro",
    syntax=PLAIN_BRACES,
    project=(Location("{cwd}/.kiro/settings/mcp.json", reach="nearest"),),
    user=(
        _old("{home}/.kiro/settings/mcp.json", ("powers", "mcpServers"), "powers"),
        Location("{home}/.kiro/settings/mcp.json"),
    ),
    format=EntryFormat(exclude="disabledTools", timeout=_MILLISECONDS, ignored=("autoApprove",)),
    install=Installation(off=_DISABLED),
)

_LMSTUDIO: Final = CodingTool(
    name="lmstudio",
    title="LM Studio",
    syntax=EDITOR,
    user=(Location("{home}/.lmstudio/mcp.json"),),
    format=EntryFormat(env_file="envFile", timeout=_MILLISECONDS),
)

_JUNIE: Final = CodingTool(
    name="junie",
    title="Junie",
    project=(Location("{cwd}/.junie/mcp/mcp.json", reach="nearest"),),
    user=(Location("{home}/.junie/mcp/mcp.json"),),
    format=EntryFormat(enabled="enabled"),
    install=Installation(off=_NOT_ENABLED),
)

_GOOSE: Final = CodingTool(
    name="goose",
    title="Goose",
    syntax=PLAIN_BRACES,
    user=(
        Location("{xdg}/goose/config.yaml", ("extensions",), ("linux", "darwin")),
        Location("{appdata}/Block/goose/config/config.yaml", ("extensions",), ("win32",)),
    ),
    flatten=special.goose_flatten,
    finish=special.goose_finish,
    remark="`env_keys` become references to variables to be set; parts of Goose itself are left out",
    format=EntryFormat(
        command="cmd",
        env=("envs",),
        urls={"uri": "http"},
        enabled="enabled",
        timeout=_SECONDS,
        include="available_tools",
        ignored=("name", "display_name", "bundled"),
        unsupported={"socket": "dmcp does not connect over a local socket"},
    ),
    install=Installation(special.goose_entry, _NOT_ENABLED),
)

_CONTINUE: Final = CodingTool(
    name="continue",
    title="Continue",
    syntax=TEMPLATED,
    project=(Location("{cwd}/.continue/mcpServers/*", reach="nearest"),),
    user=(
        _old("{home}/.continue/config.json", special.CONTINUE_OLD),
        Location("{home}/.continue/config.yaml"),
        Location("{home}/.continue/mcpServers/*"),
    ),
    flatten=special.continue_flatten,
    remark="`requestOptions.headers` and `apiKey` become headers",
    format=EntryFormat(
        env_file="envFile",
        startup=("connectionTimeout", 0.001),
        ignored=("name", "faviconUrl", "icon", "sourceFile", "sourceSlug", "serverName"),
    ),
    install=Installation(own_file=".continue/mcpServers/dmcp.json"),
)

_ALL: Final = (
    *(
        _CURSOR,
        _OPENCODE,
        _CLAUDE_DESKTOP,
        _CLAUDE,
        _VSCODE,
        _CLINE,
        _KILOCODE,
        _CODEX,
        _GEMINI,
        _ANTIGRAVITY,
    ),
    *(_COPILOT, _QWEN, _AMP, _WINDSURF, _ZED, _ROO, _KIRO, _LMSTUDIO, _JUNIE, _GOOSE, _CONTINUE),
)

TOOLS: Final[Mapping[str, CodingTool]] = MappingProxyType({tool.name: tool for tool in _ALL})
"""The tools by name."""


def nearest(name: str) -> str | None:
    """Return the name of the tool that the user probably meant."""
    close = difflib.get_close_matches(name.lower(), TOOLS, n=1, cutoff=0.5)
    return close[0] if close else None
