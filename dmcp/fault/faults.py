"""The catalogue: every kind of fault by its name, and the union a script is read into.

Not here: the models themselves (``process_faults``, ``message_faults``, ``http_faults``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias, Union, get_args

from pydantic import Field

from dmcp.fault.http_faults import ContentType, CutStream, ForgetSession, Status, Unauthorized
from dmcp.fault.message_faults import (
    Drip,
    Drop,
    Duplicate,
    Garbage,
    Half,
    Late,
    Loop,
    Malformed,
    Misaddress,
    Oversize,
    Refusal,
    Reorder,
    Split,
    Version,
)
from dmcp.fault.process_faults import Ask, CloseOutput, Crash, Deaf, Exit, Flood, Hang, Orphan, Refuse, Slow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.fault.limits import Limits

Fault: TypeAlias = Annotated[
    Union[  # noqa: UP007 - get_args below needs the members of a real Union
        Refuse,
        Exit,
        Crash,
        Hang,
        Slow,
        Drip,
        Garbage,
        Half,
        Split,
        Oversize,
        Duplicate,
        Reorder,
        Drop,
        Late,
        Misaddress,
        Malformed,
        Version,
        Loop,
        Flood,
        Refusal,
        Ask,
        CloseOutput,
        Deaf,
        Orphan,
        Status,
        Unauthorized,
        ContentType,
        CutStream,
        ForgetSession,
    ],
    Field(discriminator="fault"),
]  # fmt: skip - one name a line would say no more

KINDS: Mapping[str, type[Limits]] = {
    kind.model_fields["fault"].default: kind for kind in get_args(get_args(Fault)[0])
}
"""Every kind of fault by its name in a script."""
