import asyncio


async def talk(name):
    while True:
        try:
            reader, writer = await asyncio.open_connection("server", 7000)
            break
        except OSError:
            # Refused at each address while the server is not there yet: "Multiple exceptions".
            await asyncio.sleep(0.02)
    answers = []
    for text in (b"one\n", b"three\n", name + b"\n"):
        writer.write(text)
        answers.append(await reader.readline())
    writer.write_eof()
    print(name, answers, await reader.read()) if name == b"anna" else None
    writer.close()
    return answers


async def main():
    for answers in await asyncio.gather(*(talk(name) for name in (b"anna", b"bo", b"carl"))):
        print(answers)


asyncio.run(main())
