"""Image files read by several processes: Pillow spends its time in Python, where threads would wait for each other."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import TypeVar

from atlcodec.errors import AtlcError

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")


def read(
    root: str, function: Callable[[list[Item]], Result], batches: Iterable[tuple[Key, list[Item]]], jobs: int
) -> Iterator[tuple[Key, Result]]:
    """`function` of each batch of files below `root`, in order, in `jobs` processes. A few batches are read ahead."""
    context = multiprocessing.get_context("spawn")
    ends, here = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(ends,))
    try:
        ahead: deque[tuple[Key, Future[Result]]] = deque()
        for key, items in batches:
            ahead.append((key, pool.submit(function, items)))
            if len(ahead) > jobs + 1:
                first, result = ahead.popleft()
                yield first, result.result()
        for first, result in ahead:
            yield first, result.result()
    except BrokenProcessPool as error:
        raise AtlcError(f"{root}: a reading process was killed (too little memory?); try -j 1") from error
    except BaseException:
        here.close()  # Ctrl-C does not wait for thousands of images that are being read
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        here.close()
        ends.close()


def _begin(ends: Connection) -> None:
    """In a reading process: ignores Ctrl-C, which is for its parent, and exits when its parent dies or closes the other
    end of the pipe `ends`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            multiprocessing.connection.wait([sentinel, ends])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
