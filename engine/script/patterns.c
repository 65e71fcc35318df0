/* string.find, match, gmatch, gsub and rep for scripts: what Lua has, with a bound on the time they take.
 *
 * Lua's patterns backtrack: ("a"):rep(40000):find(".-.-.-.-b") runs for years, inside one C function where no hook of
 * Lua's machine can stop it. A trace must not hang on a pattern, so scripts get this matcher, which charges its steps
 * to the same budget as instructions (sandbox_charge). The language and the results are those of the Lua 5.4 reference
 * manual, section 6.4.1; the algorithm is the one of Lua's lstrlib.c (MIT), and a test compares the two.
 *
 * A step is about as long as an instruction. Nesting is bounded as in Lua. A plain search uses memmem, which is linear.
 */
#include "engine/script/sandbox.h"

#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

enum { ESCAPE = '%', DEEPEST = 200, MOST_CAPTURES = 32, CHARGE = 256 };
enum { OPEN = -1, POSITION = -2 }; /* lengths of captures that are not text */

struct capture {
	const char *start;
	ptrdiff_t len;
};

struct match {
	lua_State *L;
	const char *src, *src_end, *pat_end;
	struct capture captures[MOST_CAPTURES];
	int level; /* captures so far */
	int depth;
	unsigned steps; /* not yet charged */
};

static void start(struct match *m, lua_State *L, const char *src, size_t nsrc, const char *pat, size_t npat)
{
	*m = (struct match){.L = L, .src = src, .src_end = src + nsrc, .pat_end = pat + npat};
}

static void charge(struct match *m)
{
	if (++m->steps < CHARGE)
		return;
	m->steps = 0;
	sandbox_charge(m->L, CHARGE);
}

/* --- one character --- */

static bool is_class(int c, int class)
{
	bool in;
	switch (tolower(class)) {
	case 'a':
		in = isalpha(c);
		break;
	case 'c':
		in = iscntrl(c);
		break;
	case 'd':
		in = isdigit(c);
		break;
	case 'g':
		in = isgraph(c);
		break;
	case 'l':
		in = islower(c);
		break;
	case 'p':
		in = ispunct(c);
		break;
	case 's':
		in = isspace(c);
		break;
	case 'u':
		in = isupper(c);
		break;
	case 'w':
		in = isalnum(c);
		break;
	case 'x':
		in = isxdigit(c);
		break;
	case 'z': /* not in the manual any more, but in Lua */
		in = c == 0;
		break;
	default:
		return class == c;
	}
	return isupper(class) ? !in : in;
}

/* `p` stands on '[', `end` on its ']'. */
static bool is_in_set(int c, const char *p, const char *end)
{
	bool found = true;
	if (p[1] == '^') {
		found = false;
		p++;
	}
	while (++p < end) {
		if (*p == ESCAPE) {
			if (is_class(c, (unsigned char)*++p))
				return found;
		} else if (p[1] == '-' && p + 2 < end) {
			p += 2;
			if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p)
				return found;
		} else if ((unsigned char)*p == c) {
			return found;
		}
	}
	return !found;
}

/* Behind the single-character item at p: x, %x, or [set]. */
static const char *item_end(struct match *m, const char *p)
{
	char c = *p++;
	if (c == ESCAPE) {
		if (p == m->pat_end)
			sandbox_raise(m->L, "malformed pattern (ends with '%%')");
		return p + 1;
	}
	if (c != '[')
		return p;
	p += *p == '^';
	do {
		if (p == m->pat_end)
			sandbox_raise(m->L, "malformed pattern (missing ']')");
		if (*p++ == ESCAPE && p < m->pat_end)
			p++;
	} while (*p != ']');
	return p + 1;
}

static bool matches_item(struct match *m, const char *s, const char *p, const char *end)
{
	charge(m);
	if (s >= m->src_end)
		return false;
	int c = (unsigned char)*s;
	switch (*p) {
	case '.':
		return true;
	case ESCAPE:
		return is_class(c, (unsigned char)p[1]);
	case '[':
		m->steps += (unsigned)(end - p) / 8; /* a set may be long */
		return is_in_set(c, p, end - 1);
	default:
		return (unsigned char)*p == c;
	}
}

/* --- a whole pattern --- */

static const char *match_here(struct match *m, const char *s, const char *p);

/* x* and x+: as many as there are, then fewer. */
static const char *match_most(struct match *m, const char *s, const char *p, const char *end)
{
	ptrdiff_t n = 0;
	while (matches_item(m, s + n, p, end))
		n++;
	for (; n >= 0; n--) {
		const char *r = match_here(m, s + n, end + 1);
		if (r)
			return r;
	}
	return NULL;
}

