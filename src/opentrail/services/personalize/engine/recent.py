"""What streamed events say of users now: the newest events of each user and session, kept in memory, lent to serving and filters.

The durable copy lies in segments; this is rebuilt from them. A session without a user is anonymous; its events join the user's as soon as
one event names both, and later calls with the session alone still find them.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentrail.services.personalize.engine.filter_plan import Event, latest

LONGEST = 200
"""Newest events kept of a user whatever their type; filters further keep LATEST_PER_TYPE of each type."""


class RecentEvents:
    """The newest events by user and by session."""

    def __init__(self) -> None:
        self._of_user: dict[str, list[Event]] = {}
        self._of_session: dict[str, list[Event]] = {}
        self._user_of: dict[str, str] = {}

    def add(self, event: Event, session: str | None = None, user: str | None = None) -> None:
        """Take one event of a session, a user or both; an equal event that is kept already counts once."""
        if user is None and session is not None:
            user = self._user_of.get(session)
        if user is None:
            self._keep(self._of_session.setdefault(session or "", []), event)
            return
        kept = self._of_user.setdefault(user, [])
        if session is not None:
            self._user_of[session] = user
            for earlier in self._of_session.pop(session, []):
                self._keep(kept, earlier)
        self._keep(kept, event)

    def of(self, user: str | None = None, session: str | None = None) -> Sequence[Event]:
        """The newest events of a user, or of a session (its user's, once known), oldest first."""
        if user is None and session is not None:
            user = self._user_of.get(session)
        found = self._of_user.get(user, []) if user is not None else self._of_session.get(session or "", [])
        return tuple(sorted(found, key=lambda event: event.time))

    def forget(self, user: str) -> None:
        """Drop a user (a deletion job)."""
        self._of_user.pop(user, None)
        self._user_of = {session: name for session, name in self._user_of.items() if name != user}

    @staticmethod
    def _keep(events: list[Event], event: Event) -> None:
        if event in events:
            return
        events.append(event)
        if len(events) > 2 * LONGEST:
            newest = sorted(events, key=lambda one: one.time)[-LONGEST:]
            events[:] = sorted({id(one): one for one in (*latest(events), *newest)}.values(), key=lambda one: one.time)
