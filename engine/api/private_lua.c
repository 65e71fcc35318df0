/* What it takes to put the static Lua of a distribution into a shared library.
 *
 * Hosts embed Luas of their own: LuaJIT, 5.1, 5.3, all with the same names. If librille.so used liblua5.4.so, the dynamic
 * linker would give it the host's lua_pcall(), of another version, and the first call would crash. So librille.so
 * contains Lua, and shows none of it. Debian compiles liblua5.4.a for position-independent executables, though, and in
 * one thing that is not enough for a shared library: variables of other libraries are addressed as if they were in the
 * same file. Lua has three of these. The linker is told (--wrap, engine/meson.build) to take ours in their place. */
#include <stdio.h>

/* The linker makes these names: __wrap_X is what X is now called, __real_X what it was. */
extern FILE *__wrap_stdin, *__wrap_stdout, *__wrap_stderr;
extern FILE *__real_stdin, *__real_stdout, *__real_stderr;

FILE *__wrap_stdin, *__wrap_stdout, *__wrap_stderr;

__attribute__((constructor)) static void take_streams(void)
{
	__wrap_stdin = __real_stdin;
	__wrap_stdout = __real_stdout;
	__wrap_stderr = __real_stderr;
}
