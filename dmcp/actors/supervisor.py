"""Starts, restarts and stops everything else. Children are data; what a configuration change means is decided purely.

The core (auth, catalog) is started once: a core actor that fails ends the process. Clients come and go; their frontends
are made and monitored by who attaches them, and end first when everything does. Each configured server has one
upstream, which looks after its connections itself; only one that fails, by a bug of dmcp, is started again, after a
delay of its server's restart policy. That is another actor with another generation: what the old one says is dropped.
"""

# Long because starting, losing and stopping a child are read side by side; children and policy are elsewhere.

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, assert_never

from dmcp import log
from dmcp.actors.children import Child, Core, Factories, group_of, why_not
from dmcp.actors.restart import after_failure
from dmcp.actors.runtime import LoopActor, Watch, jitter, post, stop
from dmcp.config.diff import plan
from dmcp.config.model import Configuration, RemoteServer
from dmcp.messages import events, frontend, upstream
from dmcp.messages.auth import Configured, Forget, Subscribe
from dmcp.messages.lifecycle import ChildFailed, ChildStopped
from dmcp.messages.supervisor import (
    ClientAttached,
    ClientDetached,
    ConfigurationRejected,
    Configure,
    Directory,
    Shutdown,
)
from dmcp.messages.upstream import Peers

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.messages import Address

RELOAD_GRACE: Final = 10.0
"""Seconds the calls in flight of a server get to finish that a reload stops, or gives another connection."""

_SEVERAL = 2  # clients that make each other's servers shared
_STOP_PATIENCE = 6.0  # seconds stopping may take beyond the grace before the process ends all the same


