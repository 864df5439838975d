"""A tunnel from a plain port on the loopback address to a server that speaks TLS, for a proxy that has to read what passes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading

from .ports import LOOPBACK

CHUNK = 64 * 1024
CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 5.0


class TlsTunnel:
    """Carries each connection to ``port`` on to the server, encrypted there; the server's certificate is verified as usual."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._server = (host, port)
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._carriers: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stackproof-tls-tunnel", daemon=True)
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, LOOPBACK, 0), self._loop
        ).result(CONNECT_SECONDS)
        self.port: int = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """End every connection, and the thread. Again: does nothing."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        self._loop.close()

    async def _end(self) -> None:
        self._listener.close()
        carriers = list(self._carriers)
        for each in carriers:
            each.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._carriers.add(task)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                server, to_server = await asyncio.open_connection(
                    *self._server, ssl=self._context, server_hostname=self._server[0]
                )
            try:
                await self._carry_both((client, to_server), (server, to_client))
            finally:
                await _hang_up(to_server)
        except (OSError, TimeoutError):
            return  # without the server there is nobody to talk to: the client sees its connection end
        finally:
            await _hang_up(to_client)
            if task is not None:
                self._carriers.discard(task)

    async def _carry_both(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Until one of them ends: a half of a connection is of no use here."""
        carrying = [asyncio.ensure_future(_carry(*way)) for way in ways]
        try:
            await asyncio.wait(carrying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in carrying:
                each.cancel()
            await asyncio.gather(*carrying, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(CHUNK):
        target.write(piece)
        await target.drain()


async def _hang_up(side: asyncio.StreamWriter) -> None:
    side.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS / 5):
            await side.wait_closed()
