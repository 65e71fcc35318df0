"""Every mistake in a script has an error that says where it is and what to do, byte for byte.

Invariant: for each errors/NAME.lua, `rille check NAME.lua` writes exactly errors/NAME.err and exits with 2, without any
privileges. An .err file is written by hand or looked at line by line before it is committed; RILLE_BLESS=1 writes
what the command says now, for the next look.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parent.parent
RILLE = os.environ.get("RILLE", str(TESTS.parent / "build" / "rille"))
ERRORS = TESTS / "golden" / "errors"
CACHE = tempfile.TemporaryDirectory(prefix="rille-errors-")  # not the user's


def check(*args):
    return subprocess.run([RILLE, "check", *args], cwd=ERRORS, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False, env=os.environ | {"RILLE_CACHE_DIR": CACHE.name})


class Errors(unittest.TestCase):
    maxDiff = None

    def compare(self, name, done):
        self.assertEqual(done.returncode, 2, done.stderr)
        expected = ERRORS / f"{name}.err"
        if os.environ.get("RILLE_BLESS"):
            expected.write_text(done.stderr, encoding="utf-8")
        self.assertEqual(done.stderr, expected.read_text(encoding="utf-8"))
        self.assertEqual(done.stdout, "")

    def test_every_case_has_a_place(self):
        """Each error names file, line and column, shows the line, and puts a caret under the column."""
        exempt = {"memory", "syntax-end"}  # nobody knows where; at the end of the file there is no line to show
        for path in sorted(ERRORS.glob("*.err")):
            if path.stem in exempt or path.stem.startswith("command-"):
                continue
            with self.subTest(path.stem):
                lines = path.read_text(encoding="utf-8").splitlines()
                place = lines[0].split(": ")[0].split(":")
                self.assertEqual(place[0], f"{path.stem}.lua")
                line, column = int(place[1]), int(place[2])
                source = (ERRORS / place[0]).read_text(encoding="utf-8").splitlines()[line - 1]
                self.assertEqual(lines[1], "  " + source)
                self.assertEqual(lines[2], "  " + " " * (column - 1) + "^")


def add_case(path):
    def test(self):
        self.compare(path.stem, check(path.name))

    setattr(Errors, f"test_{path.stem.replace('-', '_')}", test)


for case in sorted(ERRORS.glob("*.lua")):
    add_case(case)


class Parameters(unittest.TestCase):
    """A bad parameter on the command line points at its declaration in the script."""

    maxDiff = None

    CASES = {
        "constant": ["--family", "unxi"],
        "range": ["--level", "300"],
        "negative": ["--level", "-1"],
        "number": ["--level", "12x"],
        "list": ["--inode", "1,2,"],
        "bool": ["--failed=perhaps"],
        "unknown": ["--famly", "unix"],
    }

    def test_cases(self):
        for name, args in self.CASES.items():
            with self.subTest(name):
                Errors.compare(self, f"command-{name}", check("../parameters.lua", *args))


if __name__ == "__main__":
    unittest.main()
