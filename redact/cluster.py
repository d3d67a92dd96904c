"""A Dask cluster that carries out calls. The only room that imports `distributed`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

from redact.crew import Progress, show_nothing
from redact.errors import DependencyError, UsageError
from redact.executors import Died

SCHEMES = ("tcp://", "tls://")
CONNECT_S = 20  # for the scheduler to answer, and for a first worker
AHEAD = 2  # clips for each thread of a worker: one is hashed, planned or released while another's pass is carried out

T = TypeVar("T")


class Cluster:
    """Carries out calls on the workers of a cluster. One that dies costs the calls that it had, which are made again.

    Args:
        address: of its scheduler, as tcp://host:8786.

    Raises:
        UsageError: it is no address.
        DependencyError: `distributed` is not installed, nobody answers there, or it has no workers.
    """

    apart = True

    def __init__(self, address: str) -> None:
        if not address.startswith(SCHEMES):
            raise UsageError(f"--cluster takes an address like tcp://host:8786, not {address!r}.")
        try:
            import distributed
        except ImportError as error:
            raise DependencyError(
                "--cluster needs the package distributed, which is not installed.", "pip install 'redact[cluster]'"
            ) from error
        library: Any = distributed
        for name in list(logging.root.manager.loggerDict):
            if name.startswith("distributed"):  # what goes wrong is told by the calls
                logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client: Any = library.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, RuntimeError, TypeError) as error:  # the last: tls without certificates
            raise DependencyError(
                f"No scheduler answers at {address}: {error}.", "Start one with `dask scheduler`; see docs/cluster.md."
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            self._client.close()
            raise DependencyError(
                f"The cluster at {address} has no workers.", f"Start some with `dask worker {address} --nthreads 1`."
            ) from error
        at_once = sum(self._client.nthreads().values())
        self.places = AHEAD * at_once
        self._killed = library.KilledWorker
        # No more is handed over than can be done at once: what waits at a worker that dies counts as what ended it.
        self._threads = ThreadPoolExecutor(at_once)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._threads.shutdown(cancel_futures=True)

    def submit(self, call: Callable[..., T], *args: Any, progress: Progress | None = None) -> Future[T]:
        """Have a call carried out by a worker. How far it is remains unknown."""
        try:
            return self._threads.submit(self._carry_out, call, *args, *([show_nothing] if progress else []))
        except RuntimeError as error:  # after the end
            raise CancelledError from error

    def _carry_out(self, call: Callable[..., T], *args: Any) -> T:
        """Give a call to a worker, and return what it returns."""
        try:
            result: T = self._client.submit(call, *args, pure=False).result()  # the same call again is another one
            return result
        except self._killed as error:
            times = error.allowed_failures + 1
            raise Died(f"was ended each of the {times} times that it was begun") from None
