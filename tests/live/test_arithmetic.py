"""Expressions mean in the kernel what docs/script.md says they mean.

Invariant: for random expressions over arguments of every kind (signed and unsigned, 32 and 64 bits, small, large and at
the edges), the value that the traced call's event carries is the one that Python's integers give, with 64-bit wrapping
where the language wraps; a division by zero has no value, and && || decide what they can without it. The same
expressions over constants, which the engine computes itself before the program is made, have the same values.
"""

import ctypes
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import rille

KCMP = 312  # kcmp(pid_t pid1, pid_t pid2, int type, unsigned long idx1, unsigned long idx2): fails, and that is enough
ARGUMENTS = {"pid1": 32, "pid2": 32, "type": 32, "idx1": 64, "idx2": 64}  # the 64-bit ones are unsigned
EDGES = [0, 1, 2, 3, 7, 31, 63, 64, 65, 100, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1,
         -1, -2, -3, -64, -(2**31), -(2**63)]
FIELDS, PROBES, CALLS = 60, 4, 24


def signed(value, bits=64):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def wrap(value, wide):
    return value & (2**64 - 1) if wide else signed(value)


def shift_count(count):
    return count if 0 <= count < 64 else None


def divide(a, b):
    quotient = abs(a) // abs(b)
    return -quotient if (a < 0) != (b < 0) else quotient


class Node:
    """An expression: its text, whether its value needs 64 unsigned bits, and how to compute it (None = no value)."""

    def __init__(self, text, wide, value, constant):
        self.text, self.wide, self.value, self.constant = text, wide, value, constant


def literal(value):
    return Node(str(value) if value >= 0 else f"({value})", value >= 2**63, lambda env: value, True)


def arithmetic(op, a, b):
    wide = a.wide if op in ("<<", ">>") else a.wide or b.wide

    def value(env):
        x, y = a.value(env), b.value(env)
        if x is None or y is None or (op in "/%" and y == 0):
            return None
        if op in ("<<", ">>"):
            count = shift_count(y)
            if op == "<<":
                return wrap(x << count, wide) if count is not None else 0
            return x >> (63 if count is None else count) if not wide or count is not None else 0
        if op in "/%":
            x, y = (wrap(x, True), wrap(y, True)) if wide else (x, y)
            return wrap(divide(x, y) if op == "/" else x - y * divide(x, y), wide)
        table = {"+": x + y, "-": x - y, "*": x * y, "&": x & y, "|": x | y, "^": x ^ y}
        return wrap(table[op], wide)

    return Node(f"({a.text} {op} {b.text})", wide, value, a.constant and b.constant)


