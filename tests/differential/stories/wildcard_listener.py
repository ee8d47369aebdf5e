"""The more specific listener gets the connection."""
from story import *

there("""
everywhere = listener(5000, host="")
special = listener(5000, host="127.0.0.1")
""")
show("wildcard", there("everywhere.getsockname()"))
c = socket.create_connection((THERE, 5000))
show("from outside", there("events(everywhere), events(special)"))
show("accepted has the real address", there("(a := everywhere.accept()[0]).getsockname()"))
show("on the host itself", there("(d := socket.create_connection(('127.0.0.1', 5000))) and (events(everywhere), events(special))"))
show("127.0.0.2", there("(e := socket.create_connection(('127.0.0.2', 5000))) and (events(everywhere), events(special))"))
show("0.0.0.0 is oneself", there("(f := socket.create_connection(('0.0.0.0', 5000))).getpeername()"))
there("only = listener(5001, host='127.0.0.1')")
show("loopback is not for others", lambda: socket.create_connection((THERE, 5001)))
