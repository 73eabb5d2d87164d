"""``SharedStreamCounts``: how many streams users have in this process and in all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final

KNOWN_FOR: Final = 0.4
"""Seconds for which an answer is good. After that a user's next stream waits for another one. With
the half second until another process notes a stream, that is less than a second."""
NOTED_AGAIN_AFTER: Final = 5.0
"""Seconds after which streams that go on are noted again: a third of what counts of a process that
notes nothing any more, so two may be lost."""


class SharedStreamCounts:
    """``here``: open streams by owner, kept by others. ``limit``: those that a user may have.

    Only users are shared: an owner that is no text is an address, which counts in this process
    alone. ``clock`` returns monotonic seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.here: Counter[Hashable] = Counter()
        self._limit = limit
        self._clock = clock
        self._noted: dict[str, tuple[int, float]] = {}
        """What other processes know of streams here, and since when."""
        self._elsewhere: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        """Return of how many users anything is kept."""
        return len(self._noted.keys() | self._elsewhere.keys())

    @property
    def noted(self) -> set[str]:
        """Users of whom other processes know that they have streams here."""
        return set(self._noted)

    def has_room(self, owner: Hashable) -> bool | None:
        """Whether an owner may have one stream more; None where other processes are to be asked."""
        here = self.here.get(owner, 0)
        if not isinstance(owner, str) or here >= self._limit:
            return here < self._limit
        elsewhere = self._elsewhere.get(owner)
        if elsewhere is None or self._clock() - elsewhere[1] > KNOWN_FOR:
            return None
        return here + elsewhere[0] < self._limit

    def changed(self) -> set[str]:
        """Return the users whose streams are to be noted, and drop answers that are too old."""
        now = self._clock()
        self._elsewhere = {
            user: answer for user, answer in self._elsewhere.items() if now - answer[1] <= KNOWN_FOR
        }
        here, noted = self.here, self._noted
        changed = {
            user
            for user, (count, noted_at) in noted.items()
            if here.get(user, 0) != count or now - noted_at >= NOTED_AGAIN_AFTER
        }
        changed.update(owner for owner in here if owner not in noted and isinstance(owner, str))
        return changed

    def adopt(self, user_id: str, noted: int, elsewhere: int) -> int:
        """Adopt an answer; return how many streams of a user are too many here.

        ``noted`` were noted here, after which ``elsewhere`` were found. Those that were added since
        the last time are too many: where two processes add some at once, the first to note its own
        keeps them, as the store does one after the other.
        """
        now = self._clock()
        before, _ = self._noted.pop(user_id, (0, now))
        if noted:
            self._noted[user_id] = noted, now
        self._elsewhere[user_id] = elsewhere, now
        return max(0, min(noted - before, noted + elsewhere - self._limit))

    def assume_none_elsewhere(self, user_id: str) -> None:
        """Let the limit hold for this process alone: the store does not answer."""
        self._elsewhere[user_id] = 0, self._clock()
