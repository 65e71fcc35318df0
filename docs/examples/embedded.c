/* A program that has a Lua and an LLVM of its own, and Rille beside them.
 *
 * It multiplies with a function that LLVM compiled, counts the events of a command in its own Lua, and has Rille run a
 * script in Rille's. None of the three sees the others: librille.so contains a Lua 5.4 that it does not show, and keeps
 * LLVM in a process of its own.
 *
 *     cc -rdynamic -o embedded embedded.c $(pkg-config --cflags --libs rille luajit) \
 *         $(llvm-config-19 --cflags --ldflags --libs)
 *     sudo ./embedded COMMAND… */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <lauxlib.h>
#include <llvm-c/Core.h>
#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/Target.h>
#include <lua.h>
#include <lualib.h>
#include <rille.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int64_t (*binary)(int64_t, int64_t);

/* int64_t product(int64_t a, int64_t b) { return a * b; } */
static binary compile_product(LLVMExecutionEngineRef *ret_engine)
{
	LLVMLinkInMCJIT();
	LLVMInitializeNativeTarget();
	LLVMInitializeNativeAsmPrinter();
	LLVMModuleRef module = LLVMModuleCreateWithName("host");
	LLVMTypeRef type = LLVMInt64Type(), parameters[] = {type, type};
	LLVMValueRef function = LLVMAddFunction(module, "product", LLVMFunctionType(type, parameters, 2, 0));
	LLVMBuilderRef builder = LLVMCreateBuilder();
	LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlock(function, "entry"));
	LLVMBuildRet(builder, LLVMBuildMul(builder, LLVMGetParam(function, 0), LLVMGetParam(function, 1), "product"));
	LLVMDisposeBuilder(builder);
	char *error = NULL;
	if (LLVMCreateExecutionEngineForModule(ret_engine, module, &error)) {
		fprintf(stderr, "LLVM: %s\n", error);
		exit(1);
	}
	return (binary)LLVMGetFunctionAddress(*ret_engine, "product");
}

struct host {
	lua_State *L;
	binary product;
};

/* Each event enters the host's Lua, in the middle of Rille's work. */
static int count(void *user, const rille_event *event)
{
	struct host *host = user;
	const char *json;
	size_t len;
	if (rille_event_json(event, &json, &len))
		return -1;
	lua_getglobal(host->L, "count");
	lua_pushlstring(host->L, json, len);
	return lua_pcall(host->L, 1, 0, 0) ? -1 : 0;
}

/* A script with a callback, so that Rille's Lua runs for each event, too. */
static const char script[] = "return {\n"
                             "  probes = {\n"
                             "    {\n"
                             "      'syscall:socketpair',\n"
                             "      where = 'ret == 0',\n"
                             "      fields = { 'fds = s32(usockvec, 2)', 'inodes = fd_inode(fds)' },\n"
                             "      stack = 'user',\n"
                             "      on_event = function(ev, out) out:print(_VERSION, ev.fds[1], ev.fds[2]) end,\n"
                             "    },\n"
                             "  },\n"
                             "}\n";

static int trace(rille *r, pid_t child, int go, struct host *host)
{
	if (rille_load_string(r, script, sizeof(script) - 1, "host") || rille_target_pid(r, child) ||
	        rille_add_output(r, "text", NULL, STDOUT_FILENO) || rille_on_event(r, count, host) || rille_attach(r))
		return -1;
	if (write(go, "g", 1) != 1)
		return -1;
	while (rille_dispatch(r, -1, 0) >= 0)
		;
	return rille_stop(r, NULL);
}

int main(int argc, char **argv)
{
	char byte;
	int gate[2];
	LLVMExecutionEngineRef engine;
	if (argc < 2 || pipe2(gate, O_CLOEXEC))
		return 2;
	pid_t child = fork();
	if (child == 0)
		return close(gate[1]) == 0 && read(gate[0], &byte, 1) == 1 ? execvp(argv[1], argv + 1) : 1;
	struct host host = {.L = luaL_newstate(), .product = compile_product(&engine)};
	luaL_openlibs(host.L);
	if (luaL_dostring(host.L, "events = 0; function count(json) events = events + 1; print(json) end"))
		return 1;
	rille *r = rille_new(NULL);
	int e = trace(r, child, gate[1], &host);
	if (e)
		fputs(rille_last_error(r)->formatted, stderr);
	rille_free(r);
	lua_getglobal(host.L, "_VERSION");
	lua_getglobal(host.L, "events");
	printf("the host's %s counted %d events; 6 * 7 = %lld\n", lua_tostring(host.L, -2),
	        (int)lua_tointeger(host.L, -1), (long long)host.product(6, 7));
	lua_close(host.L);
	LLVMDisposeExecutionEngine(engine);
	return e ? 1 : 0;
}
