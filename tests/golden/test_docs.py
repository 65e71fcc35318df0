"""What the documentation shows is true.

Invariant: each Lua script in docs/ and README.md passes `rille check` and luacheck's idea of a script, and each table
after `rille -e` does, too.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RILLE = os.environ.get("RILLE", str(ROOT / "build" / "rille"))
PAGES = sorted(ROOT.glob("docs/*.md")) + [ROOT / "README.md"]


def scripts():
    """(page, text) of each script that is shown."""
    for page in PAGES:
        if page.exists():
            for block in re.findall(r"```lua\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
                yield page.name, block


def tables():
    """(page, table) of each `rille -e '…'`."""
    for page in PAGES:
        if page.exists():
            for table in re.findall(r"rille -e '([^']*)'", page.read_text(encoding="utf-8")):
                yield page.name, table


class Docs(unittest.TestCase):
    def check(self, *args):
        done = subprocess.run([RILLE, "check", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        if done.returncode in (3, 4):  # a tracepoint's format can be read by root only, and not on every kernel
            return
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_scripts(self):
        found = list(scripts())
        self.assertGreaterEqual(len(found), 5)
        for number, (page, text) in enumerate(found):
            with self.subTest(f"{page}, script {number}"), tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "script.lua"
                path.write_text(text, encoding="utf-8")
                self.check(str(path))

    def test_tables(self):
        found = list(tables())
        self.assertGreaterEqual(len(found), 1)
        for page, table in found:
            with self.subTest(f"{page}: {table}"):
                self.check("-e", table)

    @unittest.skipUnless(shutil.which("luacheck"), "luacheck is not installed")
    def test_luacheck(self):
        for number, (page, text) in enumerate(scripts()):
            with self.subTest(f"{page}, script {number}"):
                done = subprocess.run(["luacheck", "--config", ROOT / ".luacheckrc", "-"], input=text, text=True,
                                      capture_output=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
