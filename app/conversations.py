"""States of conversations, kept for clients that send only a session id.

Kept in the memory of the one process that serves (server.py): a conversation that was forgotten, because the server
began anew or an hour passed, begins again. A client that wants more keeps the state itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from matinee.search.dialogue import ConversationState


class Conversations:
    """Session id -> state of the last answer: the `limit` last used, each for `seconds` after its last turn.

    Thread-safe. Two turns of one session at the same time: the one that is answered last is remembered.
    """

    def __init__(
        self, limit: int = 10_000, seconds: float = 3600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[float, ConversationState]] = OrderedDict()  # the longest unused first

    def __len__(self) -> int:
        return len(self._kept)

    def recall(self, session_id: str) -> ConversationState | None:
        """The state of the session's last answer; None for one that is new or forgotten."""
        with self._lock:
            used, state = self._kept.get(session_id, (0.0, None))
            return state if state is not None and self._clock() - used < self._seconds else None

    def keep(self, session_id: str, state: ConversationState) -> None:
        """Remembers the state of an answer."""
        now = self._clock()
        with self._lock:
            self._kept[session_id] = (now, state)
            self._kept.move_to_end(session_id)
            while self._kept:
                oldest, (used, _) = next(iter(self._kept.items()))
                if len(self._kept) <= self._limit and now - used < self._seconds:
                    break
                del self._kept[oldest]


__all__ = ["Conversations"]
