/* A refusal by the verifier is told at the line of the script that the refused instruction came from, whatever the
 * kernel's log looks like, with the complaint and not the noise around it. The logs are real ones, shortened. */
#include "engine/run/verifier.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static const char source[] = "return {\n"
                             "  probes = {\n"
                             "    { \"syscall:socket\",\n"
                             "      where = \"family / type > 1\" },\n"
                             "  },\n"
                             "}\n";

static struct spec spec_named(const char *name)
{
	return (struct spec){.name = (char *)name, .source = (char *)source};
}

/* Linux 6.10 and later print the place; C that the generator wrote itself has another file's name. */
static void test_place_in_log(void **state)
{
	static const char log[] = "0: R1=ctx() R10=fp0\n"
	                          "; rille_u64 a = args[0]; @ rille.bpf.c:12\n"
	                          "0: (79) r3 = *(u64 *)(r1 +0)          ; R1=ctx() R3_w=scalar()\n"
	                          "; where = \"family / type > 1\" }, @ socket.lua:4\n"
	                          "1: (bf) r1 = r3                       ; R1_w=scalar()\n"
	                          "2: (71) r7 = *(u8 *)(r1 +0)\n"
	                          "R1 invalid mem access 'scalar'\n"
	                          "processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0\n";
	struct spec spec = spec_named("/home/me/socket.lua");
	struct err err;
	assert_int_equal(verifier_explain(log, "rille_sys_exit", &spec, -EACCES, &err), -EACCES);
	assert_string_equal(err.tag, "verifier-rejected");
	assert_int_equal(err.code, -EACCES);
	assert_int_equal(err.class, ERR_SCRIPT);
	assert_int_equal(err.line, 4);
	assert_non_null(strstr(err.message, "R1 invalid mem access 'scalar'"));
	assert_string_equal(err.source, "      where = \"family / type > 1\" },");
	assert_non_null(strstr(err.hint, "rille_sys_exit"));
}

/* Before 6.10 there is the text alone, without its indentation. */
static void test_text_in_log(void **state)
{
	static const char log[] = "; where = \"family / type > 1\" },\n"
	                          "2: (71) r7 = *(u8 *)(r1 +0)\n"
	                          "R1 invalid mem access 'scalar'\n"
	                          "processed 3 insns (limit 1000000)\n";
	struct spec spec = spec_named("socket.lua");
	struct err err;
	verifier_explain(log, "rille_sys_exit", &spec, -EACCES, &err);
	assert_int_equal(err.line, 4);
}

/* A complaint in code that no line of the script stands for is told without a line, not at a wrong one. */
static void test_no_place(void **state)
{
	static const char log[] = "; rille_u64 a = args[0]; @ rille.bpf.c:4\n"
	                          "0: (85) call unknown#999\n"
	                          "invalid func unknown#999\n"
	                          "processed 1 insns (limit 1000000)\n";
	struct spec spec = spec_named("socket.lua");
	struct err err;
	verifier_explain(log, "rille_sys_exit", &spec, -EINVAL, &err);
	assert_int_equal(err.line, 0);
	assert_non_null(strstr(err.message, "invalid func unknown#999"));
}

/* States and notes that follow the complaint are not taken for it; an empty log is no crash. */
static void test_noise(void **state)
{
	static const char log[] = "The sequence of 8193 jumps is too complex.\n"
	                          "R0_w=scalar() R1=ctx() R10=fp0\n"
	                          "from 12 to 14: R0=scalar() R10=fp0\n"
	                          "verification time 12 usec\n"
	                          "stack depth 16\n"
	                          "processed 100 insns (limit 1000000)";
	struct spec spec = spec_named("socket.lua");
	struct err err;
	verifier_explain(log, "rille_sys_exit", &spec, -E2BIG, &err);
	assert_non_null(strstr(err.message, "The sequence of 8193 jumps is too complex."));
	verifier_explain("", "rille_sys_exit", &spec, -EINVAL, &err);
	assert_string_equal(err.tag, "verifier-rejected");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_place_in_log),
	        cmocka_unit_test(test_text_in_log),
	        cmocka_unit_test(test_no_place),
	        cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
