#!/usr/bin/env python3
"""Make files part of the program: write a C file with a table of their names and texts.

usage: embed.py OUTPUT.c TABLE FILE...

The C file defines `const struct embedded TABLE[]` in order of name, ended by an element without a name, and
`const size_t TABLE_n`, the number of files. engine/base/embed.h has the struct; whoever uses the table declares it.
"""
import os
import sys


def literal(text):
    """The C string literals for one file, a line each; no line is near the length that C compilers must take."""
    out = []
    for line in text.splitlines(keepends=True):
        body = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("??", "?\\?")
        out.append('\t\t"' + body + '"')
    return "\n".join(out) or '\t\t""'


def main(output, table, paths):
    rows = []
    for path in sorted(paths, key=os.path.basename):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        rows.append('\t{"%s",\n%s,\n\t\t%d},' % (os.path.basename(path), literal(text), len(text.encode())))
    with open(output, "w", encoding="utf-8") as f:
        f.write('#include "engine/base/embed.h"\n\n')
        f.write("extern const struct embedded %s[];\nextern const size_t %s_n;\n\n" % (table, table))
        f.write("const struct embedded %s[] = {\n%s\n\t{NULL, NULL, 0},\n};\n" % (table, "\n".join(rows)))
        f.write("const size_t %s_n = %d;\n" % (table, len(rows)))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