/* x-: as few as will do. */
static const char *match_least(struct match *m, const char *s, const char *p, const char *end)
{
	for (;;) {
		const char *r = match_here(m, s, end + 1);
		if (r)
			return r;
		if (!matches_item(m, s, p, end))
			return NULL;
		s++;
	}
}

static const char *open_capture(struct match *m, const char *s, const char *p, ptrdiff_t what)
{
	if (m->level >= MOST_CAPTURES)
		sandbox_raise(m->L, "too many captures");
	m->captures[m->level++] = (struct capture){.start = s, .len = what};
	const char *r = match_here(m, s, p);
	if (!r)
		m->level--;
	return r;
}

static const char *close_capture(struct match *m, const char *s, const char *p)
{
	int i = m->level - 1;
	while (i >= 0 && m->captures[i].len != OPEN)
		i--;
	if (i < 0)
		sandbox_raise(m->L, "invalid pattern capture");
	m->captures[i].len = s - m->captures[i].start;
	const char *r = match_here(m, s, p);
	if (!r)
		m->captures[i].len = OPEN;
	return r;
}

/* %1: the text of an earlier capture again. */
static const char *match_again(struct match *m, const char *s, int digit)
{
	int i = digit - '1';
	if (i < 0 || i >= m->level || m->captures[i].len == OPEN)
		sandbox_raise(m->L, "invalid capture index %%%d", i + 1);
	size_t len = (size_t)m->captures[i].len;
	if ((size_t)(m->src_end - s) < len || memcmp(m->captures[i].start, s, len) != 0)
		return NULL;
	sandbox_charge(m->L, len / 8);
	return s + len;
}

/* %bxy; p stands on x. */
static const char *match_balance(struct match *m, const char *s, const char *p)
{
	if (p >= m->pat_end - 1)
		sandbox_raise(m->L, "malformed pattern (missing arguments to '%%b')");
	if (s >= m->src_end || *s != *p)
		return NULL;
	char open = p[0], close = p[1];
	int depth = 1;
	while (++s < m->src_end) {
		charge(m);
		if (*s == close) {
			if (--depth == 0)
				return s + 1;
		} else if (*s == open) {
			depth++;
		}
	}
	return NULL;
}

/* %f[set]; p stands on '['. Whether s is a frontier; *ret_end is behind the set. */
static bool is_frontier(struct match *m, const char *s, const char *p, const char **ret_end)
{
	if (*p != '[')
		sandbox_raise(m->L, "missing '[' after '%%f' in pattern");
	const char *end = *ret_end = item_end(m, p);
	int before = s == m->src ? 0 : (unsigned char)s[-1], here = s < m->src_end ? (unsigned char)*s : 0;
	return !is_in_set(before, p, end - 1) && is_in_set(here, p, end - 1);
}

/* An item that may be repeated. *ret_p is where to go on in the pattern if the result is not final. */
static const char *match_item(struct match *m, const char *s, const char *p, const char **ret_p, bool *final)
{
	const char *end = item_end(m, p), *r;
	*final = true;
	switch (end < m->pat_end ? *end : 0) {
	case '*':
		return match_most(m, s, p, end);
	case '+':
		return matches_item(m, s, p, end) ? match_most(m, s + 1, p, end) : NULL;
	case '-':
		return match_least(m, s, p, end);
	case '?':
		if (matches_item(m, s, p, end) && (r = match_here(m, s + 1, end + 1)))
			return r;
		*final = false;
		*ret_p = end + 1;
		return s;
	default:
		*final = false;
		*ret_p = end;
		return matches_item(m, s, p, end) ? s + 1 : NULL;
	}
}

/* %b, %f and %1, which stand for more than a character. False if p is none of them. */
static bool match_special(struct match *m, const char **s, const char **p)
{
	const char *end;
	char c = (*p)[0] == ESCAPE && *p + 1 < m->pat_end ? (*p)[1] : 0;
	if (c == 'b') {
		*s = match_balance(m, *s, *p + 2);
		*p += 4;
	} else if (c == 'f') {
		*s = is_frontier(m, *s, *p + 2, &end) ? *s : NULL;
		*p = end;
	} else if (isdigit((unsigned char)c)) {
		*s = match_again(m, *s, (unsigned char)c);
		*p += 2;
	} else {
		return false;
	}
	return true;
}

