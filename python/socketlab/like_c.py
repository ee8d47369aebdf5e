"""Functions in place of C's: kept in a class, they do not become methods (`selectors` keeps `select.select` so)."""

from types import FunctionType


def like_c(module):
    """Makes the public functions of a module (its `globals()`) so."""
    for name, value in list(module.items()):
        if type(value) is FunctionType and not name.startswith("_") and value.__module__ == module["__name__"]:
            module[name] = staticmethod(value)
