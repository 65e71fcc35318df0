"""The C that is generated for a script, line by line.

Invariant: for each generate/NAME.lua, `rille emit NAME.lua --c` writes generate/NAME.bpf.c. What belongs to the machine
(offsets of the running kernel's structures, the number of CPUs) is masked, and pieces of bpf-templates stand as one line
with their name: they have to be in the program word for word. Where a piece has a twin for older kernels, either will do.
RILLE_BLESS=1 writes what the command says now, to be looked at before it is committed.

A second invariant holds for each of them: what is generated compiles without a warning.
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

TESTS = pathlib.Path(__file__).resolve().parent.parent
RILLE = os.environ.get("RILLE", str(TESTS.parent / "build" / "rille"))
SCRIPTS = TESTS / "golden" / "generate"
TWINS = {
    "load_probe": "load_btf",
    "regs_stack": "regs_helper",
    "stack_end_none": "stack_end_vma",
    "entries_hash": "entries_task",
    "path_steps": "path_loop",
    "scm_steps": "scm_loop",
    "each_steps": "each_loop",
}


def emit(path):
    return subprocess.run([RILLE, "emit", path.name, "--c"], cwd=path.parent, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)


def pieces():
    """(name, text) of every template, the longest first."""
    folder = TESTS.parent / "bpf-templates"
    texts = []
    for path in folder.glob("*.h"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        texts.append((path.name, "".join(line for line in lines if not line.startswith("#include"))))
    return sorted(texts, key=lambda piece: -len(piece[1]))


def normal(source):
    for name, text in pieces():
        stem = name.removesuffix(".bpf.h")
        source = source.replace(text, f"/* bpf-templates: {TWINS.get(stem, stem)} */\n")
    source = re.sub(r"(?m)^#define (OFF_\w+) \d+$", r"#define \1 N", source)
    source = re.sub(r"(?m)^#define RILLE_CPUS \d+$", "#define RILLE_CPUS N", source)
    return re.sub(r'(?m)^#line \d+ "rille\.bpf\.c"$', '#line N "rille.bpf.c"', source)


class Generate(unittest.TestCase):
    maxDiff = None

    def compare(self, path):
        done = emit(path)
        if done.returncode == 4:
            self.skipTest(f"this kernel does not describe its types: {done.stderr.strip()}")
        self.assertEqual(done.returncode, 0, done.stderr)
        expected = path.with_suffix(".bpf.c")
        if os.environ.get("RILLE_BLESS"):
            expected.write_text(normal(done.stdout), encoding="utf-8")
        self.assertEqual(normal(done.stdout), expected.read_text(encoding="utf-8"))

    def compile(self, path):
        clang = next((found for found in map(shutil.which, ("clang-19", "clang")) if found), None)
        if not clang:
            self.skipTest("no clang is installed")
        done = emit(path)
        flags = ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11", "-ffreestanding", "-Wall", "-Wextra", "-Werror",
                 "-Wno-unused-function", "-Wno-unused-const-variable", "-Wno-unused-parameter",
                 "-Wno-unknown-warning-option", "-Wno-missing-field-initializers"]
        compiled = subprocess.run([clang, *flags, "-x", "c", "-c", "-o", os.devnull, "-"], input=done.stdout,
                                  capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((compiled.returncode, compiled.stderr), (0, ""))


def add_case(path):
    setattr(Generate, f"test_{path.stem}", lambda self: self.compare(path))
    setattr(Generate, f"test_{path.stem}_compiles", lambda self: self.compile(path))


for case in sorted(SCRIPTS.glob("*.lua")):
    add_case(case)


if __name__ == "__main__":
    unittest.main()
