"""Puts the shim in place, runs one program from its first line to its exit status, and reports what it did not catch
as CPython does, without the shim's own frames."""

import builtins
import os
import sys

from socketlab import clock, descriptors, errors, processes, sched, signals, stdio, users

#: Modules that hold on to the machine's sockets, threads or clock once they are imported. In a snapshot they are
#: there before us and must be imported again.
_CAPTURED = (
    "_asyncio asyncio concurrent http logging queue random selectors socket socketserver subprocess tempfile threading "
    "_threading_local urllib"
).split()

#: What CPython itself has imported before a program's first line: a student's file cannot shadow these.
_AT_START = frozenset(
    "_abc _codecs _collections_abc _frozen_importlib _frozen_importlib_external _imp _io _signal _sitebuiltins _stat "
    "_thread _warnings _weakref abc builtins codecs encodings genericpath io marshal os posix posixpath site stat sys "
    "time zipimport".split()
)

_SHIM = os.path.dirname(os.path.abspath(__file__)) + os.sep
_installed = False
_random = None
#: Makes code of a student's file: `compiled(source, path)`.
_compiled = None


def install(clock_is_virtual=False):
    """Replaces the modules that reach the machine. Needs no transport, so it may be part of a memory snapshot."""
    global _installed
    if _installed:
        return
    _installed = True
    from socketlab import poll, sock, thread

    errors.install()
    clock.install()
    sock.__name__, poll.__name__, thread.__name__ = "_socket", "select", "_thread"
    descriptors.install()
    processes.install()
    users.install()
    signals.install(_is_shim)
    _patch_os()
    captured = _forget_captured()
    sys.modules.update(_socket=sock, select=poll, _thread=thread)
    # Their C versions hold locks of the machine, or need its sockets.
    sys.modules.update(_queue=None, _ssl=None)
    if not clock_is_virtual:
        sys.modules["_datetime"] = None
    import importlib._bootstrap
    import importlib._bootstrap_external

    # Locks of half-imported modules, too, must let other threads run.
    importlib._bootstrap._thread = importlib._bootstrap_external._thread = thread
    _point_anew(captured)
    _patch_random()
    _patch_limits()
    sock.patch_unlink()
    _patch_traceback()
    _add_site_builtins()
    sys.dont_write_bytecode = True


def preload():
    """Imports what network programs usually import; for a snapshot."""
    for name in (
        "argparse asyncio collections concurrent.futures.thread csv dataclasses datetime hashlib http.client http.server "
        "ipaddress json logging math queue random re select selectors socket socketserver statistics string struct "
        "threading time traceback urllib.request uuid"
    ).split():
        __import__(name)


def attach(transport):
    """Connects the shim with the world."""
    sched.transport = transport
    descriptors.floor = getattr(transport, "floor", 0)


def count_loops():
    """For a place where nothing else looks after loops that make no system call."""
    global _compiled
    from socketlab import loops

    loops.install()
    _compiled = loops.compiled


def main(path, argv=(), *, pid=1, now=0, seed=0):
    """Runs the file `path` of the current directory as `__main__`; returns the exit status, `-N` for death by
    signal N. See `transport.py`."""
    sched.now = now
    _seed(seed, pid)
    processes.be(pid)
    processes.after_fork[:] = [lambda: _seed(seed, sched.process), _forget_threads]
    stdio.install()
    sys.argv = [path, *argv]
    _import_from(os.path.dirname(path))
    module = type(sys)("__main__")
    module.__file__ = path
    module.__builtins__ = builtins
    sys.modules["__main__"] = module
    status = _guarded(lambda: _execute(path, module.__dict__))
    threading = sys.modules.get("threading")
    if threading is not None:
        status = _guarded(threading._shutdown) or status
    import atexit

    atexit._run_exitfuncs()
    stdio.flush()
    _finalize(module)
    stdio.flush()
    sched.post_last("exit", status)
    return status


def _execute(path, namespace):
    with open(path, "rb") as file:
        source = file.read()
    exec((_compiled or _plainly_compiled)(source, path), namespace)


def _plainly_compiled(source, path):
    return compile(source, path, "exec", dont_inherit=True)


def _forget_threads():
    """In a copy of the process: the others' threads are not here."""
    from socketlab import thread

    thread.forget_others()


def _guarded(function):
    """Runs a piece of the program's life and gives the exit status it asks for."""
    try:
        function()
    except SystemExit as exit:
        return _status(exit.code)
    except BaseException as exc:
        stdio.flush()
        _without_shim(exc)
        exc.__traceback__ = _student_part(exc.__traceback__)
        sys.excepthook(type(exc), exc, exc.__traceback__)
        return -2 if isinstance(exc, KeyboardInterrupt) else 1
    return 0


