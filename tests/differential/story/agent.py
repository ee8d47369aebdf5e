"""The other host of a story: runs the pieces of Python that it is sent, one line each, and sends back what they gave.

A piece is `(number, source, later)`; the answer `(number, value, None)` or `(number, None, (error, text))`. A `later`
one gets a thread of its own.
"""

import ast
import socket
import threading

import story

story.me = story.THERE
scope = {name: value for name, value in vars(story).items() if not name.startswith("__")}


def run(source):
    try:
        code = compile(source, "<piece>", "eval")
    except SyntaxError:
        exec(source, scope)
        return None
    return eval(code, scope)


def answer(connection, lock, number, source):
    try:
        value = run(source)
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError):
            value = repr(value)
        reply = number, value, None
    except Exception as error:
        reply = number, None, (type(error).__name__, str(error))
    with lock:
        connection.sendall(repr(reply).encode() + b"\n")


with socket.create_server(("", story.AGENT)) as server:
    connection, _ = server.accept()
with connection, connection.makefile("rb") as lines:
    lock = threading.Lock()
    for line in lines:
        number, source, later = ast.literal_eval(line.decode())
        if later:
            threading.Thread(target=answer, args=(connection, lock, number, source), daemon=True).start()
        else:
            answer(connection, lock, number, source)
threading.Event().wait()  # Until it is stopped: its sockets live as long as the story needs them.
