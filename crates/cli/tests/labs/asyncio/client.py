import asyncio
import time


async def talk(number):
    reader, writer = await asyncio.open_connection("server", 7007)
    writer.write(f"hej {number}\n".encode())
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


async def main():
    print(await asyncio.gather(*(talk(number) for number in range(5))))
    try:
        await asyncio.wait_for(asyncio.sleep(3600), 0.5)
    except asyncio.TimeoutError:
        print("half a second is over")
    print(await asyncio.to_thread(lambda: (time.sleep(0.1), "from a thread")[1]))
    await asyncio.sleep(300)  # costs nothing


asyncio.run(main())
print(f"{time.monotonic():.0f} s of virtual time")
