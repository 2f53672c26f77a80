"""The link's interface lives in ``dmcp.protocol.link``, because actors know it and must not import this room."""

from dmcp.protocol.link import (
    MAX_FRAME,
    Credentials,
    FaultKind,
    Link,
    LinkEvents,
    LinkFault,
    OpenLink,
)

__all__ = ["MAX_FRAME", "Credentials", "FaultKind", "Link", "LinkEvents", "LinkFault", "OpenLink"]
