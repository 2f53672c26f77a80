"""The composition root: makes the parts, starts them in order, and stops them in the reverse order.

Start list                          Stop list
1. the audit actor, the supervisor  5. standard input and output are flushed and closed
2. the client of standard input     4. the supervisor ends, and with it catalog and auth
   and output, with its frontend    3. every upstream: its input closes, SIGTERM, SIGKILL
3. the first look at what the       2. calls in flight get their grace
   client has sent already          1. the frontends take no new requests
4. the configuration, and with it
   auth, catalog and one upstream
   per server
5. the watch on the configuration

The client's ``initialize`` is answered before the configuration is read, as a rule even before this module is imported
(``dmcp.downstream.first_answer``): the answer depends on neither. So everything that serving needs is imported here, at
the top, and by those modules likewise. What only some need is imported where it is used: HTTP and sign-in
(``dmcp.upstream.remote``, ``dmcp.auth.lazy``), stages, and the watch on the configuration. The process ends when the
frontend of standard input and output has ended.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dmcp import __version__, log
from dmcp.actors.audit import Audit
from dmcp.actors.auth import AuthActor
from dmcp.actors.catalog import Catalog
from dmcp.actors.credentials import ActorCredentials
from dmcp.actors.dispatch import report_unhandled
from dmcp.actors.frontend import Frontend
from dmcp.actors.mailbox import ClientMailbox
from dmcp.actors.runtime import Dispatcher, Watch, post
from dmcp.actors.supervisor import Supervisor
from dmcp.actors.upstream import Upstream
from dmcp.auth.lazy import LazyAuthorizer
from dmcp.config import loading
from dmcp.config.exposure import exposed
from dmcp.config.model import RemoteServer, StdioServer
from dmcp.config.places import user_file
from dmcp.config.watching import watch
from dmcp.downstream.first_answer import release_signals
from dmcp.downstream.stdio import Downstream
from dmcp.errors import ConfigError, InternalError
from dmcp.messages import events
from dmcp.messages.lifecycle import ChildFailed
from dmcp.messages.supervisor import ClientAttached, ConfigurationRejected, Configure, Shutdown
from dmcp.protocol import cached_listings, descriptions, wire
from dmcp.store.listings import ListingFiles
from dmcp.text import printable
from dmcp.upstream.remote import remote_opener
from dmcp.upstream.stdio import stdio_opener
from dmcp.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from pykka import ActorRef

    from dmcp.config.model import Configuration, ServerConfig
    from dmcp.downstream.first_answer import FirstAnswer
    from dmcp.messages import Address
    from dmcp.messages.upstream import Crash, Peers
    from dmcp.protocol.eras.handshake import ServerSession
    from dmcp.protocol.link import ClientEvents, ClientLink, OpenLink

L = TypeVar("L", bound="ClientLink")

SIGNAL_GRACE = 0.5
"""Seconds calls in flight get when dmcp is told to end by a signal."""

_FLUSH_TIMEOUT = 2.0  # seconds the client gets to read the last answers
_CLOSE_TIMEOUT = 5.0  # seconds links that are still closing get at the very end
_READERS = 2  # readings of a changed configuration at the same time; one of them may never end
_WATCH_AFTER = 0.3  # seconds after the start: importing what watches would delay the servers
_WATCH_AGAIN = 5.0  # seconds until a watch that failed is begun again
_LAST_READING = 1.0  # seconds the first configuration gets to be read when dmcp has to end meanwhile
_STARTUP_TICKS = 3  # turns of the loop in which what the client has sent already is read and answered


class App:
    """One running dmcp: the supervisor's factories, and the ends of everything that is not an actor."""

    def __init__(self, config: str, first: FirstAnswer | None = None) -> None:
        self._config = config
        self._first = first
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._configuration: Configuration
        self._active_fingerprint: str | None = None
        self._pinned = os.environ.pop("DMCP_PINNED_CONFIG", None)  # popped: servers do not get it
        self._only = os.environ.pop("DMCP_ONLY", None)  # likewise: the groups a command is about
        self._advised = os.environ.pop(
            "DMCP_ADVISED", None
        )  # likewise: how the configuration is named in advice
        self._reloads = self._applied = self._reading = 0
        self._again = False
        self._descriptions: dict[tuple[str, str, str], str] = {}
        self._said: set[str] = set()  # what was said of the file's permissions: once is enough
        self._openers: dict[str, tuple[object, OpenLink]] = {}
        self._auth: ActorRef[AuthActor]
        self._audit: Address
        self._watchdog = Watchdog()
        self._downstream: Downstream

    def __repr__(self) -> str:
        return f"<App {self._config}>"

    async def run(self) -> int:
        """Run until the client leaves, a signal comes or something breaks; returns the exit status.

        Raises:
            ConfigError: the configuration is invalid.
        """
        self._audit = Audit.start()
        supervisor = Supervisor.start(self, self._end, self._audit)
        self._downstream = attach_client(
            supervisor,
            1,
            lambda events: _stdio(events, b"" if self._first is None else self._first.received),
            lambda failure: self._on_client_ended(supervisor, failure),
            self._audit if log.enabled("debug") else None,
            session=None if self._first is None else self._first.session,
        )
        self._listen_to_signals(supervisor)
        if self._done.done():
            return await self._done
        await self._downstream.open()
        await self._poll_input()
        release_signals()  # what the client has sent before one is answered
        try:
            await self._load_first(supervisor)
        except ConfigError as error:
            await self._poll_input()  # for what the client has asked since: it is owed the reason
            reason = f"dmcp's configuration is invalid, mend it and start dmcp again: {log.mask(error.problems[0])}"
            post(supervisor, Shutdown(grace=0.0, status=2, reason=reason))
            await self._wait_closed()
            raise
        if (
            self._active_fingerprint is None
        ):  # the client has left, or a signal has come, before the file could be read
            await self._wait_closed()
            return await self._done
        self._say_started()
        watching = asyncio.create_task(self._watch(supervisor))
        await self._poll_input()
        # What there is now stays: the garbage collector need not go through it again and again.
        gc.freeze()
        gc.enable()
        _keep_freed_memory()
        status = await self._done
        watching.cancel()
        await self._wait_closed()
        return status

    def _say_started(self) -> None:
        """Tell of a healthy start: one line in the log."""
        post(self._audit, events.Started(__version__, self._config, tuple(self._configuration.servers)))
        log.start()

    @staticmethod
    async def _poll_input() -> None:
        for _ in range(_STARTUP_TICKS):
            await asyncio.sleep(0)

    def _end(self, status: int) -> None:
        if not self._done.done():
            self._done.set_result(status)

    async def _wait_closed(self) -> None:
        """Nothing dmcp started outlives it."""
        await self._done
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await Dispatcher.running().wait_background()
        except TimeoutError:
            log.error("some servers did not end in time")
        await self._downstream.aclose(_FLUSH_TIMEOUT)
        self._watchdog.disarm()

    @staticmethod
    def _on_client_ended(supervisor: Address, failure: str) -> None:
        """End the process: it serves the client of its standard input and output."""
        if failure:
            log.error(f"frontend failed, dmcp ends: {failure}")
        post(supervisor, Shutdown(0.0, status=1 if failure else 0))

    def _listen_to_signals(self, supervisor: Address) -> None:
        loop = asyncio.get_running_loop()

        def leave(name: str) -> None:
            self._watchdog.took_over()
            post(self._audit, events.Stopping(name))
            post(supervisor, Shutdown(SIGNAL_GRACE))

        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):  # the last two: POSIX, and Windows
            number = getattr(signal, name, None)
            if number is None:
                continue
            try:
                loop.add_signal_handler(number, leave, name)
                self._watchdog.watch(number)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_, name=name: loop.call_soon_threadsafe(leave, name))
        if hasattr(signal, "SIGUSR1"):
            loop.add_signal_handler(signal.SIGUSR1, self._reload, supervisor)

    def _load(self) -> tuple[str, Configuration]:
        """Read, parse and check the configuration file. Blocks; runs in any thread.

        Returns:
            The fingerprint of the bytes that were read, and what they say.

        Raises:
            ConfigError: it is invalid, or not the one that the person has trusted.
        """
        content = loading.content_of(self._config)
        digest = sha256(content).hexdigest()
        if self._pinned not in (None, digest):
            raise ConfigError(f"{self._config}: it has been changed since you trusted it, and is not used")
        document = loading.read(self._config, content)
        configuration = loading.configuration_of(document, os.environ)
        for sentence in exposed(document.file, document.values):
            if sentence not in self._said:
                self._said.add(sentence)
                log.warning(sentence)
        if self._only:
            configuration = configuration.only(json.loads(self._only))
        return digest, self._described(configuration)

    def _described(self, configuration: Configuration) -> Configuration:
        """Take for servers nobody has described what is known of them since they were last seen.

        What has been taken once stays, as long as this process runs and nothing else is configured: it stands in the
        model's prompt. Blocks; runs in any thread.
        """
        files = ListingFiles()

        def choose(server: ServerConfig) -> str:
            key = (server.name, cached_listings.about(server), server.description)
            if key not in self._descriptions:
                self._descriptions[key] = descriptions.filled_in(server, files.read(key[1]))
            return self._descriptions[key]

        return descriptions.described(configuration, choose)

    async def _load_first(self, supervisor: Address) -> None:
        """Load the first configuration in a thread, and put it in force.

        What the client asks meanwhile waits in the frontend. When dmcp has to end before the file is read, the reading
        gets a moment longer: a client that leaves at once is still told what is wrong with the file.

        Raises:
            ConfigError: it is invalid.
        """
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[tuple[str, Configuration] | Exception] = loop.create_future()
        self._in_thread(loaded.set_result)
        either: set[asyncio.Future[Any]] = {loaded, self._done}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not loaded.done():
            await asyncio.wait({loaded}, timeout=_LAST_READING)
        if not loaded.done():
            return
        outcome = loaded.result()
        if isinstance(outcome, Exception):
            raise outcome
        if not self._applied:  # a reload has not been faster
            self._active_fingerprint, self._configuration = outcome
            post(supervisor, Configure(self._configuration))

    def _in_thread(self, then: Callable[[tuple[str, Configuration] | Exception], None]) -> None:
        """Load the configuration in a thread, and call ``then`` on the loop with it or with what went wrong.

        The thread is a daemon of its own: a pool's would be waited for at the end, however long the file takes.
        """
        loop = asyncio.get_running_loop()

        def read() -> None:
            outcome: tuple[str, Configuration] | Exception
            try:
                outcome = self._load()
            except Exception as error:  # noqa: BLE001 - told to the loop, whatever it is
                outcome = error
            with suppress(RuntimeError):  # the loop is closed: dmcp has ended meanwhile
                loop.call_soon_threadsafe(then, outcome)

        threading.Thread(target=read, name="configuration", daemon=True).start()

    def _reload(self, supervisor: Address) -> None:
        """Load the changed configuration in a thread, and put it in force or say what is wrong with it.

        Of several readings the one that began last counts. A file that cannot be read to its end (a network that is
        gone) holds its own thread, and there are at most ``_READERS`` of those.
        """
        if self._reading >= _READERS:
            self._again = True
            return
        self._reading += 1
        self._reloads += 1
        number = self._reloads
        self._in_thread(lambda outcome: self._on_loaded(supervisor, number, outcome))

    def _on_loaded(
        self, supervisor: Address, number: int, outcome: tuple[str, Configuration] | Exception
    ) -> None:
        self._reading -= 1
        if self._again:
            self._again = False
            self._reload(supervisor)
        if number < self._applied:
            return
        self._applied = number
        if isinstance(outcome, tuple):
            self._active_fingerprint, self._configuration = outcome
            post(supervisor, Configure(self._configuration))
            return
        problem = (
            outcome.problems[0]
            if isinstance(outcome, ConfigError)
            else f"{type(outcome).__name__}: {outcome}"
        )
        problems = outcome.problems if isinstance(outcome, ConfigError) else (problem,)
        post(self._audit, events.ConfigurationRejected(problems))
        post(supervisor, ConfigurationRejected(log.mask(problem)))

    async def _watch(self, supervisor: Address) -> None:
        """Watch the configuration file in a worker thread until cancelled. A watch that fails is begun again.

        Nobody waits for the thread: it may be in the middle of a wait, and ends soon after. What has changed before it
        looks for the first time is seen then.
        """
        await asyncio.sleep(_WATCH_AFTER)
        from anyio import to_thread  # noqa: PLC0415 - watchfiles needs it too

        loop, stop, seen = asyncio.get_running_loop(), threading.Event(), self._active_fingerprint

        def follow() -> None:
            nonlocal seen
            for now in watch(Path(os.path.expanduser(self._config)), seen, stop):  # noqa: PTH111 - text alone
                seen = now
                if not stop.is_set():
                    loop.call_soon_threadsafe(self._reload, supervisor)

        def work() -> None:
            while not stop.is_set():
                try:
                    follow()
                except Exception as error:  # noqa: BLE001 - whatever it is, changes must not go unnoticed from now on
                    if stop.is_set():
                        return
                    what = f"{type(error).__name__}: {error}"
                    log.error(
                        f"the watch on {self._config} failed and is begun again in {_WATCH_AGAIN:g} s: {what}"
                    )
                    stop.wait(_WATCH_AGAIN)

        try:
            await to_thread.run_sync(work, abandon_on_cancel=True)
        finally:
            stop.set()

    # Factories of the supervisor ----------------------------------------------------------------------------------

    def auth(self, watch: Watch) -> Address:
        """See ``Factories``."""
        named = self._named_in_advice()
        authorizer = LazyAuthorizer(lambda: self._configuration.oauth_store, named)
        self._auth = AuthActor.start(authorizer, watch=watch, config=named)
        return self._auth

    def _named_in_advice(self) -> str:
        """Return the path by which a person names the configuration in a command; empty for their own default one.

        Where they type it the working directory and the environment may be others than here. A command of dmcp's that
        has started this process knows how the person has named it.
        """
        path = os.path.abspath(os.path.expanduser(self._config))  # noqa: PTH100, PTH111 - as text alone
        if self._advised is not None:
            return self._advised
        return "" if path == user_file(os.environ) else path

    def catalog(self, watch: Watch) -> Address:
        """See ``Factories``."""
        return Catalog.start(ListingFiles(), watch=watch)

    def upstream(self, config: ServerConfig, peers: Peers, watch: Watch, crash: Crash | None) -> Address:
        """See ``Factories``."""
        return Upstream.start(config, connect=self._opener, peers=peers, watch=watch, crash=crash)

    def _opener(self, config: ServerConfig) -> OpenLink:
        """How to reach a server: the only place that knows which transport is for which configuration.

        An opener serves all connections to a server, because it remembers which transport worked.
        """
        means = (config.target, config.timeout.connect, config.limits.frame)
        kept = self._openers.get(config.name)
        if kept is not None and kept[0] == means:
            return kept[1]
        if isinstance(config.target, StdioServer):
            name = config.name
            opener = stdio_opener(
                config.target,
                Dispatcher.running().call_after_drain,
                Dispatcher.running().drain_after,
                withheld=lambda: self._configuration.withheld_from(name),
                limit=config.limits.frame,
            )
        elif isinstance(config.target, RemoteServer):
            credentials = ActorCredentials(self._auth, config.name, config.target)
            opener = credentials.opening(
                remote_opener(
                    config.target, credentials, config.name, config.timeout.connect, config.limits.frame
                )
            )
        else:
            raise InternalError(f"{config.name} has nothing to connect to")
        self._openers[config.name] = (means, opener)
        return opener


