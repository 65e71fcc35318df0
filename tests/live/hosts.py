"""What the tests of hosts share: the library and the Lua modules as they lie in the build folder, and compiling against them."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import rille

ROOT = rille.TESTS.parent
BUILD = pathlib.Path(rille.RILLE).resolve().parent
LIBRARY = BUILD / "engine"
EXAMPLES = ROOT / "docs" / "examples"
LUAS = {"lua5.4": BUILD / "lua" / "module" / "lua54", "luajit": BUILD / "lua" / "module" / "luajit"}


def compiler_path():
    """The rille-cc for hosts, which do not lie beside it."""
    return os.environ.get("RILLE_CC") or str(LIBRARY / "cc" / "rille-cc")


def environment(lua=None, **more):
    """A process's, in which librille and, for a Lua, the module are found."""
    env = dict(os.environ, LD_LIBRARY_PATH=str(LIBRARY), RILLE_CC=compiler_path(), **more)
    if lua:
        env["LUA_CPATH"] = f"{LUAS[lua]}/?.so;;"
        env.pop("LUA_CPATH_5_4", None)
    return env


def why_not_lua(lua, *modules):
    """Why the module cannot be used in this Lua, with these other modules; or None."""
    if not shutil.which(lua):
        return f"{lua} is not installed"
    if not (LUAS[lua] / "rille.so").exists():
        return f"the module for {lua} was not built: its headers were not there"
    for module in modules:
        done = subprocess.run([lua, "-e", f"require '{module}'"], capture_output=True, check=False)
        if done.returncode:
            return f"{lua} has no module {module}"
    return None


def flags(*packages):
    """What pkg-config says; None if one of the packages is not there."""
    if not packages:
        return []
    done = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], capture_output=True, text=True, check=False)
    return shlex.split(done.stdout) if done.returncode == 0 else None


def compile_host(source, target, *options):
    """Compiles a C file against the library of the build folder, with warnings as errors."""
    command = ["cc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "engine" / "include", source, "-o", target,
               *options, f"-L{LIBRARY}", "-lrille"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return target


def run(*command, lua=None, timeout=60, **more):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | more
    options.setdefault("env", environment(lua))
    return subprocess.run([str(part) for part in command], timeout=timeout, check=False, **options)


PAIR = re.compile(r'fds"?[=:]\[?\[(\d+), ?(\d+)\].*inodes"?[=:]\[(\d+), ?(\d+)\]|\[(\d+),(\d+)\]\t\[(\d+),(\d+)\]')


def pairs(text):
    """Of each event that a host printed: (the two descriptors and inodes, the names of its stack, innermost first)."""
    found = []
    for line in text.splitlines():
        match = PAIR.search(line)
        if match:
            numbers = [int(group) for group in match.groups() if group]
            names = [frame["name"] for frame in json.loads(line)["ustack"]] if line.startswith("{") else []
            found.append((numbers, names))
        elif found and re.match(r"\s+[^\s(]", line):
            found[-1][1].append(re.split(r"[+ (]", line.strip())[0])
    return found


class Pair:
    """tests/programs/pair.c as a command whose own output goes to a file, apart from what its host prints."""

    def __init__(self, program, folder):
        self.file = folder / "said"
        self.file.touch()
        self.file.chmod(0o666)
        self.command = folder / "say"
        self.command.write_text(f'#!/bin/sh\nexec "{program}" > "{self.file}"\n', encoding="utf-8")
        self.command.chmod(0o755)

    def said(self):
        """What it said of itself: descriptors and inodes of each pair."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return [[int(number) for number in line.split()[1:]] for line in lines]
