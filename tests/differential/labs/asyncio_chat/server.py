import asyncio

done = 0


async def handle(reader, writer):
    global done
    async for line in reader:
        writer.write(b"%d %s" % (len(line), line))
        await writer.drain()
    writer.close()
    done += 1
    if done == 3:
        stop.set()


async def main():
    global stop
    stop = asyncio.Event()
    server = await asyncio.start_server(handle, "0.0.0.0", 7000)
    await stop.wait()
    server.close()
    print("served", done)


asyncio.run(main())
