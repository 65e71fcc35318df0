"""Every row of call frame information is as readelf reads it, in the files that matter most."""

import glob
import os
import pathlib
import platform
import re
import shutil
import subprocess
import unittest

RILLE = pathlib.Path(os.environ.get("RILLE", "build/rille")).resolve()
CFIDUMP = RILLE.parent / "tests" / "tools" / "cfidump"

FDE = re.compile(r"^[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)")
HEADER = re.compile(r"^\s+LOC\s+CFA\s+(.*)$")
ROW = re.compile(r"^([0-9a-f]{8,16}) (.*)$")


def rows_of(path):
    """(first address, last address, CFA, {register: rule}) of every row that readelf prints for .eh_frame."""
    text = subprocess.Popen(["readelf", "--debug-dump=frames-interp", "--wide", path], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, env={**os.environ, "LC_ALL": "C"})
    end, columns, pending, skip = 0, [], None, True
    for line in text.stdout:
        if found := FDE.match(line):
            if pending:
                yield pending[0], end - 1, *pending[1:]
            pending, end, skip = None, int(found[2], 16), False
        elif "CIE" in line or "ZERO terminator" in line or line.startswith("Contents of"):
            if pending:
                yield pending[0], end - 1, *pending[1:]
            pending, skip = None, True
        elif found := HEADER.match(line):
            columns = found[1].split()
        elif not skip and (found := ROW.match(line)):
            at = int(found[1], 16)
            cells = re.sub(r" \(\w+\)", "", found[2]).split()  # "r9 (r9)"
            if pending and at > pending[0]:
                yield pending[0], at - 1, *pending[1:]
            rules = {name: rule for name, rule in zip(columns, cells[1:]) if rule not in ("u", "n")}
            pending = (at, cells[0], rules)
    if pending:
        yield pending[0], end - 1, *pending[1:]
    text.stdout.close()
    text.wait()


def same(ours, cfa, rules):
    """Whether our line says what readelf says. readelf has one word for a register that is lost and one never named."""
    words = ours.split()
    mine = dict(word.split("=") for word in words[1:])
    mine = {name: rule for name, rule in mine.items() if rule != "u"}
    return words[0] == cfa and mine == rules


class Rows(unittest.TestCase):
    def compare(self, path):
        expected = [row for row in rows_of(path) if row[1] >= row[0]]
        addresses = "".join(f"{first:x}\n{last:x}\n" for first, last, _, _ in expected)
        out = subprocess.run([CFIDUMP, path], input=addresses, capture_output=True, text=True, check=True).stdout
        ours = [line.split(" ", 1) for line in out.splitlines()]
        self.assertEqual(len(ours), 2 * len(expected))
        self.assertGreater(len(expected), 1000)
        wrong = []
        for i, (first, last, cfa, rules) in enumerate(expected):
            for at, got in ((first, ours[2 * i]), (last, ours[2 * i + 1])):
                if int(got[0], 16) != at or got[1] == "-" or not same(got[1], cfa, rules):
                    wrong.append(f"{at:#x}: readelf {cfa} {rules}, cfidump {got}")
        self.assertEqual(wrong[:10], [], f"{len(wrong)} of {len(expected)} rows of {path} differ")

    def library(self, *patterns):
        if not shutil.which("readelf"):
            self.skipTest("no readelf")
        if not CFIDUMP.exists():
            self.skipTest(f"{CFIDUMP} is not built")
        for pattern in patterns:
            found = sorted(glob.glob(pattern))
            if found:
                return os.path.realpath(found[0])
        self.skipTest(f"none of {patterns} is installed")

    def test_libc(self):
        """Every row of libc equals readelf's, at its first and at its last address."""
        self.compare(self.library(f"/lib/{platform.machine()}-linux-gnu/libc.so.6", "/lib64/libc.so.6"))

    def test_libstdcxx(self):
        """Every row of libstdc++ equals readelf's."""
        self.compare(self.library(f"/usr/lib/{platform.machine()}-linux-gnu/libstdc++.so.6", "/usr/lib64/libstdc++.so.6"))

    def test_libjvm(self):
        """Every row of the JVM's library equals readelf's."""
        self.compare(self.library("/usr/lib/jvm/*-17-*/lib/server/libjvm.so", "/usr/lib/jvm/*/lib/server/libjvm.so"))


if __name__ == "__main__":
    unittest.main()