/* Where the match of the rest of the pattern ends, or NULL. */
static const char *match_rest(struct match *m, const char *s, const char *p)
{
	while (s && p < m->pat_end) {
		bool final;
		charge(m);
		if (*p == '(')
			return p[1] == ')' ? open_capture(m, s, p + 2, POSITION) : open_capture(m, s, p + 1, OPEN);
		if (*p == ')')
			return close_capture(m, s, p + 1);
		if (*p == '$' && p + 1 == m->pat_end)
			return s == m->src_end ? s : NULL;
		if (match_special(m, &s, &p))
			continue;
		s = match_item(m, s, p, &p, &final);
		if (final)
			return s;
	}
	return s;
}

static const char *match_here(struct match *m, const char *s, const char *p)
{
	if (++m->depth > DEEPEST)
		sandbox_raise(m->L, "pattern too complex");
	const char *r = match_rest(m, s, p);
	m->depth--;
	return r;
}

static const char *match_at(struct match *m, const char *s, const char *p)
{
	m->level = m->depth = 0;
	charge(m);
	return match_here(m, s, p);
}

/* --- captures --- */

/* Capture i; the whole match s…e if the pattern has none. */
static void push_capture(struct match *m, int i, const char *s, const char *e)
{
	if (i >= m->level) {
		if (i != 0)
			sandbox_raise(m->L, "invalid capture index %%%d", i + 1);
		lua_pushlstring(m->L, s, (size_t)(e - s));
		return;
	}
	const struct capture *capture = &m->captures[i];
	if (capture->len == OPEN)
		sandbox_raise(m->L, "unfinished capture");
	if (capture->len == POSITION)
		lua_pushinteger(m->L, capture->start - m->src + 1);
	else
		lua_pushlstring(m->L, capture->start, (size_t)capture->len);
}

/* All captures; s NULL: not the whole match in their place. */
static int push_captures(struct match *m, const char *s, const char *e)
{
	int n = m->level == 0 && s ? 1 : m->level;
	luaL_checkstack(m->L, n, "too many captures");
	for (int i = 0; i < n; i++)
		push_capture(m, i, s, e);
	return n;
}

/* --- find and match --- */

/* The optional start (argument 3) as an offset; SIZE_MAX if it is behind the end. */
static size_t start_offset(lua_State *L, size_t len)
{
	lua_Integer init = luaL_optinteger(L, 3, 1);
	if (init == 0 || (init < 0 && init < -(lua_Integer)len))
		init = 1;
	else if (init < 0)
		init += (lua_Integer)len + 1;
	return (size_t)init - 1 > len ? SIZE_MAX : (size_t)init - 1;
}

static int find_plain(lua_State *L, const char *s, size_t ns, size_t init, const char *p, size_t np)
{
	sandbox_charge(L, (ns + np) / 64);
	const char *found = np ? memmem(s + init, ns - init, p, np) : s + init;
	if (!found) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, found - s + 1);
	lua_pushinteger(L, found - s + (lua_Integer)np);
	return 2;
}

static int find_pattern(lua_State *L, const char *s, size_t ns, size_t init, const char *p, size_t np, bool find)
{
	struct match m;
	bool anchored = *p == '^';
	start(&m, L, s, ns, p, np);
	p += anchored;
	for (const char *at = s + init; at <= m.src_end; at++) {
		const char *e = match_at(&m, at, p);
		if (e && find) {
			lua_pushinteger(L, at - s + 1);
			lua_pushinteger(L, e - s);
			return push_captures(&m, NULL, NULL) + 2;
		}
		if (e)
			return push_captures(&m, at, e);
		if (anchored)
			break;
	}
	lua_pushnil(L);
	return 1;
}

static int find_or_match(lua_State *L, bool find)
{
	size_t ns, np;
	const char *s = luaL_checklstring(L, 1, &ns), *p = luaL_checklstring(L, 2, &np);
	size_t init = start_offset(L, ns);
	if (init == SIZE_MAX) {
		lua_pushnil(L);
		return 1;
	}
	bool plain = find && (lua_toboolean(L, 4) || strcspn(p, "^$*+?.([%-") == np);
	return plain ? find_plain(L, s, ns, init, p, np) : find_pattern(L, s, ns, init, p, np, find);
}

