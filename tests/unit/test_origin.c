/* What stacks are about: the rule that names the frame nearest to the call wins, general rules stand back, and a glob takes
 * no more time than it may whatever a target calls its functions. */
#include "engine/stack/origin.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* last: it needs the ones above */
#include <cmocka.h>

static size_t add(struct origins *origins, const char *name, bool general, const char *first, const char *second)
{
	struct origin origin = {.name = name, .about = "about", .crac = "path: {path}\nvalue: {fd}{"};
	int rule = origins_add(origins, &origin, general);
	assert_true(rule >= 0);
	const char *patterns[] = {first, second};
	if (first)
		assert_int_equal(origins_add_match(origins, (size_t)rule, patterns, second ? 2 : 1), 0);
	return (size_t)rule;
}

/* A stack of "module!name" texts. */
struct made {
	struct frame frames[8];
	struct stack stack;
	char room[8][64];
};

static void make(struct made *made, uint8_t kind, const char *const *texts)
{
	memset(made, 0, sizeof(*made));
	made->stack.frames = made->frames;
	for (size_t n = 0; texts[n]; n++) {
		char *text = strncpy(made->room[n], texts[n], sizeof(made->room[n]) - 1), *mark = strchr(text, '!');
		made->frames[n] =
		        (struct frame){.name = mark ? mark + 1 : text, .module = mark ? text : NULL, .kind = kind};
		if (mark)
			*mark = 0;
		made->stack.nframes = n + 1;
	}
}

static const char *match(const struct origins *origins, const char *const *texts, const char *path)
{
	struct origin_hit hit;
	struct made made;
	make(&made, FRAME_JAVA, texts ? texts : (const char *const[]){NULL});
	return origins_match(origins, texts ? &made.stack : NULL, path, &hit) ? hit.origin->name : "none";
}

#define STACK(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Which of several rules is told. */
static void test_choice(void **state)
{
	struct origins *origins = origins_new();
	add(origins, "outer", false, "outer*", NULL);
	add(origins, "inner", false, "inner*", NULL);
	add(origins, "both", false, "inner_a", "outer_a");
	add(origins, "file", true, "read*", NULL);
	size_t path = add(origins, "path", false, NULL, NULL);
	assert_int_equal(origins_add_path(origins, path, "/etc/*"), 0);
	assert_string_equal(match(origins, STACK("x", "inner_b", "outer_b"), NULL), "inner");
	assert_string_equal(match(origins, STACK("x", "outer_b", "inner_b"), NULL), "outer");
	/* found at the same frame: the first that was added */
	assert_string_equal(match(origins, STACK("inner_a", "y", "outer_a"), NULL), "inner");
	/* a list of patterns is looked for in its order, from the call outwards */
	struct origins *chain = origins_new();
	add(chain, "both", false, "inner_a", "outer_a");
	assert_string_equal(match(chain, STACK("inner_a", "y", "outer_a"), NULL), "both");
	assert_string_equal(match(chain, STACK("outer_a", "y", "inner_a"), NULL), "none");
	assert_string_equal(match(chain, STACK("inner_a"), NULL), "none");
	origins_free(chain);
	/* what is general stands back, behind a path too */
	assert_string_equal(match(origins, STACK("read", "x"), NULL), "file");
	assert_string_equal(match(origins, STACK("read", "x", "outer"), NULL), "outer");
	assert_string_equal(match(origins, STACK("read", "x"), "/etc/passwd"), "path");
	assert_string_equal(match(origins, STACK("read", "outer"), "/etc/passwd"), "outer");
	assert_string_equal(match(origins, NULL, "/etc/passwd"), "path");
	assert_string_equal(match(origins, NULL, "/usr"), "none");
	assert_string_equal(match(origins, NULL, NULL), "none");
	assert_string_equal(match(origins, STACK("y"), NULL), "none");
	origins_free(origins);
}

