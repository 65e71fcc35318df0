#!/usr/bin/env python3
"""Checks that a file includes only its own layer and lower ones (docs/internals.md).

Prints each include that is not allowed and exits 1. Besides the layers: only `script` knows Lua, only `cc` knows LLVM,
and the library's layers do not print or exit.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = ["base", "probe", "run", "proc", "stack", "out", "core", "script", "api", "cli"]  # lowest first
LIBRARY = set(LAYERS) - {"cli"}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
# A file outside a layer's reach that it may still include: the format that both sides of a pipe share.
SHARED = {("probe", "engine/cc/wire.h"), ("api", "engine/include/rille.h"), ("cli", "engine/include/rille.h")}
PRINTS = re.compile(r"(?<![\w.>])(?:printf|puts|putchar|perror|exit|abort)\s*\(")


def layer_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "engine" else None


def problem_with(layer, included, system):
    """Why `layer` must not include this; None if it may."""
    if system:
        if re.match(r"(lua|lauxlib|lualib)", included) and layer != "script":
            return "only engine/script includes Lua's headers"
        if re.match(r"(llvm|clang)", included) and layer != "cc":
            return "only engine/cc includes LLVM's headers"
        return None
    target = layer_of(included)
    if target is None or target == layer or (layer, included) in SHARED:
        return None
    if layer == "cc" or target == "cc":
        return "engine/cc shares nothing but engine/cc/wire.h with engine/probe"
    if target == "include":
        return "rille.h is for api and cli; the layers below do not know it"
    if target not in LAYERS or LAYERS.index(target) > LAYERS.index(layer):
        return f"{layer} is below {target}"
    return None


def check_file(path):
    name = path.relative_to(ROOT).as_posix()
    layer = layer_of(name)
    if layer not in LAYERS and layer != "cc":
        return []
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        why = problem_with(layer, found.group(1) or found.group(2), bool(found.group(2))) if found else None
        if why:
            problems.append(f"{name}:{number}: {line.strip()}: {why}")
        if layer in LIBRARY and "/* not reached */" not in line and PRINTS.search(line.split("/*")[0].split('"')[0]):
            problems.append(f"{name}:{number}: the library does not print or exit: {line.strip()}")
    return problems


def main():
    files = [path for path in sorted((ROOT / "engine").rglob("*")) if path.suffix in (".c", ".h", ".cc")]
    problems = [problem for path in files for problem in check_file(path)]
    print("\n".join(problems) if problems else f"{len(files)} files keep to their layers")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
