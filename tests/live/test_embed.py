"""The library as others get it: `meson install` into a folder, then a C program that finds it with pkg-config."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from rille import RILLE, why_not_trace

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(RILLE).resolve().parent
INSTALLED = ["bin/rille", "libexec/rille/rille-cc", "include/rille.h", "share/man/man1/rille.1",
             "share/man/man7/rille-script.7", "share/bash-completion/completions/rille",
             "share/zsh/site-functions/_rille", "share/rille/event.schema.json", "share/rille/rille.d.lua",
             "share/man/man3/librille.3"]


def run(*command, **more):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **more)


class Embed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (BUILD / "meson-info").is_dir():
            raise unittest.SkipTest(f"{RILLE} does not lie in a build folder, from which to install")
        cls.scratch = tempfile.TemporaryDirectory(prefix="rille-embed-")
        cls.top = pathlib.Path(cls.scratch.name)
        cls.top.chmod(0o755)
        done = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", cls.top)
        if done.returncode:
            cls.scratch.cleanup()
            raise AssertionError(done.stdout + done.stderr)
        options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
        cls.prefix = cls.top / next(o["value"] for o in options if o["name"] == "prefix").lstrip("/")
        cls.libdir = next(cls.prefix.rglob("librille.so")).parent

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def flags(self, *what):
        env = dict(os.environ, PKG_CONFIG_PATH=str(self.libdir / "pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(self.top))
        done = run("pkg-config", *what, "rille", env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def test_installed(self):
        """Everything that is promised is there."""
        missing = [name for name in INSTALLED if not (self.prefix / name).is_file()]
        self.assertEqual(missing, [])

    def test_lua_modules(self):
        """Each stock Lua looks where its module was installed, under this prefix."""
        for lua, version in (("lua5.4", "5.4"), ("luajit", "5.1")):
            if not (BUILD / "lua" / "module" / {"lua5.4": "lua54", "luajit": "luajit"}[lua] / "rille.so").exists():
                continue
            with self.subTest(lua):
                found = [path for path in self.prefix.rglob("rille.so") if path.parent.name == version]
                self.assertEqual(len(found), 1)
                done = run(lua, "-e", "print(package.cpath)", env={"PATH": os.environ["PATH"]})
                folders = [entry.rpartition("/")[0] for entry in done.stdout.strip().split(";")]
                self.assertIn("/" + str(found[0].parent.relative_to(self.top)), folders)
                env = dict(os.environ, LD_LIBRARY_PATH=str(self.libdir), LUA_CPATH=f"{found[0].parent}/?.so")
                done = run(lua, "-e", "print(require('rille').version)", env=env)
                self.assertRegex(done.stdout, r"^\d+\.\d+\.\d+$", done.stderr)

    def test_no_other_lua(self):
        """Neither library nor pkg-config file brings a Lua or an LLVM into the host."""
        done = run("readelf", "-d", self.libdir / "librille.so")
        self.assertNotRegex(done.stdout, r"NEEDED.*(?i:lua|llvm|clang|stdc\+\+)")
        undefined = run("nm", "-D", "--undefined-only", self.libdir / "librille.so").stdout
        self.assertNotRegex(undefined, r" (lua|luaL|LLVM|_Z)")
        self.assertNotRegex(" ".join(self.flags("--libs", "--static")), "lua|LLVM")

    def test_header(self):
        """rille.h alone is C99 and C++, without a warning."""
        for compiler, standard, suffix in (("cc", "c99", "c"), ("c++", "c++11", "cc")):
            source = self.top / f"header.{suffix}"
            source.write_text("#include <rille.h>\nint main(void) { return !rille_version(); }\n", encoding="utf-8")
            done = run(compiler, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", source,
                       *self.flags("--cflags"))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_uninstalled(self):
        """A program can be built against the build folder, with the pkg-config file that lies there."""
        if not shutil.which("pkg-config"):
            self.skipTest("no pkg-config")
        env = {name: value for name, value in os.environ.items() if not name.startswith("PKG_CONFIG")}
        done = run("pkg-config", "--cflags", "--libs", "rille",
                   env=env | {"PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")})
        self.assertEqual(done.returncode, 0, done.stderr)
        source, program = self.top / "here.c", self.top / "here"
        source.write_text("#include <rille.h>\n#include <stdio.h>\n"
                          "int main(void) { return puts(rille_version()) < 0; }\n", encoding="utf-8")
        done = run("cc", "-Wall", "-Werror", source, "-o", program, *done.stdout.split())
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run(program, env=env | {"LD_LIBRARY_PATH": str(BUILD / "engine")})
        self.assertRegex(done.stdout, r"^\d+\.\d+\.\d+\n$")

    def test_symbols(self):
        """The library shows the functions of rille.h and nothing else, and its map lists them; nm is the oracle."""
        done = run("nm", "-D", "--defined-only", self.libdir / "librille.so")
        self.assertEqual(done.returncode, 0, done.stderr)
        symbols = [line.split()[-2:] for line in done.stdout.splitlines()]
        shown = {name.removesuffix("@@RILLE_0") for kind, name in symbols if kind != "A"}  # A: the version itself
        header = (ROOT / "engine" / "include" / "rille.h").read_text(encoding="utf-8")
        declared = set(re.findall(r"^RILLE_API\b[^(]*?\b(rille_\w+)\(", header, re.MULTILINE))
        self.assertEqual(shown, declared)
        listed = (ROOT / "engine" / "librille.map").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"\t(rille_\w+);", listed), sorted(declared))

    def test_installed_command(self):
        """The installed command finds its compiler beside it."""
        env = {name: value for name, value in os.environ.items() if name != "RILLE_CC"}
        env["RILLE_CACHE_DIR"] = ""
        reason = why_not_trace()
        if reason:
            self.skipTest(reason)
        with tempfile.TemporaryDirectory() as cache:
            env["RILLE_CACHE_DIR"] = cache
            done = run(self.prefix / "bin" / "rille", "run", "socketpair", "--", "true", env=env)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_host(self):
        """A host traces a child of its own, and finds itself as it was: rille.h promises that nothing outlives the handle."""
        reason = why_not_trace()
        if reason:
            self.skipTest(reason)
        if not shutil.which("cc") or not shutil.which("pkg-config"):
            self.skipTest("no C compiler or no pkg-config")
        host, output = self.top / "host", self.top / "host.jsonl"
        done = run("cc", "-O1", "-Wall", ROOT / "tests" / "programs" / "host.c", "-o", host,
                   *self.flags("--cflags", "--libs"))
        self.assertEqual(done.returncode, 0, done.stderr)
        compiler = self.prefix / "libexec" / "rille" / "rille-cc"  # not where the library was told it would be
        env = dict(os.environ, LD_LIBRARY_PATH=str(self.libdir), RILLE_CC=str(compiler))
        done = run(host, output, env=env, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("before", "after")))
        self.assertEqual(said["after"], said["before"])
        self.assertIn("sent=1 lost=0", done.stdout)
        records = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        events = [record for record in records if record["type"] == "event"]
        self.assertEqual([event["fds"] for event in events], [[events[0]["fds"][0], events[0]["fds"][0] + 1]])
        self.assertEqual(records[-1]["type"], "end")


if __name__ == "__main__":
    unittest.main()
