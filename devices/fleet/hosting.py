"""The two programs of a fleet: its scheduler, and a host with devices that joins it. Both end on Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edgekit.core.errors import EnvironmentFault
from edgekit.core.system import processes
from edgekit.core.system.optional import need
from edgekit.devices.fleet.host import ATTRIBUTE, Host
from edgekit.devices.fleet.host_protocol import RESOURCE
from edgekit.devices.fleet.keys import security_of

_log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
_ENDING_S: Final = 0.5
_CONNECT_S: Final = "10s"


def schedule(host: str, port: int, keys: Path | None, ready: Callable[[str], None]) -> None:
    """Run a scheduler until the process is interrupted.

    Args:
        port: 0 for a free one.
        ready: Called with the address as soon as hosts can join.

    Raises:
        MissingExtra: Dask is not installed.
        EnvironmentFault: The address cannot be used.
        KeyboardInterrupt: Ctrl-C.
    """
    distributed = _distributed()
    security = security_of(keys)

    async def run() -> None:
        scheduler = distributed.Scheduler(
            host=host,
            port=port,
            protocol="tls" if security else "tcp",
            security=security,
            dashboard=False,
            dashboard_address="127.0.0.1:0",
        )
        try:
            await scheduler
        except (OSError, RuntimeError) as err:
            reason = err if isinstance(err, OSError) else err.__cause__
            if not isinstance(reason, OSError):
                raise
            why = reason.strerror or reason
            raise EnvironmentFault(
                f"'{host}:{port}' cannot be used: {why}.", hint="edgekit fleet serve --port 0"
            ) from err
        async with scheduler:
            ready(scheduler.address)
            await scheduler.finished()

    asyncio.run(run())


def join(address: str, keys: Path | None, host: Host, folder: Path, ready: Callable[[str], None]) -> None:
    """Offer the devices of `host` until the process is interrupted; a scheduler that was lost is joined again.

    Args:
        folder: For what Dask itself writes.
        ready: Called with the address of this host when it has joined for the first time.

    Raises:
        MissingExtra: Dask is not installed.
        KeyboardInterrupt: Ctrl-C.
    """
    distributed = _distributed()
    security = security_of(keys)
    told: list[str] = []

    async def once() -> None:
        worker = _worker(distributed, address, security, host, folder)
        await worker
        try:
            if not told:
                told.append(worker.address)
                ready(worker.address)
            await worker.finished()
        finally:
            # Ctrl-C waits for no launch.
            processes.kill_awaited_by({one.ident for one in threading.enumerate() if one.ident})
            await worker.close(timeout=_ENDING_S, executor_wait=False)

    async def run() -> None:
        while True:
            try:
                await once()
            except (OSError, TimeoutError) as err:
                _log.debug("%s", err)
            except RuntimeError as err:
                if not isinstance(err.__cause__, OSError | TimeoutError):
                    raise
                _log.debug("%s", err.__cause__)
            _log.warning("No scheduler at %s: waiting for it.", address)
            await asyncio.sleep(_RETRY_S)

    asyncio.run(run())


def _worker(distributed: Any, address: str, security: Any, host: Host, folder: Path) -> Any:
    """The worker of Dask for the devices of `host`; it has not started yet."""
    worker = distributed.Worker(
        address,
        # By default it would listen on every address of this machine, and run what anyone there sends.
        host=None if security else urlsplit(address).hostname,
        security=security,
        nthreads=max(1, len(host.devices)),
        resources={f"{RESOURCE}{name}": 1 for name in host.devices},
        protocol="tls" if security else "tcp",
        local_directory=str(folder),
        memory_limit=0,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        death_timeout=_CONNECT_S,
    )
    setattr(worker, ATTRIBUTE, host)
    return worker


def _distributed() -> Any:
    """Dask's package, without its own pages and without its log."""
    dask = need("dask", extra="fleet")
    dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []})
    found = need("distributed", extra="fleet")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    return found
