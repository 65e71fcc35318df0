#!/usr/bin/env python3
"""Make the recipes part of the library: write a C file with the table that engine/script/recipe.c serves.

usage: embed-recipes.py OUTPUT.c FILE.lua...
"""
import os
import sys

from embed import literal


def main(output, paths):
    rows = []
    for path in sorted(paths):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        name = os.path.splitext(os.path.basename(path))[0]
        rows.append('\t{"%s",\n%s,\n\t\t%d},' % (name, literal(text), len(text.encode())))
    with open(output, "w", encoding="utf-8") as f:
        f.write('#include "engine/script/script.h"\n\n')
        f.write("extern const struct recipe recipe_list[];\nextern const size_t recipe_list_n;\n\n")
        f.write("const struct recipe recipe_list[] = {\n%s\n};\n" % "\n".join(rows))
        f.write("const size_t recipe_list_n = %d;\n" % len(rows))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
