"""Starts, restarts and stops everything else. Children are data; what a configuration change means is decided purely.

The core (auth, catalog, frontend) is started once: a core actor that fails ends the process. Upstreams are
one-for-one: each is started again by its own policy, whatever happens to the others. A restart is a new actor
with a new generation; what an old one still says is dropped.
"""

# Long because starting, losing and stopping a child are read side by side; children and policy are elsewhere.

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, assert_never

from dmcp import log
from dmcp.actors.children import Child, Core, Factories, group_of, why_not
from dmcp.actors.restart import MISSING_DELAY, UNWELCOME_DELAY, after_failure
from dmcp.actors.runtime import LoopActor, Watch, post, stop
from dmcp.messages import events, frontend, upstream
from dmcp.messages.auth import Subscribe
from dmcp.messages.lifecycle import ChildFailed, ChildStopped
from dmcp.messages.supervisor import (
    Bequeathed,
    ConfigurationRejected,
    Configure,
    Directory,
    IdleLongEnough,
    Shutdown,
    Undelivered,
    UpstreamLost,
    UpstreamReady,
)
from dmcp.messages.upstream import Beginning, Peers
from dmcp.protocol import categories, upstream_errors
from dmcp.protocol.link import FaultKind
from dmcp.protocol.operations import Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.config.model import Configuration
    from dmcp.messages import Address
    from dmcp.protocol.subscriptions import Subscription

RELOAD_GRACE: Final = 10.0
"""Seconds the calls in flight of an upstream that a reload stops or restarts get to finish."""

_STOP_PATIENCE = 6.0  # seconds stopping may take beyond the grace before the process ends all the same


def _random() -> float:
    import random  # noqa: PLC0415 - the first answer does not wait for it

    return random.random()  # noqa: S311 - spreads retries, keeps no secret


