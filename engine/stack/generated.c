/* Perf maps and jitdump files have a place for one name. Runtimes put more into it, each in its way: Python writes
 * "py::name:/file.py", LuaJIT "TRACE_n::file.lua:line". Everything else is a name as it stands. */
#include "engine/stack/generated.h"

#include <string.h>

void generated_name(struct frame *frame, struct intern *names, const char *name)
{
	frame->name = name;
	frame->kind = strncmp(name, "TRACE_", 6) ? FRAME_NATIVE : FRAME_LUA;
	const char *colon = strrchr(name, ':');
	if (strncmp(name, "py::", 4) || colon < name + 5)
		return;
	frame->kind = FRAME_PYTHON;
	frame->name = intern_bytes(names, name + 4, (size_t)(colon - name - 4));
	frame->file = colon + 1;
}
