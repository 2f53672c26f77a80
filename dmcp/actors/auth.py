"""The auth actor: one flight an account. However many requests find an expiring token, it is renewed once.

It decides when credentials are loaded, renewed and asked for (``dmcp.actors.account``), and has it done by the
``Authorizer`` it is given. It knows no OAuth and no file. A group's flight never holds up another group.
A group has an account for its server, and beside it the one for the server it had before a reload: what is still in
flight there ends with the credentials it began with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, assert_never

from dmcp import log
from dmcp.actors.account import Account, Answer, Fly, Held, Join, Refuse
from dmcp.actors.runtime import LoopActor, LoopFuture, Outcome, Watch, post
from dmcp.errors import AuthError, SignInNeeded
from dmcp.messages.auth import (
    Accepted,
    Authorize,
    Challenged,
    Configured,
    Forget,
    SignInDeclined,
    SignInEnded,
    SignInInOtherProcess,
    SignInStarted,
    Subscribe,
    Unsubscribe,
)
from dmcp.protocol.upstream_errors import sign_in_command

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from dmcp.actors.account import Decision
    from dmcp.config.model import RemoteServer


_CHANGED = "its configuration has changed"


class Authorizer(Protocol):
    """Does what the actor decides: ``dmcp.auth.authorizer.Authorizer``, or a fake. All of it raises ``AuthError``."""

    async def load(self, name: str, server: RemoteServer) -> Held | None:
        """What is stored."""

    async def renew(self, name: str, server: RemoteServer) -> Held:
        """Something that is not due."""

    async def mend(
        self,
        name: str,
        server: RemoteServer,
        *,
        status: int,
        challenge: str,
        rejected: str | None,
        renew: bool,
        ask: bool,
        client_shows: bool,
        announce: Callable[[str], object],
        elsewhere: Callable[[], object],
    ) -> Held:
        """Something better than ``rejected``. Cancelled when the person declines."""


@dataclass(slots=True, eq=False)
class _Flight:
    """One piece of work for one account. What it says counts while it is its account's, and not after.

    Attributes:
        in_use: whether it was begun for the client, so that the person could be asked.
        url: where the person is asked to sign in; empty while it waits for another process.
    """

    account: Account
    group: str
    in_use: bool = True
    task: asyncio.Task[Any] | None = None
    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Offered:
    flight: _Flight
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class _FoundElsewhere:
    flight: _Flight


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    flight: _Flight
    outcome: Outcome[Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    question: Authorize | Challenged
    answer: LoopFuture[str | None]


class AuthActor(LoopActor):
    """Serialises everything that concerns the credentials of a group.

    Args:
        authorizer: does the work.
        watch: who is told of a failure.
        clock: seconds since the epoch.
        config: the configuration that advised commands name; empty where they find it by themselves.
    """

    def __init__(
        self,
        authorizer: Authorizer,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.time,
        config: str = "",
    ) -> None:
        super().__init__(watch)
        self._authorizer = authorizer
        self._clock = clock
        self._config = config
        self._accounts: dict[str, tuple[Account, ...]] = {}  # the present one first; two at most
        self._flights: dict[Account, _Flight] = {}
        self._waiters: dict[Account, list[_Waiter]] = {}  # bounded by the requests in flight of each upstream
        self._subscriptions: list[Subscribe] = []

    def __repr__(self) -> str:
        flying = [f"{flight.group}: {account.flight}" for account, flight in self._flights.items()]
        return f"<AuthActor groups={len(self._accounts)} flights={flying}>"

    def on_receive(self, message: object) -> Any:  # noqa: C901 - one line per message
        """Handle one message; ``Authorize`` and ``Challenged`` are asked and answered with a header value."""
        match message:
            case Authorize() | Challenged():
                return self._answer(message)
            case Accepted():
                account = self._account(message)
                if account is not None:
                    account.accepted(message.authorization)
            case Subscribe():
                self._subscribe(message)
            case Unsubscribe(listener):
                self._subscriptions = [each for each in self._subscriptions if each.listener != listener]
            case SignInDeclined():
                self._decline(message.group)
            case Configured():
                self._configured(message.group, message.server)
            case Forget():
                self._forget(message.group, "it is no longer configured")
            case _Offered():
                self._offered(message)
            case _FoundElsewhere():
                self._found_elsewhere(message.flight)
            case _Ended():
                self._ended_flight(message)
            case _:
                raise TypeError(f"AuthActor does not understand {type(message).__name__}")
        return None

    def on_end(self) -> None:
        """See ``LoopActor``: nobody is left waiting."""
        for group in list(self._accounts):
            self._forget(group, "dmcp is shutting down")

    def _answer(self, question: Authorize | Challenged) -> LoopFuture[str | None]:
        waiter = _Waiter(question, LoopFuture())
        self._consider(waiter)
        return waiter.answer

    def _consider(self, waiter: _Waiter) -> None:
        question = waiter.question
        account = self._account(question)
        if account is None:
            _refuse(waiter, AuthError(_CHANGED))
            return
        decision = self._decide(account, question)
        match decision:
            case Answer():
                waiter.answer.set(decision.authorization)
            case Refuse():
                _refuse(waiter, decision.error)
            case Join():
                self._waiters.setdefault(account, []).append(waiter)
            case Fly():
                self._waiters.setdefault(account, []).append(waiter)
                self._fly(account, decision, question)
            case _:
                assert_never(decision)

    def _decide(self, account: Account, question: Authorize | Challenged) -> Decision:
        now = self._clock()
        if isinstance(question, Authorize):
            return account.authorize(now)
        decision = account.challenged(
            now, question.status, question.challenge, question.rejected, in_use=question.in_use
        )
        if isinstance(decision, Fly) and account is not self._present(question.group):
            return Refuse(AuthError(_CHANGED))  # nobody signs in to what is no longer configured
        return decision

    def _present(self, group: str) -> Account | None:
        return next(iter(self._accounts.get(group, ())), None)

    def _account(self, question: Authorize | Challenged | Accepted) -> Account | None:
        # Another address or client is another account: nothing of the one may leak into the other.
        accounts = self._accounts.get(question.group, ())
        return next((account for account in accounts if account.server == question.server), None)

    def _configured(self, group: str, server: RemoteServer) -> None:
        before, *older = self._accounts.get(group, ()) or (None,)
        if before is not None and before.server == server:
            return
        self._accounts[group] = (Account(server),) if before is None else (Account(server), before)
        for account in older:
            self._drop(account, group, _CHANGED)
        flight = self._flights.get(before) if before is not None else None
        if flight is not None and flight.account.flight == "mend":
            # Or it would keep its locks and its port from the account that comes next.
            self._break_off(flight, AuthError(_CHANGED))

    def _fly(self, account: Account, fly: Fly, question: Authorize | Challenged) -> None:
        group, server = question.group, question.server
        account.take_off(fly.kind)
        in_use = not isinstance(question, Challenged) or question.in_use
        flight = self._flights[account] = _Flight(account, group, in_use)
        if fly.kind == "load":
            work: Any = self._authorizer.load(group, server)
        elif fly.kind == "renew" or isinstance(question, Authorize):
            work = self._authorizer.renew(group, server)
        else:
            work = self._authorizer.mend(
                group,
                server,
                status=question.status,
                challenge=question.challenge,
                rejected=question.rejected,
                renew=fly.renew,
                ask=fly.ask,
                client_shows=any(each.shows_urls for each in self._subscriptions),
                announce=lambda url: post(self.actor_ref, _Offered(flight, url)),
                elsewhere=lambda: post(self.actor_ref, _FoundElsewhere(flight)),
            )
        flight.task = self.own(work, lambda outcome: _Ended(flight, outcome))

    def _offered(self, offer: _Offered) -> None:
        flight = offer.flight
        if self._flights.get(flight.account) is flight:
            flight.account.offered(self._clock())
            flight.url = offer.url
            self._publish(SignInStarted(flight.group, offer.url))
            self._reconsider(flight.account)  # requests that only wanted a header need not wait for a person

    def _found_elsewhere(self, flight: _Flight) -> None:
        if self._flights.get(flight.account) is flight:
            flight.account.found_elsewhere()
            self._publish(SignInInOtherProcess(flight.group))
            self._reconsider(flight.account)  # nor for another process's person

    def _decline(self, group: str) -> None:
        account = self._present(group)
        flight = self._flights.get(account) if account is not None else None
        if flight is not None and flight.account.awaits == "person":
            login = sign_in_command("login", group, self._config)
            reason = f"its sign-in was declined: run {login} to sign in all the same"
            self._break_off(flight, SignInNeeded(reason))

    def _break_off(self, flight: _Flight, error: AuthError) -> None:
        # Work that is done cannot be cancelled: the person did sign in, and what it brought is in the inbox.
        if flight.task is not None and flight.task.cancel():
            self._ended_flight(_Ended(flight, Outcome(error=error)))

    def _ended_flight(self, end: _Ended) -> None:
        group, account = end.flight.group, end.flight.account
        if self._flights.get(account) is not end.flight:
            return  # of a configuration that is gone, or broken off
        del self._flights[account]
        error, now = end.outcome.error, self._clock()
        kind, awaited = account.flight, account.awaits
        if error is None:
            account.landed(end.outcome.value, now)
        else:
            if not isinstance(error, AuthError):
                log.error(f"signing in failed: {type(error).__name__}: {error}", group)
                error = AuthError(
                    f"dmcp failed while signing in ({type(error).__name__}): this is a bug of dmcp"
                )
            account.crashed(error, now)
        if awaited:
            self._publish(SignInEnded(group, str(error or "")))
        for waiter in self._waiters.pop(account, []):
            # A flight begun for these very questions has given its answer; others may need another flight.
            if error is not None and (
                kind == "load" or (kind == "mend" and _is_answered(end.flight, waiter.question, error))
            ):
                _refuse(waiter, error)
            else:
                self._consider(waiter)

    def _reconsider(self, account: Account) -> None:
        for waiter in self._waiters.pop(account, []):
            self._consider(waiter)

    def _forget(self, group: str, why: str) -> None:
        for account in self._accounts.pop(group, ()):
            self._drop(account, group, why)
        self._subscriptions = [each for each in self._subscriptions if each.group != group]

    def _drop(self, account: Account, group: str, why: str) -> None:
        flight = self._flights.pop(account, None)
        if flight is not None and flight.task is not None:
            flight.task.cancel()
        if account.awaits:
            self._publish(SignInEnded(group, why))
        for waiter in self._waiters.pop(account, []):
            _refuse(waiter, AuthError(why))

    def _subscribe(self, new: Subscribe) -> None:
        # One for each group: a connection that takes the place of another takes its subscription too.
        replaced = [
            each
            for each in self._subscriptions
            if each.group == new.group and (new.group is not None or each.listener == new.listener)
        ]
        self._subscriptions = [each for each in self._subscriptions if each not in replaced] + [new]
        if any(each.listener == new.listener for each in replaced):
            return  # it knows what is open
        for group in (new.group,) if new.group is not None else tuple(self._accounts):
            account = self._present(group)
            if account is not None and account.awaits:
                url = self._flights[account].url
                post(new.listener, SignInStarted(group, url) if url else SignInInOtherProcess(group))

    def _publish(self, news: SignInStarted | SignInInOtherProcess | SignInEnded) -> None:
        for each in self._subscriptions:
            if each.group is None or each.group == news.group:
                post(each.listener, news)


def _is_answered(flight: _Flight, question: Authorize | Challenged, error: AuthError) -> bool:
    """Whether a flight that failed like this answers the question; the person may have been left out of it."""
    if not isinstance(question, Challenged):
        return False
    return flight.in_use or not question.in_use or not isinstance(error, SignInNeeded)


def _refuse(waiter: _Waiter, error: AuthError) -> None:
    waiter.answer.set_exception((type(error), error, None))