/* Modules are compared by their file's name, or whole where the pattern has a slash; exceptions hold for the first pattern. */
static void test_modules(void **state)
{
	struct origins *origins = origins_new();
	add(origins, "libc", false, "libc.so*!get*", NULL);
	add(origins, "place", false, "/opt/*!", NULL);
	size_t jni = add(origins, "jni", false, "*!Java_*", NULL);
	assert_int_equal(origins_add_except(origins, jni, "libjava.so!*"), 0);
	assert_string_equal(match(origins, STACK("/usr/lib/libc.so.6!getpwuid"), NULL), "libc");
	assert_string_equal(match(origins, STACK("/usr/lib/libcc.so.6!getpwuid"), NULL), "none");
	assert_string_equal(match(origins, STACK("getpwuid"), NULL), "none");
	assert_string_equal(match(origins, STACK("/opt/x.so!anything"), NULL), "place");
	assert_string_equal(match(origins, STACK("/x/libjava.so!Java_a"), NULL), "none");
	assert_string_equal(match(origins, STACK("/x/libjava.so!Java_a", "/x/own.so!Java_b"), NULL), "jni");
	origins_free(origins);
}

/* The frame that is blamed is the first that is neither the JDK's nor the system's. */
static void test_by(void **state)
{
	struct made made;
	make(&made, FRAME_JAVA,
	        STACK("sun.nio.ch.Net.socket", "java.net.Socket.<init>", "javax.x.Y.z", "com.example.A.b",
	                "Main.main"));
	assert_int_equal(origin_by(&made.stack), 3);
	make(&made, FRAME_NATIVE, STACK("/x/libc.so!socket", "/x/prog!main"));
	assert_int_equal(origin_by(&made.stack), SIZE_MAX);
	make(&made, FRAME_JS, STACK("listen", "start"));
	made.frames[0].file = "node:net";
	made.frames[1].file = "/app/server.js";
	assert_int_equal(origin_by(&made.stack), 1);
}

static void test_policy(void **state)
{
	struct origins *origins = origins_new();
	struct origin_hit hit;
	struct text text = {0};
	size_t rule = add(origins, "file", false, NULL, NULL);
	origins_add_path(origins, rule, "*");
	assert_true(origins_match(origins, NULL, "/a\nb", &hit));
	origin_policy(&text, hit.origin, "/a\nb", 7);
	assert_string_equal(text_str(&text), "path: /a\\x0ab\nvalue: 7{");
	text_reset(&text);
	origin_policy(&text, hit.origin, NULL, -1);
	assert_string_equal(text_str(&text), "path: {path}\nvalue: {fd}{");
	text_fini(&text);
	origins_free(origins);
}

/* Globs of * and ? mean what fnmatch(3) says, for every short glob and text of two letters. */
static void test_globs(void **state)
{
	static const char letters[] = "ab*?";
	char glob[6] = "", text[6] = "";
	for (int g = 0; g < 4 * 4 * 4 * 4; g++) {
		for (int i = 0; i < 4; i++)
			glob[i] = letters[(g >> (2 * i)) & 3];
		for (int t = 0; t < 64; t++) {
			int len = t % 6;
			for (int i = 0; i < 5; i++)
				text[i] = i < len ? "ab"[(t >> i) & 1] : 0;
			assert_int_equal(origin_glob(glob, text, strlen(text)), fnmatch(glob, text, 0) == 0);
		}
	}
}

/* A name that is made to be slow to match. With backtracking over every star this would not end. */
static void test_slow(void **state)
{
	enum { LEN = 100000 };
	char *text = malloc(LEN);
	memset(text, 'a', LEN);
	assert_false(origin_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text, LEN));
	assert_true(origin_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", text, LEN));
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_choice),
	        cmocka_unit_test(test_modules),
	        cmocka_unit_test(test_by),
	        cmocka_unit_test(test_policy),
	        cmocka_unit_test(test_globs),
	        cmocka_unit_test(test_slow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
