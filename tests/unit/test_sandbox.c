/* The Lua state that scripts run in, against stock Lua and against scripts that want out. */
#include "engine/script/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs `code`; returns its result or the error as text, to be freed. */
static char *run(lua_State *L, const char *code)
{
	if (luaL_loadbufferx(L, code, strlen(code), "=test", "t") == LUA_OK)
		lua_pcall(L, 0, 1, 0);
	const char *text = lua_tostring(L, -1);
	char *copy = strdup(text ? text : luaL_typename(L, -1));
	lua_settop(L, 0);
	lua_gc(L, LUA_GCCOLLECT); /* as after every callback that used too much */
	return copy;
}

/* Random patterns on random texts through each of the four functions, in one long text. */
static const char compare[] =
        "math.randomseed(42)\n"
        "local atoms = { 'a', 'b', '%a', '%d', '%s', '%w', '%W', '[ab]', '[^a]', '[a-c]', '[%d_]', '.', '%.', '%%', "
        "'(a)', '(.)',\n"
        "  '()', '%b()', '%f[%w]', '%1', 'x', '\\0', '[]]', '[^]b]', '[a-]', '$', '^', '(a*)', '((a)b)', '%u', '%g', "
        "'%' }\n"
        "local quantifiers = { '', '', '', '*', '+', '-', '?' }\n"
        "local letters = { 'a', 'b', 'c', ' ', '1', '_', '(', ')', '.', '%', 'x', 'ab', '\\0', 'A', ']', '-' }\n"
        "local replacements = { '<%0>', '%1', 'x', '%%', '%2', { a = 'A', b = false }, '%9', '%', 5,\n"
        "  function(...) return select('#', ...) > 1 and 'many' or nil end }\n"
        "local function pick(list) return list[math.random(#list)] end\n"
        "local function text()\n"
        "  local t = {} for i = 1, math.random(0, 12) do t[i] = pick(letters) end return table.concat(t)\n"
        "end\n"
        "local function pattern()\n"
        "  local t = { math.random(6) == 1 and '^' or '' }\n"
        "  for i = 1, math.random(0, 5) do t[#t + 1] = pick(atoms) .. pick(quantifiers) end\n"
        "  return table.concat(t) .. (math.random(6) == 1 and '$' or '')\n"
        "end\n"
        "local function call(f, ...)\n"
        "  local r = table.pack(pcall(f, ...))\n"
        "  for i = 1, r.n do r[i] = tostring(r[i]) end\n"
        "  return table.concat(r, '|')\n"
        "end\n"
        "local function all(s, p, init)\n"
        "  local t = {}\n"
        "  for a, b in string.gmatch(s, p, init) do t[#t + 1] = tostring(a) .. tostring(b) end\n"
        "  return table.concat(t, ',')\n"
        "end\n"
        "local out = {}\n"
        "for i = 1, 5000 do\n"
        "  local s, p, init = text(), pattern(), math.random(-14, 14)\n"
        "  out[#out + 1] = table.concat({ s, p, init, call(string.find, s, p, init), call(string.match, s, p, init),\n"
        "    call(string.find, s, p, init, true), call(all, s, p, init),\n"
        "    call(string.gsub, s, p, pick(replacements), math.random(4) == 1 and math.random(0, 3) or nil) }, ' # ')\n"
        "end\n"
        "return (table.concat(out, '\\n'):gsub('\\0', '<0>'))\n";

/* Invariant: string.find, match, gmatch and gsub give what stock Lua's give, errors included. */
static void test_patterns_as_in_lua(void **state)
{
	struct sandbox box;
	lua_State *stock = luaL_newstate();
	assert_non_null(stock);
	luaL_openlibs(stock);
	assert_int_equal(sandbox_open(&box, NULL, 256 << 20, false), 0);
	sandbox_enter(&box, BUDGET_REPORT);
	char *expected = run(stock, compare), *got = run(box.L, compare);
	assert_true(strlen(expected) > 100000);
	assert_string_equal(got, expected);
	free(expected);
	free(got);
	lua_close(stock);
	sandbox_close(&box);
}

/* By the bound on instructions; on a machine that needs more than 100 ns for one, an emulated one, by that on time. */
#define STOPPED "stopped: it ran"

