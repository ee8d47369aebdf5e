"""Loops that make no system call, on the command line: `while not done: pass`. Each round of each loop in the student's
own files counts, and after a fixed number of rounds another thread runs, or the world goes on for a moment. (In the
page CPython's `sys.monitoring` counts, see `page.py`; it is there from CPython 3.12 only, and slower from Python.)

Left out: comprehensions and loops of the standard library.
"""

import ast
import builtins
import itertools

from socketlab import sched

#: Rounds between two looks. As many as in the page.
ROUNDS = 65536

#: What each loop says at the beginning of each round: `if __round__(): __preempt__()`.
_IS_TIME, _PREEMPT = "__socketlab_round__", "__socketlab_preempt__"


class _Rounds(ast.NodeTransformer):
    def _loop(self, node):
        self.generic_visit(node)
        look = ast.If(
            ast.Call(ast.Name(_IS_TIME, ast.Load()), [], []),
            [ast.Expr(ast.Call(ast.Name(_PREEMPT, ast.Load()), [], []))],
            [],
        )
        # A line of its own would be seen by debuggers and tracers.
        for part in ast.walk(look):
            ast.copy_location(part, node.body[0])
        node.body.insert(0, look)
        return node

    visit_While = visit_For = visit_AsyncFor = _loop


def compiled(source, path):
    """The code of a program or module."""
    # First as it is: so mistakes are told in CPython's own words.
    code = compile(source, path, "exec", dont_inherit=True)
    tree = _Rounds().visit(ast.parse(source, path))
    try:
        return compile(tree, path, "exec", dont_inherit=True)
    except RecursionError:
        return code


def install():
    """Puts the counter where loops find it."""
    setattr(builtins, _IS_TIME, itertools.cycle([False] * (ROUNDS - 1) + [True]).__next__)
    setattr(builtins, _PREEMPT, sched.preempt)