class _ClientWatcher:
    """The watcher of a frontend: calls ``on_end`` once, with what was wrong or an empty text."""

    __slots__ = ("_on_end",)

    def __init__(self, on_end: Callable[[str], None]) -> None:
        self._on_end = on_end

    def tell(self, message: object, /) -> None:
        """See ``Address``."""
        self._on_end(message.reason if isinstance(message, ChildFailed) else "")


def _keep_freed_memory() -> None:
    """Have glibc keep up to 4 MiB that are free: new pages cost more than copies."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - the first answer does not wait for it

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # another C library has none
    if mallopt is not None:
        mallopt(-3, 2 * 1024 * 1024)  # M_MMAP_THRESHOLD: what is smaller comes from the heap
        mallopt(-1, 4 * 1024 * 1024)  # M_TRIM_THRESHOLD


def attach_client(
    supervisor: Address,
    number: int,
    link_of: Callable[[ClientEvents], L],
    on_end: Callable[[str], None],
    audit: Address | None = None,
    *,
    session: ServerSession | None = None,
) -> L:
    """Attach a client to the running core: from now on it is served by a frontend of its own. On the loop.

    Args:
        supervisor: of the core.
        number: of the client, never used before.
        link_of: makes the link to the client, which reports to the given events from a later turn of the loop on.
        on_end: called once when the frontend has ended, with the error if it failed; then the link is to be closed.
        audit: is told of every call that ends, where somebody listens for that.
        session: with the client, if its ``initialize`` has been answered already.

    Returns:
        What ``link_of`` has made.
    """
    mailbox = ClientMailbox()
    link = link_of(mailbox)
    watch = Watch(_ClientWatcher(on_end), f"client {number}", number)
    mailbox.frontend = Frontend.start(link, supervisor, number, watch, audit, session=session)
    post(supervisor, ClientAttached(number, mailbox.frontend))
    return link


def _stdio(events: ClientEvents, received: bytes) -> Downstream:
    return Downstream(
        events.on_frames,
        events.on_gone,
        events.on_writable,
        call_after_drain=Dispatcher.running().call_after_drain,
        drain_after=Dispatcher.running().drain_after,
        received=received,
    )


def run(config: str, first: FirstAnswer | None = None) -> int:
    """Serve until the client leaves. Blocks; runs the event loop; returns the exit status (0, 1 or 2).

    Args:
        config: the path of the configuration.
        first: what has passed between the client and dmcp already.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(_live(config, first))
        except ConfigError as error:
            for problem in error.problems:
                print(f"Error: {printable(log.mask(problem), None)}", file=sys.stderr)  # noqa: T201 - for the person, before there is anybody to log for
            return 2


async def _live(config: str, first: FirstAnswer | None) -> int:
    asyncio.get_running_loop().set_exception_handler(report_unhandled)
    wire.use_fast_json()
    return await App(config, first).run()


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """Uvloop's loop where there is one: it halves the time of a call (docs/performance.md)."""
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    return uvloop.Loop