def _status(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    stdio.flush()
    sys.stderr.write(f"{code}\n")
    return 1


def _finalize(module):
    """Lets go of the program's globals, so that `__del__` methods run while there still is a world."""
    namespace = vars(module)
    try:
        for first in ("_", ""):
            for name in list(namespace):
                if name.startswith(first) and not name.startswith("__"):
                    namespace[name] = None
    except SystemExit:
        pass


# Tracebacks


def _is_shim(frame):
    return frame.f_code.co_filename.startswith(_SHIM)


def _student_part(traceback):
    """The traceback without the shim's frames."""
    while traceback is not None and _is_shim(traceback.tb_frame):
        traceback = traceback.tb_next
    entry = traceback
    while entry is not None:
        following = entry.tb_next
        while following is not None and _is_shim(following.tb_frame):
            following = following.tb_next
        entry.tb_next = following
        entry = following
    return traceback


def _without_shim(exc):
    """Takes the shim's frames out of an exception, its causes and its members."""
    seen = set()
    pending = [exc]
    while pending:
        exc = pending.pop()
        if exc is None or id(exc) in seen:
            continue
        seen.add(id(exc))
        exc.__traceback__ = _student_part(exc.__traceback__)
        pending += (exc.__cause__, exc.__context__, *getattr(exc, "exceptions", ()))


def _patch_traceback():
    """Hides the shim from `traceback.print_exc()` and its like."""
    import traceback

    summary = traceback.StackSummary
    name = "_extract_from_extended_frame_gen"
    if not hasattr(summary, name):
        name = "extract"  # CPython 3.10
    extract = getattr(summary, name).__func__

    def without_shim(cls, frames, **options):
        return extract(cls, (entry for entry in frames if not _is_shim(entry[0])), **options)

    setattr(summary, name, classmethod(without_shim))


# The rest of the machine


def _seed(seed, pid):
    """Makes `random` and `os.urandom` repeatable, and different in each program of a lab."""
    global _random
    from _random import Random

    _random = Random(seed << 32 | pid)
    import random

    random.seed(_random.getrandbits(64))


def _patch_os():
    def urandom(size, /):
        if size < 0:
            raise ValueError("negative argument not allowed")
        return _random.getrandbits(size * 8).to_bytes(size, "big") if size else b""

    def _exit(status):
        sched.post_last("exit", status & 0xFF)
        sched.transport.leave(status & 0xFF)

    os.urandom = staticmethod(urandom)
    os.getrandom = staticmethod(lambda size, flags=0: urandom(size))
    os._exit = staticmethod(_exit)
    # Descriptors of the simulated host mean nothing to the machine's sendfile(2).
    if hasattr(os, "sendfile"):
        del os.sendfile


def _patch_limits():
    """How many descriptors a process may have open is a limit of the simulated host."""
    try:
        import resource
    except ImportError:
        return
    most = 1024
    machine_get, machine_set = resource.getrlimit, resource.setrlimit

    def getrlimit(which, /):
        return (sched.call("prlimit", -1)[1], most) if which == resource.RLIMIT_NOFILE else machine_get(which)

    def setrlimit(which, limits, /):
        if which != resource.RLIMIT_NOFILE:
            return machine_set(which, limits)
        soft, hard = limits
        if soft > hard or hard > most:
            raise ValueError("current limit exceeds maximum limit" if soft > hard else "not allowed to raise maximum limit")
        sched.call("prlimit", soft)

    resource.getrlimit, resource.setrlimit = getrlimit, setrlimit


def _patch_random():
    """C seeds a generator of random numbers from the machine if it is given nothing; here the lab's seed decides."""
    import random

    machine_seed = random.Random.seed

    def seed(self, a=None, version=2):
        if a is None:
            a = int.from_bytes(os.urandom(32), "big")
        machine_seed(self, a, version)

    random.Random.seed = seed


def _add_site_builtins():
    """`exit`, `quit` and `help`, which the module `site` would bring."""
    import _sitebuiltins

    for name in ("exit", "quit"):
        if not hasattr(builtins, name):
            setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    if not hasattr(builtins, "help"):
        builtins.help = _sitebuiltins._Helper()


def _import_from(folder):
    """Makes the files beside the program importable, under relative names as `where` expects, and lets them shadow
    the standard library as they would in CPython."""
    from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader

    here = os.path.join(os.getcwd(), folder).rstrip(os.sep)
    shim = os.path.dirname(_SHIM.rstrip(os.sep))
    sys.path[:] = [here, *(entry for entry in sys.path if entry not in ("", here, shim))]

    class Loader(SourceFileLoader):
        def source_to_code(self, data, path, *more, **options):
            # What more there is differs between versions of Python.
            if _compiled is None:
                return super().source_to_code(data, path, *more, **options)
            return _compiled(data, path)

    finder = FileFinder(here, (Loader, SOURCE_SUFFIXES))
    finder.path = folder
    sys.path_importer_cache[here] = finder
    for entry in os.listdir(here):
        name = entry[:-3] if entry.endswith(".py") else entry
        if name in sys.modules and name not in _AT_START and name not in sys.builtin_module_names:
            if name != "socketlab":
                del sys.modules[name]


def _forget_captured():
    """Drops what was imported over the machine's modules; gives `{id of the module: its name}`."""
    captured = {}
    for name in list(sys.modules):
        if name.partition(".")[0] in _CAPTURED and sys.modules[name] is not None:
            captured[id(sys.modules[name])] = name
    captured_modules = [sys.modules.pop(name) for name in captured.values()]
    # Kept alive, so that no other module gets one of these ids before `_point_anew`.
    return captured, captured_modules


def _point_anew(forgotten):
    """Makes modules that were there before us refer to the re-imported ones."""
    import importlib

    captured, _ = forgotten
    if not captured:
        return
    kind = type(sys)
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if type(value) is kind and id(value) in captured:
                setattr(module, name, importlib.import_module(captured[id(value)]))
