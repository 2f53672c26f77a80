"""The auth actor: one flight an account. However many requests find an expiring token, it is renewed once.

It decides when credentials are loaded, renewed and asked for (``dmcp.actors.account``), and has it done by the
``Authorizer`` it is given. It knows no OAuth and no file. A group's flight never holds up another group.
A group has an account for its server, and beside it the one for the server it had before a reload: what is still in
flight there ends with the credentials it began with.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, assert_never

from msgspec import Struct

from dmcp import log
from dmcp.actors.account import Answer, CredentialState, HeldCredentials, Refuse, StartJob, WaitForJob
from dmcp.actors.runtime import LoopActor, LoopFuture, TaskResult, Watch, post
from dmcp.config.model import Secretive
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

    async def load(self, name: str, server: RemoteServer) -> HeldCredentials | None:
        """Return what is stored."""

    async def refresh(self, name: str, server: RemoteServer) -> HeldCredentials:
        """Something that is not due."""

    async def reauthorize(
        self,
        name: str,
        server: RemoteServer,
        *,
        status: int,
        challenge: str,
        rejected: str | None,
        refresh: bool,
        ask: bool,
        client_shows: bool,
        announce: Callable[[str], object],
        on_other_process: Callable[[], object],
    ) -> HeldCredentials:
        """Something better than ``rejected``. Cancelled when the person declines."""


class _Job(Struct, eq=False):
    """One piece of work for one account. What it says counts while it is its account's, and not after.

    Attributes:
        in_use: whether it was begun for the client, so that the person could be asked.
        url: where the person is asked to sign in; empty while it waits for another process.
    """

    account: CredentialState
    group: str
    in_use: bool = True
    task: asyncio.Task[Any] | None = None
    url: str = ""

    def __repr__(self) -> str:
        return f"<_Job of {self.group}>"


class _Prompted(Secretive, frozen=True, eq=False):
    hidden = frozenset({"url"})

    job: _Job
    url: str


class _OtherProcess(Struct, frozen=True, eq=False):
    job: _Job


class _JobEnded(Struct, frozen=True, eq=False):
    job: _Job
    outcome: TaskResult[Any]


class _Waiter(Struct, frozen=True, eq=False):
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
        self._accounts: dict[str, tuple[CredentialState, ...]] = {}  # the present one first; two at most
        self._jobs: dict[CredentialState, _Job] = {}
        self._waiters: dict[
            CredentialState, list[_Waiter]
        ] = {}  # bounded by the requests in flight of each upstream
        self._subscriptions: list[Subscribe] = []

    def __repr__(self) -> str:
        running = [f"{job.group}: {account.job}" for account, job in self._jobs.items()]
        return f"<AuthActor groups={len(self._accounts)} flights={running}>"

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
            case _Prompted():
                self._on_prompted(message)
            case _OtherProcess():
                self._on_other_process(message.job)
            case _JobEnded():
                self._on_job_ended(message)
            case _:
                raise TypeError(f"AuthActor does not understand {type(message).__name__}")
        return None

    def on_end(self) -> None:
        """See ``LoopActor``: nobody is left waiting."""
        for group in list(self._accounts):
            self._forget(group, "dmcp is shutting down")

    def _answer(self, question: Authorize | Challenged) -> LoopFuture[str | None]:
        waiter = _Waiter(question, LoopFuture())
        self._answer_or_start(waiter)
        return waiter.answer

    def _answer_or_start(self, waiter: _Waiter) -> None:
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
            case WaitForJob():
                self._waiters.setdefault(account, []).append(waiter)
            case StartJob():
                self._waiters.setdefault(account, []).append(waiter)
                self._start_job(account, decision, question)
            case _:
                assert_never(decision)

    def _decide(self, account: CredentialState, question: Authorize | Challenged) -> Decision:
        now = self._clock()
        if isinstance(question, Authorize):
            return account.authorize(now)
        decision = account.challenged(
            now, question.status, question.challenge, question.rejected, in_use=question.in_use
        )
        if isinstance(decision, StartJob) and account is not self._current(question.group):
            return Refuse(AuthError(_CHANGED))  # nobody signs in to what is no longer configured
        return decision

    def _current(self, group: str) -> CredentialState | None:
        return next(iter(self._accounts.get(group, ())), None)

    def _account(self, question: Authorize | Challenged | Accepted) -> CredentialState | None:
        # Another address or client is another account: nothing of the one may leak into the other.
        accounts = self._accounts.get(question.group, ())
        return next((account for account in accounts if account.server == question.server), None)

    def _configured(self, group: str, server: RemoteServer) -> None:
        before, *older = self._accounts.get(group, ()) or (None,)
        if before is not None and before.server == server:
            return
        self._accounts[group] = (
            (CredentialState(server),) if before is None else (CredentialState(server), before)
        )
        for account in older:
            self._drop(account, group, _CHANGED)
        job = self._jobs.get(before) if before is not None else None
        if job is not None and job.account.job == "reauthorize":
            # Or it would keep its locks and its port from the account that comes next.
            self._cancel_job(job, AuthError(_CHANGED))

    def _start_job(self, account: CredentialState, fly: StartJob, question: Authorize | Challenged) -> None:
        group, server = question.group, question.server
        account.job_started(fly.kind)
        in_use = not isinstance(question, Challenged) or question.in_use
        job = self._jobs[account] = _Job(account, group, in_use)
        if fly.kind == "load":
            work: Any = self._authorizer.load(group, server)
        elif fly.kind == "refresh" or isinstance(question, Authorize):
            work = self._authorizer.refresh(group, server)
        else:
            work = self._authorizer.reauthorize(
                group,
                server,
                status=question.status,
                challenge=question.challenge,
                rejected=question.rejected,
                refresh=fly.refresh,
                ask=fly.ask,
                client_shows=any(each.shows_urls for each in self._subscriptions),
                announce=lambda url: post(self.actor_ref, _Prompted(job, url)),
                on_other_process=lambda: post(self.actor_ref, _OtherProcess(job)),
            )
        job.task = self.spawn(work, lambda outcome: _JobEnded(job, outcome))

    def _on_prompted(self, offer: _Prompted) -> None:
        job = offer.job
        if self._jobs.get(job.account) is job:
            job.account.prompted(self._clock())
            job.url = offer.url
            self._publish(SignInStarted(job.group, offer.url))
            self._reconsider(job.account)  # requests that only wanted a header need not wait for a person

    def _on_other_process(self, job: _Job) -> None:
        if self._jobs.get(job.account) is job:
            job.account.job_waits_for_other_process()
            self._publish(SignInInOtherProcess(job.group))
            self._reconsider(job.account)  # nor for another process's person

    def _decline(self, group: str) -> None:
        account = self._current(group)
        job = self._jobs.get(account) if account is not None else None
        if job is not None and job.account.awaits == "person":
            login = sign_in_command("login", group, self._config)
            reason = f"its sign-in was declined: run {login} to sign in all the same"
            self._cancel_job(job, SignInNeeded(reason))

    def _cancel_job(self, job: _Job, error: AuthError) -> None:
        # Work that is done cannot be cancelled: the person did sign in, and what it brought is in the inbox.
        if job.task is not None and job.task.cancel():
            self._on_job_ended(_JobEnded(job, TaskResult(error=error)))

    def _on_job_ended(self, end: _JobEnded) -> None:
        group, account = end.job.group, end.job.account
        if self._jobs.get(account) is not end.job:
            return  # of a configuration that is gone, or broken off
        del self._jobs[account]
        error, now = end.outcome.error, self._clock()
        kind, awaited = account.job, account.awaits
        if error is None:
            account.job_succeeded(end.outcome.value, now)
        else:
            if not isinstance(error, AuthError):
                log.error(f"signing in failed: {type(error).__name__}: {error}", group)
                error = AuthError(
                    f"dmcp failed while signing in ({type(error).__name__}): this is a bug of dmcp"
                )
            account.job_failed(error, now)
        if awaited:
            self._publish(SignInEnded(group, str(error or "")))
        for waiter in self._waiters.pop(account, []):
            # A flight begun for these very questions has given its answer; others may need another flight.
            if error is not None and (
                kind == "load" or (kind == "reauthorize" and _is_answered(end.job, waiter.question, error))
            ):
                _refuse(waiter, error)
            else:
                self._answer_or_start(waiter)

    def _reconsider(self, account: CredentialState) -> None:
        for waiter in self._waiters.pop(account, []):
            self._answer_or_start(waiter)

    def _forget(self, group: str, why: str) -> None:
        for account in self._accounts.pop(group, ()):
            self._drop(account, group, why)
        self._subscriptions = [each for each in self._subscriptions if each.group != group]

    def _drop(self, account: CredentialState, group: str, why: str) -> None:
        job = self._jobs.pop(account, None)
        if job is not None and job.task is not None:
            job.task.cancel()
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
            account = self._current(group)
            if account is not None and account.awaits:
                url = self._jobs[account].url
                post(new.listener, SignInStarted(group, url) if url else SignInInOtherProcess(group))

    def _publish(self, news: SignInStarted | SignInInOtherProcess | SignInEnded) -> None:
        for each in self._subscriptions:
            if each.group is None or each.group == news.group:
                post(each.listener, news)


def _is_answered(job: _Job, question: Authorize | Challenged, error: AuthError) -> bool:
    """Return whether a flight that failed like this answers the question; the person may have been left out of it."""
    if not isinstance(question, Challenged):
        return False
    return job.in_use or not question.in_use or not isinstance(error, SignInNeeded)


def _refuse(waiter: _Waiter, error: AuthError) -> None:
    waiter.answer.set_exception((type(error), error, None))