class Supervisor(LoopActor):
    """The actor at the root of the tree."""

    def __init__(
        self,
        factories: Factories,
        on_end: Callable[[int], None],
        audit: Address,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = _random,
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
        self._ending: Shutdown | None = None
        self._closing = False  # upstreams are being stopped; before, calls in flight have their grace
        self._core: Core | None = None
        self._frontend: Address

    def __repr__(self) -> str:
        return f"<Supervisor {len(self._children)} upstreams, {len(self._stopping)} stopping>"

    def on_start(self) -> None:
        """The start list, first part: what can answer the client's first words."""
        self._frontend = self._make.frontend(self.actor_ref, Watch(self.actor_ref, "frontend"))

    def _start_core(self) -> Core:
        """The start list, second part; upstreams follow. ``_on_stopped`` holds the stop list that mirrors it."""
        core = Core(
            auth=self._make.auth(Watch(self.actor_ref, "auth")),
            catalog=self._make.catalog(Watch(self.actor_ref, "catalog")),
        )
        post(core.auth, Subscribe(self._audit))
        return core

    def on_receive(self, message: Any) -> None:  # noqa: C901, PLR0912 - one line per message
        """Handle one message, on the loop."""
        # Long because there is a case for each message.
        match message:
            case Configure(configuration):
                self._configure(configuration)
            case ConfigurationRejected(problem):
                self._problem = problem
                self._publish()
            case UpstreamReady(group, generation):
                child = self._present(group, generation)
                if child is not None:
                    child.history = child.history.ready(self._clock())
                    child.missing = ""
            case UpstreamLost():
                self._on_lost(message)
            case Undelivered(group, request):
                self._redeliver(group, request)
            case Bequeathed(group, subscriptions):
                self._hand_down(group, subscriptions)
            case IdleLongEnough(group, generation):
                child = self._present(group, generation)
                if child is not None:
                    self._let_sleep(child)
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
        from dmcp.config.diff import plan  # noqa: PLC0415 - the first answer does not wait for it
        from dmcp.config.model import Configuration  # noqa: PLC0415 - likewise

        core = self._core = self._core or self._start_core()
        log.hide(configuration.secrets, configured=True)
        is_first = self._configuration is None
        changes = plan(self._configuration or Configuration(), configuration)
        self._configuration, self._problem = configuration, ""
        old, self._children = self._children, {}
        for name, config in configuration.servers.items():
            child = old.pop(name, None) or Child(config)
            self._children[name] = child
            if name in changes.update:
                child.config = config
                if child.address is not None:
                    post(child.address, upstream.Reconfigure(config))
            elif name in changes.restart:
                self._retire(child)
                self._children[name] = child = Child(config)
                self._start_anew(child, core)
            elif name in changes.start:
                self._start_anew(child, core)
            elif (child.history.parked or child.missing) and child.address is not None:
                # The person may have mended what kept it from starting; that is no use of it.
                post(child.address, upstream.Wake(only_to_learn=True))
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
        """What the group's server is from now on; only a remote one has credentials."""
        from dmcp.config.model import RemoteServer  # noqa: PLC0415 - the first answer does not wait for it
        from dmcp.messages.auth import Configured, Forget  # noqa: PLC0415 - likewise

        post(core.auth, Configured(group, target) if isinstance(target, RemoteServer) else Forget(group))

    def _start_anew(self, child: Child, core: Core) -> None:
        """Start the first life of a server that is new, or configured in another way."""
        self._tell_auth(core, child.config.name, child.config.target)
        self._start(child, Beginning(asleep=child.config.startup == "lazy"))

    def _start(self, child: Child, beginning: Beginning) -> None:
        if why_not(child) or self._core is None:
            return
        self._generation += 1
        child.generation = self._generation
        peers = Peers(self.actor_ref, self._core.catalog, self._audit)
        watch = Watch(self.actor_ref, child.config.name, child.generation)
        child.address = self._make.upstream(child.config, beginning, peers, watch)
        post(self._core.auth, Subscribe(child.address, child.config.name))

    def _retire(self, child: Child) -> None:
        if child.address is not None:
            self._stopping[child.config.name, child.generation] = child.address
            if not post(child.address, upstream.Stop(RELOAD_GRACE)):
                del self._stopping[child.config.name, child.generation]

    def _publish(self) -> None:
        if self._core is None:
            return
        groups = {name: group_of(child) for name, child in self._children.items()}
        directory = Directory(groups, self._core.catalog, self._core.auth, self._problem)
        post(self._core.catalog, directory)
        post(self._frontend, directory)

    # The lives of upstreams ---------------------------------------------------------------------------------------

    def _present(self, group: str, generation: int) -> Child | None:
        child = self._children.get(group)
        return child if child is not None and child.generation == generation else None

    def _tell_all(self, message: object) -> None:
        for child in self._children.values():
            if child.address is not None:
                post(child.address, message)

    def _on_lost(self, news: UpstreamLost) -> None:
        child = self._present(news.group, news.generation)
        if child is None or self._closing:
            self._stopping.pop((news.group, news.generation), None)
            for request in news.repeat:
                self._redeliver(news.group, request)
            self._end_if_stopped()
            return
        if news.unused and child.config.startup == "lazy":
            self._let_sleep(child, news.reason)
            return
        if news.at_once or (news.kind is FaultKind.SESSION_LOST and news.was_ready):
            delay = 0.0  # a server that has forgotten us is there
        elif news.kind is FaultKind.UNAUTHORIZED:
            delay = UNWELCOME_DELAY
            self._say_again(news.group, news.reason, "in use", delay)
        elif news.kind is FaultKind.MISSING:
            delay = MISSING_DELAY
            if child.missing != news.reason:
                self._say_again(news.group, news.reason, "present", delay)
        else:
            delay = self._judge(child, news.reason)
        child.missing = news.reason if news.kind is FaultKind.MISSING else ""
        beginning = Beginning(
            delay,
            news.reason,
            repeat=news.repeat,
            subscriptions=news.subscriptions,
            category=news.category,
            missing=bool(child.missing),
        )
        self._start(child, beginning)
        if child.address is not None:
            for request in news.repeat:
                post(self._frontend, frontend.Moved(request.call, child.address))
        self._publish()

    def _let_sleep(self, child: Child, reason: str = "") -> None:
        """Have a lazy server wait for its next use."""
        if reason:
            self._say_again(child.config.name, reason, "wanted")
        self._start(child, Beginning(asleep=True))
        self._publish()

    def _judge(self, child: Child, reason: str) -> float:
        child.history, verdict = after_failure(
            child.config.restart, child.history, self._clock(), self._jitter()
        )
        when: events.When = "parked" if verdict.parked else "backoff"
        self._say_again(child.config.name, reason, when, verdict.delay)
        return verdict.delay

    def _say_again(self, group: str, reason: str, when: events.When, delay: float = 0.0) -> None:
        post(self._audit, events.ReconnectScheduled(group, reason, when, delay))

    def _redeliver(self, group: str, request: upstream.Submit) -> None:
        child = self._children.get(group)
        if child is None or child.address is None or self._closing:
            error = upstream_errors.retry_expired(
                group, "dmcp is stopping it", request.operation, may_have_run=request.may_have_run
            )
            post(request.context.reply_to, frontend.Settled(request.call, Error(error)))
        elif not post(child.address, request):
            # Its end is in our inbox behind this message: the next generation will be there when we come back to it.
            self.actor_ref.tell(Undelivered(group, request))
        else:
            post(self._frontend, frontend.Moved(request.call, child.address))

    def _hand_down(self, group: str, subscriptions: frozenset[Subscription]) -> None:
        child = self._children.get(group)
        if child is None or child.address is None:
            return
        if not post(child.address, upstream.TakeOver(subscriptions)):
            # Its end is in our inbox, and this behind it, as in _redeliver.
            self.actor_ref.tell(Bequeathed(group, subscriptions))

    def _on_failed(self, news: ChildFailed) -> None:
        child = self._present(news.child, news.generation)
        address = child.address if child else self._stopping.pop((news.child, news.generation), None)
        reason = log.mask(news.reason)
        if news.generation == 0:  # the core has one generation, numbered 0
            log.error(f"{news.child} failed, dmcp ends: {news.reason}")
            self._shut_down(Shutdown(grace=0.0, status=1))
            return
        if address is not None:
            post(self._frontend, frontend.UpstreamGone(address, news.child, f"dmcp failed: {reason}"))
        if child is not None and not self._closing:
            self._start(child, Beginning(self._judge(child, reason), reason, category=categories.FAILED))
            self._publish()
        self._end_if_stopped()

    # Stopping -----------------------------------------------------------------------------------------------------

    def _shut_down(self, order: Shutdown) -> None:
        if self._ending is not None:
            # Asked again, or something broke on the way: of the two graces the shorter one counts.
            self._ending = order._replace(status=max(order.status, self._ending.status))
        else:
            self._ending = order
            self.later(order.grace + _STOP_PATIENCE, ChildStopped("supervisor", 0))
        if not post(self._frontend, frontend.Finish(order.grace, order.reason)):
            self._stop_upstreams()

    def _on_stopped(self, name: str, generation: int) -> None:
        """The stop list: the frontend, then the upstreams, then the catalog and auth, which have nothing to finish."""
        if name == "frontend" and generation == 0:
            self._stop_upstreams()
        elif name == "supervisor" and generation == 0:
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
        post(self._frontend, frontend.GraceOver())
        present = [child.address for child in self._children.values() if child.address is not None]
        for address in (*present, *self._stopping.values(), *(self._core or ())):
            stop(address)

    def on_end(self) -> None:
        """The process ends with the supervisor, whatever ended it; after a failure nobody else stops the others."""
        if not self._closing or self._stopping:
            self._abandon_ship()
        stop(self._audit)
        self._on_end(self._ending.status if self._ending is not None and self._closing else 1)
