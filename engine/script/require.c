/* require: "rille", and files beside the script.
 *
 * A name is words joined by dots; each word is letters, digits, _ and -, so that no name leads out of the directory,
 * and the kernel is asked to hold to that for symbolic links too (RESOLVE_BENEATH). A file is run once; its value is
 * kept. */
#include "engine/script/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 20, MOST_FILES = 256 };

/* "a.b" → "a/b.lua"; false if it is not such a name. */
static bool name_to_path(const char *name, char *path, size_t size)
{
	size_t n = strlen(name);
	if (n == 0 || n + 5 > size || name[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		bool dot = name[i] == '.' && i > 0 && name[i - 1] != '.';
		if (!dot && !isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;
		path[i] = dot ? '/' : name[i];
	}
	memcpy(path + n, ".lua", 5);
	return true;
}

static int open_beneath(int dir_fd, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, .resolve = RESOLVE_BENEATH};
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* Reads a regular file of at most MOST_BYTES into *ret, which is to be freed. Its length, or a negative errno. */
static ssize_t read_file(int fd, char **ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > MOST_BYTES)
		return S_ISREG(st.st_mode) ? -EFBIG : -EINVAL;
	size_t room = (size_t)st.st_size, len = 0;
	*ret = malloc(room + 1);
	if (!*ret)
		return -ENOMEM;
	while (len < room) {
		ssize_t n = read(fd, *ret + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Makes the file a source of the script; NULL and *ret_code if that does not go. No Lua here: nothing can be leaked. */
static struct source *add_file(struct script *script, const char *path, int *ret_code)
{
	char *text = NULL;
	struct source *source = NULL;
	const struct spec_file *brought = spec_find_file(script->spec, path);
	if (brought) {
		source = source_add(script, path, brought->text, brought->len);
		*ret_code = source ? 0 : -ENOMEM;
		return source;
	}
	int fd = script->dir_fd >= 0 ? open_beneath(script->dir_fd, path) : -ENOENT;
	ssize_t len = fd < 0 ? fd : read_file(fd, &text);
	if (fd >= 0)
		close(fd);
	*ret_code = len < 0 ? (int)len : 0;
	/* Kept for an object that is to be loaded elsewhere, in the declare phase: what a callback requires later is not
	 * known when it is made. */
	if (len >= 0 && !script->running && spec_add_file(script->spec, path, text, (size_t)len) < 0)
		len = *ret_code = -ENOMEM;
	if (len >= 0) {
		source = source_add(script, path, text, (size_t)len);
		*ret_code = source ? 0 : -ENOMEM;
	}
	free(text);
	return source;
}

/* With --unsafe a name that is not beside the script is looked for as Lua does. */
static int require_elsewhere(lua_State *L, const char *name, int code)
{
	if (!lua_isnil(L, lua_upvalueindex(2))) {
		lua_pushvalue(L, lua_upvalueindex(2));
		lua_pushstring(L, name);
		lua_call(L, 1, 1);
		return 1;
	}
	return luaL_error(L, "require '%s': %s", name,
	        code == -ENOENT ? "there is no such file beside the script, and no such library" : strerror(-code));
}

/* Upvalue 1: values by name; upvalue 2: Lua's own require, or nil. */
static int require(lua_State *L)
{
	struct script *script = script_of(L);
	const char *name = luaL_checkstring(L, 1);
	char path[256];
	struct err err = {0};
	int code;
	lua_settop(L, 1);
	if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL)
		return 1;
	if (!name_to_path(name, path, sizeof(path)))
		return luaL_error(L, "require '%s': a name is words joined by dots", name);
	if (script->nsources >= MOST_FILES)
		return luaL_error(L, "require '%s': too many files", name);
	struct source *source = add_file(script, path, &code);
	if (!source)
		return require_elsewhere(L, name, code);
	if (source_compile(script, L, source, &err) < 0)
		return luaL_error(L, "%s:%d: %s", path, (int)err.line, err.message);
	lua_pushboolean(L, 1); /* a file that requires itself gets true */
	lua_setfield(L, lua_upvalueindex(1), name);
	lua_pushvalue(L, 1);
	lua_call(L, 1, 1);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
	}
	lua_pushvalue(L, -1);
	lua_setfield(L, lua_upvalueindex(1), name);
	return 1;
}

void require_open(lua_State *L)
{
	static const char *const built_in[] = {"string", "table", "math", "utf8", "coroutine"};
	lua_newtable(L);
	for (size_t i = 0; i < sizeof(built_in) / sizeof(*built_in); i++) {
		lua_getglobal(L, built_in[i]);
		lua_setfield(L, -2, built_in[i]);
	}
	library_push(L);
	lua_setfield(L, -2, "rille");
	lua_getglobal(L, "require"); /* only there if unsafe */
	lua_pushcclosure(L, require, 2);
	lua_setglobal(L, "require");
}