/* Invariant: whatever a script does, it ends with an error within its budget, and the state can be used afterwards. */
static void test_bounded(void **state)
{
	static const struct {
		const char *code, *error;
	} scripts[] = {
	        {"while true do end", STOPPED},
	        {"while true do pcall(function() while true do end end) end", STOPPED},
	        {"while true do xpcall(function() while true do end end, function() while true do end end) end",
	                STOPPED},
	        {"while true do local c = coroutine.create(function() while true do end end) coroutine.resume(c) end",
	                STOPPED},
	        {"local w = coroutine.wrap(function() local x <close> = setmetatable({}, { __close = function() while "
	         "true do end end })\n"
	         "while true do end end) w()",
	                STOPPED},
	        {"local c = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() "
	         "while true do end end })\n"
	         "while true do end end) coroutine.resume(c) coroutine.close(c) for i = 1, 10000 do end",
	                STOPPED},
	        {"local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x')",
	                STOPPED},
	        {"local function f() return f() end f()", STOPPED},
	        {"local function f() return 1 + f() end f()", "not enough memory"},
	        {"('a'):rep(40000):find('.-.-.-.-b')", STOPPED},
	        {"('a'):rep(40000):gsub('a*a*a*a*b', '')", STOPPED},
	        {"for _ in ('a'):rep(40000):gmatch('a*a*a*a*b') do end", STOPPED},
	        {"('('):rep(150):find(('%b()'):rep(100))", NULL},
	        {"('x'):find(('(x'):rep(20) .. (')'):rep(20))", NULL},
	        {"('x'):rep(300):find(('x?'):rep(300) .. ('x'):rep(300))", "too complex"},
	        {"table.move({}, 1, math.maxinteger - 1, 2)", STOPPED},
	        {"table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)", "__len"},
	        {"table.concat({}, '', 1, 1 << 60)", STOPPED},
	        {"table.unpack({}, 1, 1e8)", "too many results"},
	        {"string.rep('', 1 << 60) string.rep('x', 1 << 60)", "too large"},
	        {"string.rep('x', 1 << 40)", NULL},
	        {"local s = 'x' while true do s = s .. s end", "not enough memory"},
	        {"local t = {} while true do t[#t + 1] = {} end", "not enough memory"},
	        {"while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end", NULL},
	        {"local a, b = ('x'):rep(2000000), ('x'):rep(2000000) while a == b do end", "seconds"},
	        {"local s = ('x'):rep(2000000) while true do s:upper() end", "seconds"},
	        {"local t = {} for i = 1, 1e5 do t[i] = i end for i = 1, 1e5 do t[i] = nil end while true do next(t) "
	         "end",
	                "seconds"},
	        {"local a, b, t = ('x'):rep(2000000), ('x'):rep(2000000), {} for i = 1, 1e4, 2 do t[i], t[i + 1] = a, "
	         "b end table.sort(t)",
	                STOPPED},
	        {"table.sort({ 1, 2, 3 }, rawequal)", "written in Lua"},
	        {"setmetatable({}, { __gc = function() while true do end end })", "__gc"},
	        {"coroutine.yield()", "outside a coroutine"},
	};
	struct sandbox box;
	assert_int_equal(sandbox_open(&box, NULL, 16 << 20, false), 0);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		sandbox_enter(&box, BUDGET_EVENT);
		char *got = run(box.L, scripts[i].code);
		if (scripts[i].error && !strstr(got, scripts[i].error))
			fail_msg("%s\ngives: %s", scripts[i].code, got);
		free(got);
		sandbox_enter(&box, BUDGET_EVENT);
		got = run(box.L, "local n = 0 for i = 1, 1000 do n = n + i end return n");
		assert_string_equal(got, "500500");
		free(got);
		assert_true(box.used <= box.most);
	}
	sandbox_close(&box);
	assert_int_equal(box.used, 0);
}

static int nap(lua_State *L)
{
	usleep((useconds_t)(luaL_checknumber(L, 1) * 1e6));
	return 0;
}

/* Invariant: only time in which the script had a processor counts. */
static void test_waiting_is_free(void **state)
{
	struct sandbox box;
	assert_int_equal(sandbox_open(&box, NULL, 16 << 20, false), 0);
	lua_register(box.L, "nap", nap);
	sandbox_enter(&box, BUDGET_EVENT);
	char *got = run(box.L, "local n = 0 for i = 1, 1000 do n = n + i end nap(1.1) for i = 1, 1000 do n = n + i end "
	                       "nap(1.1) for i = 1, 1000 do n = n + i end return n");
	assert_string_equal(got, "1501500");
	free(got);
	sandbox_close(&box);
}

/* Invariant: a script has none of the functions that reach outside; `unsafe` has. */
static void test_outside(void **state)
{
	static const char code[] =
	        "local t = {} for _, n in ipairs { 'io', 'os', 'debug', 'package', 'load', 'loadfile', 'dofile',\n"
	        "'collectgarbage', 'warn' } do if _G[n] then t[#t + 1] = n end end\n"
	        "if string.dump then t[#t + 1] = 'dump' end return table.concat(t, ' ')";
	for (int unsafe = 0; unsafe <= 1; unsafe++) {
		struct sandbox box;
		assert_int_equal(sandbox_open(&box, NULL, 16 << 20, unsafe), 0);
		sandbox_enter(&box, BUDGET_EVENT);
		char *got = run(box.L, code);
		assert_string_equal(
		        got, unsafe ? "io os debug package load loadfile dofile collectgarbage warn dump" : "");
		free(got);
		if (unsafe) {
			got = run(box.L, "return package.path .. package.cpath");
			assert_null(strstr(got, "./"));
			free(got);
		}
		sandbox_close(&box);
	}
}

/* Invariant: precompiled code, which could break the machine, is not loaded. */
static void test_text_only(void **state)
{
	struct sandbox box;
	assert_int_equal(sandbox_open(&box, NULL, 16 << 20, false), 0);
	char *got = run(box.L, "\x1bLua");
	assert_non_null(strstr(got, "binary"));
	free(got);
	sandbox_close(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_patterns_as_in_lua),
	        cmocka_unit_test(test_bounded),
	        cmocka_unit_test(test_waiting_is_free),
	        cmocka_unit_test(test_outside),
	        cmocka_unit_test(test_text_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