static int string_find(lua_State *L)
{
	return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* --- gmatch --- */

struct iteration {
	struct match m;
	const char *at, *pattern, *last;
};

/* Upvalues: subject and pattern, kept alive; the iteration. */
static int gmatch_next(lua_State *L)
{
	struct iteration *it = lua_touserdata(L, lua_upvalueindex(3));
	it->m.L = L;
	for (; it->at <= it->m.src_end; it->at++) {
		const char *e = match_at(&it->m, it->at, it->pattern);
		if (e && e != it->last) {
			const char *s = it->at;
			it->at = it->last = e;
			return push_captures(&it->m, s, e);
		}
	}
	return 0;
}

static int string_gmatch(lua_State *L)
{
	size_t ns, np;
	const char *s = luaL_checklstring(L, 1, &ns), *p = luaL_checklstring(L, 2, &np);
	size_t init = start_offset(L, ns);
	lua_settop(L, 2);
	struct iteration *it = lua_newuserdatauv(L, sizeof(*it), 0);
	start(&it->m, L, s, ns, p, np);
	it->at = s + (init == SIZE_MAX ? ns + 1 : init);
	it->pattern = p;
	it->last = NULL;
	lua_pushcclosure(L, gmatch_next, 3);
	return 1;
}

/* --- gsub --- */

/* Adds the replacement text (argument 3) with its %0 … %9 filled in. */
static void add_text(struct match *m, luaL_Buffer *b, const char *s, const char *e)
{
	size_t len;
	const char *text = lua_tolstring(m->L, 3, &len), *end = text + len, *escape;
	while ((escape = memchr(text, ESCAPE, (size_t)(end - text)))) {
		luaL_addlstring(b, text, (size_t)(escape - text));
		char c = escape[1];
		if (c == ESCAPE) {
			luaL_addchar(b, c);
		} else if (c == '0') {
			luaL_addlstring(b, s, (size_t)(e - s));
		} else if (isdigit((unsigned char)c)) {
			push_capture(m, c - '1', s, e);
			luaL_tolstring(m->L, -1, NULL); /* a position is a number */
			lua_remove(m->L, -2);
			luaL_addvalue(b);
		} else {
			sandbox_raise(m->L, "invalid use of '%%' in replacement string");
		}
		text = escape + 2;
	}
	luaL_addlstring(b, text, (size_t)(end - text));
}

/* Adds what stands for the match s…e. True if that differs from the match. */
static bool add_replacement(struct match *m, luaL_Buffer *b, const char *s, const char *e, int type)
{
	lua_State *L = m->L;
	if (type == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		lua_call(L, push_captures(m, s, e), 1);
	} else if (type == LUA_TTABLE) {
		push_capture(m, 0, s, e);
		lua_gettable(L, 3);
	} else {
		add_text(m, b, s, e);
		return true;
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, s, (size_t)(e - s));
		return false;
	}
	if (!lua_isstring(L, -1))
		sandbox_raise(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	luaL_addvalue(b);
	return true;
}

static int string_gsub(lua_State *L)
{
	size_t ns, np;
	const char *s = luaL_checklstring(L, 1, &ns), *p = luaL_checklstring(L, 2, &np), *last = NULL;
	int type = lua_type(L, 3);
	lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)ns + 1), n = 0;
	bool anchored = *p == '^', changed = false;
	struct match m;
	luaL_Buffer b;
	luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
	        3, "string/function/table");
	luaL_buffinit(L, &b);
	start(&m, L, s, ns, p, np);
	p += anchored;
	while (n < most) {
		const char *e = match_at(&m, s, p);
		if (e && e != last) {
			n++;
			changed |= add_replacement(&m, &b, s, e, type);
			s = last = e;
		} else if (s < m.src_end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (anchored)
			break;
	}
	if (changed) {
		luaL_addlstring(&b, s, (size_t)(m.src_end - s));
		luaL_pushresult(&b);
	} else {
		lua_pushvalue(L, 1);
	}
	lua_pushinteger(L, n);
	return 2;
}

/* --- rep --- */

/* Lua's own loops n times even over nothing. Upvalue 1: Lua's own. */
static int string_rep(lua_State *L)
{
	size_t len, nsep = 0;
	luaL_checklstring(L, 1, &len);
	lua_Integer n = luaL_checkinteger(L, 2);
	luaL_optlstring(L, 3, "", &nsep);
	if (n > 1 && len + nsep == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

void sandbox_open_patterns(lua_State *L)
{
	static const luaL_Reg functions[] = {{"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch},
	        {"gsub", string_gsub}, {NULL, NULL}};
	lua_getglobal(L, LUA_STRLIBNAME);
	luaL_setfuncs(L, functions, 0);
	lua_getfield(L, -1, "rep");
	lua_pushcclosure(L, string_rep, 1);
	lua_setfield(L, -2, "rep");
	lua_pop(L, 1);
}
