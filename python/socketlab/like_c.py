"""Functions in place of C's: what they look like, and what this Python's own C says of wrong arguments."""

from types import FunctionType

try:
    # The machine's own: the shim takes its name later.
    import _socket as _c
except ImportError:
    _c = None


def like_c(module):
    """Makes the public functions of a module (its `globals()`) so: kept in a class, they do not become methods
    (`selectors` keeps `select.select` so)."""
    for name, value in list(module.items()):
        if type(value) is FunctionType and not name.startswith("_") and value.__module__ == module["__name__"]:
            module[name] = staticmethod(value)


def wrong_arguments(name, args, otherwise):
    """What the C module raises when it only looks at the arguments of a function, or of a method of its sockets. The
    words differ between versions of Python; `otherwise`: the TypeError's where there is no C module."""
    try:
        if name.startswith("socket."):
            kind = _c.socket
            getattr(kind, name.removeprefix("socket."))(kind.__new__(kind), *args)
        else:
            getattr(_c, name)(*args)
    except Exception as error:
        # With a number it is the machine's: the arguments were fine.
        if isinstance(error, (TypeError, ValueError, OverflowError)) or getattr(error, "errno", 0) is None:
            return error.with_traceback(None)
    return TypeError(otherwise)
