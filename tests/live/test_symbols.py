"""A name is given only inside its symbol: thousands of addresses of real libraries, against readelf's symbol tables."""

import bisect
import collections
import glob
import os
import pathlib
import platform
import random
import re
import shutil
import subprocess
import unittest

RILLE = pathlib.Path(os.environ.get("RILLE", "build/rille")).resolve()
SYMDUMP = RILLE.parent / "tests" / "tools" / "symdump"
SAMPLES = 4000


def debug_file(path):
    """The separate debug file of a library, by build id."""
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Build ID: ([0-9a-f]+)", notes)
    target = found and pathlib.Path(f"/usr/lib/debug/.build-id/{found[1][:2]}/{found[1][2:]}.debug")
    return target if target and target.exists() else None


def tables(path):
    """The tables that are to be used: .symtab of the file or of its debug file, else .dynsym."""
    for candidate in (path, debug_file(path)):
        if candidate:
            text = subprocess.run(["readelf", "-SW", candidate], capture_output=True, text=True, check=True).stdout
            if re.search(r"\.symtab\s+SYMTAB", text):
                return candidate, "--syms"
    return path, "--dyn-syms"


def functions(path):
    """[(start, end, name)] of all functions with a size, sorted."""
    file, option = tables(path)
    out = subprocess.run(["readelf", "-W", option, file], capture_output=True, text=True, check=True,
                         env={**os.environ, "LC_ALL": "C"}).stdout
    if option == "--syms":
        out = out[out.index("'.symtab'"):]
    found = set()
    for line in out.splitlines():
        word = line.split()
        if len(word) >= 8 and word[3] in ("FUNC", "IFUNC") and word[6] != "UND":
            size = int(word[2], 0)
            if size:
                found.add((int(word[1], 16), int(word[1], 16) + size, word[7].split("@")[0]))
    return sorted(found, key=lambda symbol: (symbol[0], -symbol[1]))


class Symbols(unittest.TestCase):
    def compare(self, *patterns):
        if not shutil.which("readelf") or not shutil.which("c++filt"):
            self.skipTest("no binutils")
        if not SYMDUMP.exists():
            self.skipTest(f"{SYMDUMP} is not built")
        paths = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
        if not paths:
            self.skipTest(f"none of {patterns} is installed")
        path = os.path.realpath(paths[0])
        symbols = functions(path)
        starts = [symbol[0] for symbol in symbols]
        self.assertGreater(len(symbols), 100)
        rng = random.Random(1)
        some = [rng.choice(symbols) for _ in range(SAMPLES // 4)]
        addresses = [at for start, end, _ in some for at in (start, end - 1, end, rng.randrange(start, end))]
        text = "".join(f"{at:x}\n" for at in addresses)
        out = subprocess.run([SYMDUMP, path], input=text, capture_output=True, text=True, check=True).stdout
        readable = subprocess.run(["c++filt", "-i"], input="\n".join(symbol[2] for symbol in symbols), capture_output=True,
                                  text=True, check=True).stdout.splitlines()
        names_at = collections.defaultdict(set)  # of identical functions that were folded there are hundreds
        for (start, _, _), name in zip(symbols, readable, strict=True):
            names_at[start].add(name)
        wrong = []
        for at, line in zip(addresses, out.splitlines(), strict=True):
            past = bisect.bisect_right(starts, at)
            # The functions that cover it, innermost first: none is longer than this.
            covering = [i for i in range(past - 1, max(-1, past - 2000), -1) if symbols[i][1] > at]
            word = line.split(" ", 2)
            if not covering:
                # A symbol without a size may reach here; one with a size may not.
                if word[1] != "-" and any(s[0] == int(word[1], 16) and s[2] == word[2] for s in symbols):
                    wrong.append(f"{line}: outside")
                continue
            inner = symbols[covering[0]][0]
            names = names_at[inner]
            if word[1] == "-" or int(word[1], 16) != inner or word[2] not in names:
                wrong.append(f"{line}: {inner:x} {sorted(names)[:4]}")
        self.assertEqual(wrong[:10], [], f"{len(wrong)} of {len(addresses)} in {path}")

    def test_libc(self):
        """libc's functions, with its debug file if that is installed."""
        self.compare(f"/lib/{platform.machine()}-linux-gnu/libc.so.6", "/lib64/libc.so.6")

    def test_libstdcxx(self):
        """C++ with thousands of aliases and templates."""
        self.compare(f"/usr/lib/{platform.machine()}-linux-gnu/libstdc++.so.6", "/usr/lib64/libstdc++.so.6")

    def test_libjvm(self):
        """The JVM."""
        self.compare("/usr/lib/jvm/*/lib/server/libjvm.so")

    def test_loader(self):
        """The dynamic loader."""
        self.compare("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")

    def test_lines(self):
        """Lines of the command under test are those that elfutils reads from the same file."""
        if not shutil.which("eu-addr2line"):
            self.skipTest("no eu-addr2line")
        sections = subprocess.run(["readelf", "-SW", RILLE], capture_output=True, text=True, check=True).stdout
        text = re.search(r"\] \.text\s+PROGBITS\s+(\S+) \S+ (\S+)", sections)
        if ".debug_line " not in sections or not text:
            self.skipTest("the command has no line tables")
        start, size = int(text[1], 16), int(text[2], 16)
        rng = random.Random(1)
        addresses = [start + rng.randrange(size) for _ in range(SAMPLES)]
        ours = subprocess.run([SYMDUMP, "-l", RILLE], input="".join(f"{at:x}\n" for at in addresses), capture_output=True,
                              text=True, check=True).stdout.splitlines()
        theirs = subprocess.run(["eu-addr2line", "-e", RILLE], input="".join(f"{at:#x}\n" for at in addresses),
                                capture_output=True, text=True, check=True).stdout.splitlines()
        known = 0
        for mine, other in zip(ours, theirs, strict=True):
            place = mine.split(" ", 1)[1]
            if other.startswith("??") or other.split(":")[1] == "0":
                self.assertEqual(place, "-")
                continue
            known += 1
            self.assertEqual([os.path.normpath(place.split(":")[0]), place.split(":")[1]],
                             [os.path.normpath(other.split(":")[0]), other.split(":")[1]], mine)
        self.assertGreater(known, SAMPLES // 4)


if __name__ == "__main__":
    unittest.main()
