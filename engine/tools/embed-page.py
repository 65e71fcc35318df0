#!/usr/bin/env python3
"""Make a page part of the library: one HTML text of its markup, style and script, cut in two where the data goes.

usage: embed-page.py OUTPUT.c TABLE PAGE.html PAGE.css PAGE.js

The markup has the places @STYLE@, @SCRIPT@, @DATA@ and @POLICY@. The last is a content security policy that allows
exactly this style and this script, by their hashes, and nothing from anywhere else.

The C file defines `const struct embedded TABLE[2]`: what stands before the data, and what stands behind it.
"""
import base64
import hashlib
import sys

from embed import literal


def source_of(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def main(output, table, html, css, js):
    style, script = "\n" + read(css), "\n" + read(js)
    for text, end in ((style, "</style"), (script, "</script")):
        if end in text.lower():
            sys.exit(f"a page's style and script cannot hold {end}")
    policy = f"default-src 'none'; img-src data:; style-src {source_of(style)}; script-src {source_of(script)}"
    page = read(html)
    for place, text in (("@POLICY@", policy), ("@STYLE@", style), ("@SCRIPT@", script)):
        if page.count(place) != 1:
            sys.exit(f"{html}: {place} has to stand there once")
        page = page.replace(place, text)
    before, behind = page.split("@DATA@")
    rows = ['\t{"%s",\n%s,\n\t\t%d},' % (name, literal(text), len(text.encode()))
            for name, text in (("before", before), ("behind", behind))]
    with open(output, "w", encoding="utf-8") as f:
        f.write('#include "engine/base/embed.h"\n\n')
        f.write("extern const struct embedded %s[];\n\n" % table)
        f.write("const struct embedded %s[] = {\n%s\n};\n" % (table, "\n".join(rows)))


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
