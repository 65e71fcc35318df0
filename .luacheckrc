-- Scripts and the Lua side of the library run on Lua 5.4 in a sandbox (docs/script.md).
std = "lua54"
max_line_length = 120
exclude_files = { "build*/**", "tests/golden/errors/**" } -- those are wrong on purpose
-- What a script finds as globals.
read_globals = { "rille", "probe", "out", "param", "every", "args" }
