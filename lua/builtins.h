/* What every event has in Lua, in scripts and for the module. In a table of names their numbers are below zero: -1 - the
 * index here. Those of a probe's own fields are not. */
#ifndef RILLE_LUA_BUILTINS_H
#define RILLE_LUA_BUILTINS_H

enum builtin {
	BUILTIN_PROBE,
	BUILTIN_TIME,
	BUILTIN_NSECS,
	BUILTIN_NUMBER,
	BUILTIN_PID,
	BUILTIN_TID,
	BUILTIN_PPID,
	BUILTIN_COMM,
	BUILTIN_USTACK,
	BUILTIN_KSTACK,
	BUILTIN_USTACK_END,
	BUILTIN_KSTACK_END,
	BUILTIN_CONTAINER,
	BUILTIN_LAST,
};

static const char *const builtins[BUILTIN_LAST] = {"probe", "time", "nsecs", "number", "pid", "tid", "ppid", "comm",
        "ustack", "kstack", "ustack_end", "kstack_end", "container"};

#endif