class Supervisor(LoopActor):
    """The actor at the root of the tree."""

    def __init__(
        self,
        factories: Factories,
        on_end: Callable[[int], None],
        audit: Address,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = jitter,
    ) -> None:
        super().__init__()
        self._make = factories
        self._on_end = on_end
        self._audit = audit
        self._clock = clock
        self._jitter = jitter
        self._configuration: Configuration | None = None
        self._children: dict[str, Child] = {}
        self._stopping: dict[tuple[str, int], Address] = {}
        self._generation = 0
        self._problem = ""
        self._directory: Directory | None = None
        self._ending: Shutdown | None = None
        self._closing = False  # upstreams are being stopped; before, calls in flight have their grace
        self._core: Core | None = None
        self._clients: dict[int, Address] = {}  # the frontends

    def __repr__(self) -> str:
        return f"<Supervisor {len(self._children)} upstreams, {len(self._stopping)} stopping>"

    def _start_core(self) -> Core:
        """Start what upstreams need, with the first configuration."""
        core = Core(
            auth=self._make.auth(Watch(self.actor_ref, "auth")),
            catalog=self._make.catalog(Watch(self.actor_ref, "catalog")),
        )
        post(core.auth, Subscribe(self._audit))
        return core

    def on_receive(self, message: Any) -> None:
        """Handle one message, on the loop."""
        # Long because there is a case for each message.
        match message:
            case Configure(configuration):
                self._configure(configuration)
            case ConfigurationRejected(problem):
                self._problem = problem
                self._publish()
            case ClientAttached(client, address):
                self._attach(client, address)
            case ClientDetached(client):
                self._detach(client)
            case ChildFailed():
                self._on_failed(message)
            case ChildStopped(name, generation):
                self._on_stopped(name, generation)
            case Shutdown():
                self._shut_down(message)
            case _:
                assert_never(message)

    # Configurations -----------------------------------------------------------------------------------------------

    def _configure(self, configuration: Configuration) -> None:
        if self._closing:
            return
        core = self._core = self._core or self._start_core()
        log.hide(configuration.secrets, configured=True)
        is_first = self._configuration is None
        changes = plan(self._configuration or Configuration(), configuration)
        self._configuration, self._problem = configuration, ""
        old, self._children = self._children, {}
        for name, config in configuration.servers.items():
            child = self._children[name] = old.pop(name) if name in old else Child(config)
            if name in changes.start or name in changes.restart:
                self._tell_auth(core, name, config.target)
            child.config = config
            if why_not(child):
                self._retire(child)
            elif child.address is None:
                self._start(child)
            else:
                grace = RELOAD_GRACE if name in changes.restart else None
                post(child.address, upstream.Reconfigure(config, grace))
        for child in old.values():
            self._retire(child)
            self._tell_auth(core, child.config.name, None)
        applied = events.ConfigurationApplied(
            len(changes.start),
            len(changes.restart),
            len(changes.stop),
            len(changes.update),
            len(changes.keep),
            is_first,
        )
        post(self._audit, applied)
        self._publish()

    @staticmethod
    def _tell_auth(core: Core, group: str, target: object) -> None:
        """Tell auth what the group's server is from now on; only a remote one has credentials."""
        post(core.auth, Configured(group, target) if isinstance(target, RemoteServer) else Forget(group))

    def _start(self, child: Child, crash: upstream.Crash | None = None) -> None:
        if self._core is None:
            return
        self._generation += 1
        child.generation = self._generation
        peers = Peers(self.actor_ref, self._core.catalog, self._core.auth, self._audit)
        watch = Watch(self.actor_ref, child.config.name, child.generation)
        child.address = self._make.upstream(child.config, peers, watch, crash)

    def _retire(self, child: Child) -> None:
        """Stop the upstream of a server that is no longer configured, or that cannot be started as configured."""
        address, child.address = child.address, None
        if address is not None and post(address, upstream.Stop(RELOAD_GRACE)):
            self._stopping[child.config.name, child.generation] = address

    def _publish(self) -> None:
        if self._core is None:
            return
        groups = {name: group_of(child) for name, child in self._children.items()}
        self._directory = Directory(groups, self._core.catalog, self._core.auth, self._problem)
        post(self._core.catalog, self._directory)
        self._tell_clients(self._directory)

    # Clients ------------------------------------------------------------------------------------------------------

    def _attach(self, client: int, address: Address) -> None:
        self._clients[client] = address
        if len(self._clients) == _SEVERAL:
            self._tell_clients(frontend.SharingChanged(shared=True))
        elif len(self._clients) > _SEVERAL:
            post(address, frontend.SharingChanged(shared=True))
        if self._directory is not None:
            post(address, self._directory)
        if self._ending is not None:
            post(address, frontend.Finish(0.0, self._ending.reason))

    def _detach(self, client: int) -> None:
        if self._clients.pop(client, None) is None:
            return
        if len(self._clients) == _SEVERAL - 1:
            self._tell_clients(frontend.SharingChanged(shared=False))
        if self._ending is not None and not self._clients:
            self._stop_upstreams()

    def _tell_clients(self, message: object) -> None:
        for address in self._clients.values():
            post(address, message)

    # Upstreams that fail ------------------------------------------------------------------------------------------

    def _present(self, group: str, generation: int) -> Child | None:
        child = self._children.get(group)
        return child if child is not None and child.generation == generation else None

    def _on_failed(self, news: ChildFailed) -> None:
        child = self._present(news.child, news.generation)
        address = child.address if child else self._stopping.pop((news.child, news.generation), None)
        reason = log.mask(news.reason)
        if news.generation == 0:  # the core has one generation, numbered 0
            log.error(f"{news.child} failed, dmcp ends: {news.reason}")
            self._shut_down(Shutdown(grace=0.0, status=1))
            return
        if address is not None:
            self._tell_clients(frontend.UpstreamGone(address, news.child, f"dmcp failed: {reason}"))
        if child is not None and not self._closing:
            child.history, decision = after_failure(
                child.config.restart, child.history, self._clock(), self._jitter()
            )
            when: events.When = "parked" if decision.parked else "backoff"
            post(self._audit, events.ReconnectScheduled(child.config.name, reason, when, decision.delay))
            self._start(child, upstream.Crash(reason, decision.delay))
            self._publish()
        self._end_if_stopped()

    # Stopping -----------------------------------------------------------------------------------------------------

    def _shut_down(self, order: Shutdown) -> None:
        if self._ending is not None:
            # Asked again, or something broke on the way: of the two graces the shorter one counts.
            self._ending = order._replace(status=max(order.status, self._ending.status))
        else:
            self._ending = order
            self.call_later(order.grace + _STOP_PATIENCE, ChildStopped("supervisor", 0))
        self._tell_clients(frontend.Finish(order.grace, order.reason))
        if not self._clients:
            self._stop_upstreams()

    def _on_stopped(self, name: str, generation: int) -> None:
        """The stop list: the clients, then the upstreams, then the catalog and auth, which have nothing to finish."""
        if name == "supervisor" and generation == 0:
            log.error(f"did not stop in time: {', '.join(group for group, _ in self._stopping) or 'nothing'}")
            self._finish()
        else:
            self._stopping.pop((name, generation), None)
            self._end_if_stopped()

    def _stop_upstreams(self) -> None:
        self._closing = True
        children, self._children = self._children, {}
        for child in children.values():
            if child.address is not None:
                self._stopping[child.config.name, child.generation] = child.address
        for key, address in list(self._stopping.items()):
            if not post(address, upstream.Stop(0.0)):
                del self._stopping[key]
        self._end_if_stopped()

    def _end_if_stopped(self) -> None:
        if self._closing and not self._stopping:
            self._finish()

    def _finish(self) -> None:
        if self._core is not None:
            stop(self._core.catalog)
            stop(self._core.auth)
        self.end()

    def _abandon_ship(self) -> None:
        """Have everybody end at once: what the client waits for is answered, and every server's link is closed."""
        self._tell_clients(frontend.GraceOver())
        present = [child.address for child in self._children.values() if child.address is not None]
        for address in (*present, *self._stopping.values(), *(self._core or ())):
            stop(address)

    def on_end(self) -> None:
        """End the process: after a failure nobody else stops the others."""
        if not self._closing or self._stopping:
            self._abandon_ship()
        stop(self._audit)
        self._on_end(self._ending.status if self._ending is not None and self._closing else 1)
