"""Whether dmcp's own configuration accepts an entry: asked of the real schema, before anything is written.

The importers are lenient about what other tools wrote; dmcp is strict. Here the two meet.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from dmcp.config.problems import from_pydantic, spell_path
from dmcp.config.resolving import Filling, server_from
from dmcp.config.schema import ConfigurationFile

_UP_TO_NAME = 2


def refusal(name: str, entry: dict[str, Any]) -> str | None:
    """Why dmcp would not take this entry, without its values; ``None`` if it would.

    References are not resolved: a variable that is not set today is no fault of the entry.
    """
    try:
        shape = ConfigurationFile.model_validate({"mcpServers": {name: entry}})
    except ValidationError as error:
        problems = [from_pydantic(one) for one in error.errors(include_url=False)]
    else:
        filling = Filling({}, ("mcpServers", name))
        server_from(name, shape, filling)
        problems = filling.problems
    texts = (f"{spell_path(each.path[_UP_TO_NAME:])} {each.text}" for each in problems)
    return "; ".join(texts) or None
