# Reads {file: text} from standard input; prints what is remarkable, one JSON list a line: file, line, what, about.
# Nothing is run.
import ast, json, sys

# Calls whose address, or first argument, names somebody else; calls whose address is the program's own.
OTHERS = {"connect", "connect_ex", "sendto", "create_connection", "open_connection"}
NAMES = {"gethostbyname", "getaddrinfo", "open_connection"}
OWN = {"bind", "create_server", "start_server"}


def say(file, line, what, about):
    print(json.dumps([file, line, what, about]))


def constant(node, kind):
    return node.value if isinstance(node, ast.Constant) and type(node.value) is kind else None


def look(file, call):
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    for argument in call.args:
        if isinstance(argument, ast.Tuple) and len(argument.elts) >= 2:
            host, port = constant(argument.elts[0], str), constant(argument.elts[1], int)
            if name in OTHERS and host:
                say(file, call.lineno, "host", host)
            if name in OWN and port is not None and 0 < port < 1024:
                say(file, call.lineno, "port", str(port))
    if name in NAMES and call.args and constant(call.args[0], str):
        say(file, call.lineno, "host", call.args[0].value)


for file, text in sorted(json.load(sys.stdin).items()):
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        say(file, getattr(error, "lineno", None) or 0, "syntax", getattr(error, "msg", None) or str(error))
        continue
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            look(file, node)
