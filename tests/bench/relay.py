#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A relay that makes a server on this machine look far away.

    relay.py ROUND_TRIP_MS PORT

Listens on 127.0.0.1, says on which port, and passes each connection on to PORT. Each byte arrives half a
round trip later. The first byte of a client arrives a whole one later still, as if the connection had
been opened over the same distance. The number of bytes on their way is not limited: a real network with
large windows, and no loss.
"""

import asyncio
import sys


async def relay(source, sink, delay_s, first_s=0.0):
    """Passes on what it reads, as late as that, until the end of the stream."""
    loop, late = asyncio.get_running_loop(), asyncio.Queue()

    async def deliver():
        while True:
            due, data = await late.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            sink.write(data)
            await sink.drain()
        sink.close()

    delivery = asyncio.ensure_future(deliver())
    while data := await source.read(1 << 18):
        late.put_nowait((loop.time() + delay_s + first_s, data))
        first_s = 0.0
    late.put_nowait((loop.time() + delay_s, b""))
    await delivery


async def main(round_trip_s, port):
    async def on_connection(reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(relay(reader, up_writer, round_trip_s / 2, round_trip_s),
                             relay(up_reader, writer, round_trip_s / 2), return_exceptions=True)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) / 1000, int(sys.argv[2])))
