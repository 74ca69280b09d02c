"""How single requests of many callers are computed together, and how asyncio waits for them.

The batching is the core's; cpp/include/matinee/nn/batcher.h says how requests join.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matinee.errors import MatineeError

Vectors: TypeAlias = NDArray[np.float32]
OnDone: TypeAlias = Callable[[Vectors | None, MatineeError | None], None]
Submit: TypeAlias = Callable[..., Callable[[], bool]]
"""Takes inputs and an OnDone; the answer cancels (the `submit` of a batcher of the core)."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How requests of different callers join. The defaults suit a server; a lone caller never waits for company."""

    max_batch: int = 32  # items computed together; a request of more is a batch of its own
    max_queue: int = 16384  # items that may wait; a request that would make it more raises Overloaded
    max_delay_ms: float = 1.0  # how long after a batch of several requests their callers are expected back
    max_wait_ms: float = 0.0  # a request that has waited longer raises Overloaded; 0: it waits as long as it takes
    max_running: int = 0  # batches at the same time; 0: as many as the core has threads


async def answer(submit: Submit, *inputs: NDArray[Any]) -> Vectors:
    """The vectors of a submitted request. A task that is cancelled takes its request with it, where that still waits.

    Raises what `submit` raises, and what goes wrong with the request.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Vectors] = loop.create_future()

    def settle(vectors: Vectors | None, error: MatineeError | None) -> None:
        if future.done():  # cancelled while it was computed
            return
        if error is not None:
            future.set_exception(error)
        else:
            assert vectors is not None
            future.set_result(vectors)

    def on_done(vectors: Vectors | None, error: MatineeError | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, vectors, error)

    cancel = submit(*inputs, on_done)
    try:
        return await future
    except BaseException:
        cancel()
        raise