def comparison(op, a, b):
    def value(env):
        x, y = a.value(env), b.value(env)
        if x is None or y is None:
            return None
        return int({"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y, "==": x == y, "!=": x != y, "~=": x != y}[op])

    return Node(f"({a.text} {op} {b.text})", False, value, a.constant and b.constant)


def logic(op, a, b):
    decided = 0 if op in ("&&", "and") else 1

    def value(env):
        x, y = a.value(env), b.value(env)
        x, y = (None if v is None else int(v != 0) for v in (x, y))
        if decided in (x, y):
            return decided
        return None if None in (x, y) else 1 - decided

    return Node(f"({a.text} {op} {b.text})", False, value, a.constant and b.constant)


def unary(op, a):
    wide = op == "~" and a.wide

    def value(env):
        x = a.value(env)
        if x is None:
            return None
        return {"-": lambda: wrap(-x, False), "~": lambda: wrap(~x, wide)}.get(op, lambda: int(x == 0))()

    return Node(f"({op} {a.text})", wide, value, a.constant)


def choice(test, a, b):
    wide = a.wide or b.wide

    def value(env):
        t = test.value(env)
        chosen = None if t is None else a.value(env) if t else b.value(env)
        return None if chosen is None else wrap(chosen, wide)

    return Node(f"({test.text} ? {a.text} : {b.text})", wide, value, test.constant and a.constant and b.constant)


class Grammar:
    def __init__(self, seed, leaves):
        self.random = random.Random(seed)
        self.leaves = leaves

    def leaf(self):
        return self.random.choice(self.leaves)()

    def constant(self):
        return literal(self.random.choice([edge for edge in EDGES if edge >= 0]))

    def expression(self, depth):
        if depth == 0 or self.random.random() < 0.15:
            return self.leaf()
        kind = self.random.randrange(10)
        a = self.expression(depth - 1)
        if kind < 5:
            op = self.random.choice(["+", "-", "*", "&", "|", "^", "<<", ">>", "/", "%"])
            b = self.expression(depth - 1)
            if op in "/%" and b.constant:
                b = literal(self.random.choice([1, 2, 3, 7, 2**63, -1, -2, -7]))
            return arithmetic(op, a, b)
        if kind < 7:
            op = self.random.choice(["<", "<=", ">", ">=", "==", "!=", "~="])
            b = self.expression(depth - 1)
            if op in ("==", "!=", "~=") and a.constant != b.constant:
                a, b = (self.constant(), b) if a.constant else (a, self.constant())
            return comparison(op, a, b)
        if kind < 8:
            return logic(self.random.choice(["&&", "||", "and", "or"]), a, self.expression(depth - 1))
        if kind < 9:
            return unary(self.random.choice(["-", "~", "!", "not"]), a)
        return choice(a, self.expression(depth - 1), self.expression(depth - 1))


def argument(name):
    return Node(f"args.{name}" if name == "type" else name, ARGUMENTS[name] == 64, lambda env: env[name], False)


def make_calls(path):
    """Run as the traced program: one kcmp() a line of the file."""
    libc = ctypes.CDLL(None)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            libc.syscall(KCMP, *(ctypes.c_uint64(int(word) & (2**64 - 1)) for word in line.split()))


def script(probes):
    tables = []
    for nodes in probes:
        fields = ", ".join(f'"f{i} = {node.text}"' for i, node in enumerate(nodes))
        tables.append('{ "syscall:kcmp", fields = { %s } }' % fields)
    return "return { probes = { %s } }\n" % ",\n".join(tables)


class Arithmetic(unittest.TestCase):
    def setUp(self):
        rille.need_trace()
        self.folder = tempfile.TemporaryDirectory(prefix="rille-test-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.path.chmod(0o755)

    def trace(self, probes, calls):
        source, input_, output = self.path / "x.lua", self.path / "calls", self.path / "events"
        source.write_text(script(probes), encoding="utf-8")
        input_.write_text("".join(" ".join(map(str, call)) + "\n" for call in calls), encoding="utf-8")
        done = rille.run("run", source, "-q", "-o", f"jsonl:{output}", "--", sys.executable, __file__, "--calls", input_)
        self.assertEqual(done.returncode, 0, done.stderr)
        events = rille.events(output.read_text(encoding="utf-8"))
        self.assertEqual(len(events), len(calls) * len(probes))
        return events

    def check(self, probes, calls):
        events = self.trace(probes, calls)
        compared = 0
        for number, event in enumerate(events):
            call = calls[number // len(probes)]
            env = {name: signed(value, 32) if bits == 32 else value & (2**64 - 1)
                   for (name, bits), value in zip(ARGUMENTS.items(), call)}
            nodes = probes[number % len(probes)]
            for i, node in enumerate(nodes):
                expected, got = node.value(env), event[f"f{i}"]
                got = int(got) if got is not None else None
                self.assertEqual(got, expected, f"{node.text} with {env}")
                compared += 1
        return compared

    def test_arguments(self):
        leaves = [lambda n=name: argument(n) for name in ARGUMENTS] * 2 + [lambda: literal(random.Random().choice(EDGES))]
        seed = int(os.environ.get("RILLE_SEED", "1"))
        grammar = Grammar(seed, leaves)
        leaves[-1] = grammar.constant
        probes = [[grammar.expression(4) for _ in range(FIELDS)] for _ in range(PROBES)]
        calls = [[grammar.random.choice(EDGES) for _ in ARGUMENTS] for _ in range(CALLS)]
        self.assertEqual(self.check(probes, calls), FIELDS * PROBES * CALLS)

    def test_constants(self):
        """What is folded has the value that the program would compute."""
        grammar = Grammar(int(os.environ.get("RILLE_SEED", "2")), [])
        grammar.leaves = [lambda: literal(grammar.random.choice(EDGES))]
        nodes = [node for node in (grammar.expression(3) for _ in range(400)) if node.value({}) is not None]
        probes = [nodes[i:i + FIELDS] for i in range(0, FIELDS * PROBES, FIELDS)]
        self.check(probes, [[0] * 5])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--calls"]:
        make_calls(sys.argv[2])
    else:
        unittest.main()
