"""The way in: makes a ``Configuration`` of a file, or says everything that is wrong with it.

All functions block for the time of reading one small file. Not here: where the file is, watching it, and using it.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp.config.model import Configuration
from dmcp.config.problems import Problem, checked, format_problems
from dmcp.config.resolving import Budget, ReferenceResolver, server_from
from dmcp.config.schema import ConfigurationFile
from dmcp.config.syntax import decode, parse
from dmcp.errors import ConfigError
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.config.positions import Positions

PINNED: Final = "DMCP_PINNED_CONFIG"
"""The environment variable in which a command tells the dmcp it starts what the configuration has to be: the SHA-256 of
the bytes that the user has trusted. Others are refused, at a reload too."""

ONLY: Final = "DMCP_ONLY"
"""The environment variable in which a command tells the dmcp it starts which groups it is about: a JSON list of names.
The others are not there."""

ADVISED: Final = "DMCP_ADVISED"
"""The environment variable in which a command tells the dmcp it starts how the user has named the configuration,
for the commands it advises; empty: they find it by themselves."""

LARGEST: Final = 1024 * 1024
"""Bytes. No configuration is larger; a file that is was named by mistake."""


MOST_SERVERS: Final = 1000
"""Servers in a file, those that are switched off included."""


class Document(NamedTuple):
    """A configuration file that could be parsed. Nothing in it has been checked.

    Attributes:
        file: the path as it was given.
        values: the object at the top of the file.
        positions: where its keys stand.
    """

    file: Path
    values: Mapping[str, Any]
    positions: Positions


def read(path: str | Path, content: bytes | None = None) -> Document:
    """Read and parse a file: JSON (comments and trailing commas allowed) or TOML.

    Args:
        path: the file.
        content: its bytes, if they have been read already.

    Raises:
        ConfigError: it cannot be read or parsed, or a key stands in it twice; one sentence for each mistake.
    """
    file = Path(path).expanduser()
    values, positions = parse(decode(content_of(file) if content is None else content, file), file)
    document = Document(file, values, positions)
    twice = [
        Problem(r.path, f"stands here again after line {r.first_line}: keep one of them", r.line)
        for r in positions.repeated
    ]
    if twice:
        raise ConfigError(*format_problems(str(file), twice, positions))
    return document


def load(path: str | Path, environ: Mapping[str, str], content: bytes | None = None) -> Configuration:
    """Return the configuration in a file.

    Args:
        path: the file.
        environ: where ``${VAR}`` is looked up. A variable that is not set makes its server ``Unresolved``.
        content: its bytes, if they have been read already.

    Raises:
        ConfigError: the file cannot be read, parsed or accepted; one sentence for each mistake in it.
    """
    return configuration_of(read(path, content), environ)


def configuration_of(document: Document, environ: Mapping[str, str]) -> Configuration:
    """Return the configuration a document describes. See ``load``.

    Raises:
        ConfigError: it cannot be accepted; one sentence for each mistake in it.
    """
    shape, problems = checked(ConfigurationFile, document.values)
    if shape is not None:
        directory = os.path.abspath(document.file.parent)  # noqa: PTH100 - links are the user's own
        configuration, problems = _resolved(shape, environ, directory)
        if not problems:
            return configuration
    raise ConfigError(*format_problems(str(document.file), problems, document.positions))


def content_of(path: str | Path) -> bytes:
    """Return the bytes of a configuration file. Never waits, whatever is in its place.

    Raises:
        ConfigError: it cannot be read, is no file or is larger than ``LARGEST``.
    """
    file = Path(path).expanduser()
    try:
        return files.read(file, LARGEST)
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file: check the path to the configuration.") from None
    except IsADirectoryError:
        raise ConfigError(f"{file}: this is a directory: name the configuration file in it.") from None
    except files.TooLarge:
        raise ConfigError(
            f"{file}: the file is larger than {LARGEST // 1024} KiB: that is no configuration."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is no file name"
        raise ConfigError(f"{file}: the configuration cannot be read: {reason}.") from None


def _resolved(
    shape: ConfigurationFile, environ: Mapping[str, str], directory: str
) -> tuple[Configuration, list[Problem]]:
    servers = {}
    secrets: set[str] = set()
    references: dict[str, frozenset[str]] = {}
    problems: list[Problem] = []
    if len(shape.mcpServers) > MOST_SERVERS:
        text = f"has {len(shape.mcpServers):,} servers: {MOST_SERVERS:,} is the most dmcp takes"
        return Configuration(MappingProxyType({})), [Problem(("mcpServers",), text)]
    budget = Budget()
    for name in shape.mcpServers:
        resolver = ReferenceResolver(environ, ("mcpServers", name), budget=budget, directory=directory)
        server = server_from(name, shape, resolver)
        problems += resolver.problems
        references[name] = frozenset(resolver.names)
        if server.enabled:
            servers[name] = server
            secrets |= resolver.secrets
    secrets.discard("")
    configuration = Configuration(
        servers=MappingProxyType(servers),
        oauth_store=shape.oauth_store,
        secrets=frozenset(secrets),
        references=MappingProxyType(references),
    )
    return configuration, problems
