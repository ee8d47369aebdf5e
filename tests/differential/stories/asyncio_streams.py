"""asyncio over the network."""
import asyncio
from story import *


async def main():
    connected = asyncio.Event()

    async def handle(reader, writer):
        connected.set()
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"line %d\n" % n)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    print(await asyncio.gather(*(ask(n) for n in range(4))))
    try:
        await asyncio.open_connection("127.0.0.1", 1)
    except OSError as error:
        print(type(error).__name__, error.errno)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.wait_for(reader.read(1), 0.1)
    except asyncio.TimeoutError as error:
        print("timed out")
    writer.close()
    server.close()
    await server.wait_closed()

    loop = asyncio.get_running_loop()
    received = loop.create_future()

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            self.transport.sendto(data[::-1], address)

    class Ask(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            transport.sendto(b"abc")

        def datagram_received(self, data, address):
            received.set_result(data)

        def error_received(self, error):
            print("error", error)
            received.cancel()

    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    address = echo.get_extra_info("sockname")
    asked, _ = await loop.create_datagram_endpoint(Ask, remote_addr=address)
    print(await received)
    echo.close()
    asked.close()
    await asyncio.sleep(0.05)
    received = loop.create_future()
    asked, _ = await loop.create_datagram_endpoint(Ask, remote_addr=address)
    try:
        await received
    except asyncio.CancelledError:
        print("refused")
    asked.close()
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    await loop.sock_sendall(a, b"by hand")
    print(await loop.sock_recv(b, 100))
    print(await loop.run_in_executor(None, lambda: socket.gethostbyname("there")))
    reader, writer = await asyncio.open_connection(THERE, AGENT)
    print(writer.get_extra_info("peername"))
    writer.close()


asyncio.run(main())
