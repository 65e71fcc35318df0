/* Running rille-cc: real BPF C becomes an object that libbpf and the kernel take; what goes wrong is told with its
 * place; the helper has no privileges whatever we have. Needs the real rille-cc (RILLE_CC, or a build tree). */
#include "engine/probe/compile.h"

#include <bpf/libbpf.h>
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/cc/wire.h"
#include "tests/unit/skip.h"

static const char GOOD[] =
        "typedef unsigned int u32; typedef unsigned long long u64;\n"
        "#define SEC(name) __attribute__((section(name), used))\n"
        "struct { int (*type)[2]; u32 *key; u64 *value; int (*max_entries)[1]; } counts SEC(\".maps\");\n"
        "static void *(*map_lookup)(void *, const void *) = (void *)1;\n"
        "const volatile u64 rille_param = 0;\n"
        "#line 7 \"script.lua\"\n"
        "SEC(\"raw_tracepoint/sys_enter\") int count(u64 *ctx)\n"
        "{ u32 zero = 0; u64 *n = map_lookup(&counts, &zero); if (n && ctx[1] != rille_param) *n += 1; return 0; }\n"
        "char _license[] SEC(\"license\") = \"Dual MIT/GPL\";\n";

static int compile_with(const struct compiler_options *options, const char *source, enum compile_output output,
        void **data, size_t *len, struct err *err)
{
	struct compiler *compiler;
	memset(err, 0, sizeof(*err));
	int r = compiler_start(&compiler, options, err);
	if (r)
		return r;
	r = compiler_run(compiler, source, strlen(source), output, data, len, err);
	compiler_free(compiler);
	if (r)
		print_message("# %s:%u: %s\n", err->file, err->line, err->message);
	return r;
}

static int compile(const char *source, enum compile_output output, void **data, size_t *len, struct err *err)
{
	struct compiler_options options = {0};
	return compile_with(&options, source, output, data, len, err);
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* libbpf finds the maps, programs and variables in the object, and the kernel's verifier accepts it. */
static void test_object_loads(void **state)
{
	void *data;
	size_t len;
	struct err err;
	assert_int_equal(compile(GOOD, COMPILE_OBJECT, &data, &len, &err), 0);
	libbpf_set_print(silent);
	struct bpf_object *object = bpf_object__open_mem(data, len, NULL);
	assert_non_null(object);
	assert_non_null(bpf_object__find_map_by_name(object, "counts"));
	assert_non_null(bpf_object__find_program_by_name(object, "count"));
	int r = bpf_object__load(object);
	bpf_object__close(object);
	free(data);
	if (r == -EPERM)
		skip_because("loading BPF needs privileges");
	assert_int_equal(r, 0);
}

/* The same source gives the same bytes: the cache's key is enough to know the object. */
static void test_deterministic(void **state)
{
	void *a, *b;
	size_t a_len, b_len;
	struct err err;
	assert_int_equal(compile(GOOD, COMPILE_OBJECT, &a, &a_len, &err), 0);
	assert_int_equal(compile(GOOD, COMPILE_OBJECT, &b, &b_len, &err), 0);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	free(a);
	free(b);
}

/* Assembly and LLVM code are text that names the program. */
static void test_text_outputs(void **state)
{
	void *data;
	size_t len;
	struct err err;
	assert_int_equal(compile(GOOD, COMPILE_ASM, &data, &len, &err), 0);
	assert_non_null(strstr(data, "raw_tracepoint/sys_enter"));
	assert_int_equal(strlen(data), len);
	free(data);
	assert_int_equal(compile(GOOD, COMPILE_LLVM, &data, &len, &err), 0);
	assert_non_null(strstr(data, "define dso_local"));
	free(data);
}

/* An error stands where #line says: the script's file, line and column. */
static void test_error_at_script(void **state)
{
	void *data;
	size_t len;
	struct err err;
	int r = compile(
	        "#line 12 \"my script.lua\"\nint f(void) { return nothing; }\n", COMPILE_OBJECT, &data, &len, &err);
	assert_int_equal(r, -EINVAL);
	assert_string_equal(err.tag, "compile-error");
	assert_int_equal(err.class, ERR_SCRIPT);
	assert_string_equal(err.file, "my script.lua");
	assert_int_equal(err.line, 12);
	assert_int_equal(err.col, 22);
	assert_non_null(strstr(err.message, "undeclared identifier 'nothing'"));
}

/* An error outside the script's lines shows the generated line and is not blamed on the script. */
static void test_error_in_generated_code(void **state)
{
	void *data;
	size_t len;
	struct err err;
	assert_int_equal(compile("int x;\nint y = ;\n", COMPILE_OBJECT, &data, &len, &err), -EINVAL);
	assert_int_equal(err.class, ERR_RUNTIME);
	assert_int_equal(err.line, 2);
	assert_string_equal(err.source, "int y = ;");
}

/* What only the back end notices has its place, too: BPF has no stack for 1000 bytes, and no calls with 7 arguments. */
static void test_back_end_error(void **state)
{
	void *data;
	size_t len;
	struct err err;
	const char *source = "int g(int, int, int, int, int, int, int);\n#line 30 \"s.lua\"\n"
	                     "__attribute__((section(\"x\"))) int f(void) { return g(1, 2, 3, 4, 5, 6, 7); }\n";
	assert_true(compile(source, COMPILE_OBJECT, &data, &len, &err) < 0);
	assert_string_equal(err.tag, "compile-error");
	assert_string_equal(err.file, "s.lua");
	assert_int_equal(err.line, 30);
}

/* Nothing on disk can be included, whatever it is called. */
static void test_no_includes(void **state)
{
	void *data;
	size_t len;
	struct err err;
	assert_true(compile("#include \"/etc/passwd\"\n", COMPILE_OBJECT, &data, &len, &err) < 0);
	assert_non_null(strstr(err.message, "file not found"));
	assert_true(compile("#include <stddef.h>\n", COMPILE_OBJECT, &data, &len, &err) < 0);
}

/* A source that takes for ever to compile ends with the CPU limit, and says so. */
static void test_cpu_limit(void **state)
{
	void *data;
	size_t len;
	struct err err;
	struct compiler_options options = {.seconds = 1};
	const char *bomb =
	        "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(x)))\nint f(int a) { B(B(B(a++;))) return a; }\n";
	int r = compile_with(&options, bomb, COMPILE_OBJECT, &data, &len, &err);
	assert_true(r == -ETIME || r == -ENOMEM);
	assert_string_equal(err.tag, "compiler-limit");
}

/* One that needs more memory than allowed ends with the memory limit, and says so. */
static void test_memory_limit(void **state)
{
	void *data;
	size_t len;
	struct err err;
	struct compiler_options options = {.memory = 320 << 20, .seconds = 20};
	const char *bomb =
	        "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(x)))\nint f(int a) { B(B(a++;)) return a; }\n";
	assert_int_equal(compile_with(&options, bomb, COMPILE_OBJECT, &data, &len, &err), -ENOMEM);
	assert_string_equal(err.tag, "compiler-limit");
}

static void status_of_child(char *ret, size_t size)
{
	char path[64] = "", list[256] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(list, sizeof(list), file));
	fclose(file);
	snprintf(path, sizeof(path), "/proc/%d/status", atoi(list));
	file = fopen(path, "r");
	assert_non_null(file);
	ret[fread(ret, 1, size - 1, file)] = '\0';
	fclose(file);
}

/* /proc says of the running helper: no capability in any set that counts, no new privileges, and, if we are root, no
 * identity of ours; its limits and descriptors are what it needs. */
static void test_unprivileged(void **state)
{
	struct compiler *compiler;
	struct compiler_options options = {0};
	char status[8192];
	assert_int_equal(compiler_start(&compiler, &options, NULL), 0);
	status_of_child(status, sizeof(status));
	assert_non_null(strstr(status, "NoNewPrivs:\t1"));
	assert_non_null(strstr(status, "CapPrm:\t0000000000000000"));
	assert_non_null(strstr(status, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(status, "CapInh:\t0000000000000000"));
	assert_non_null(strstr(status, "CapAmb:\t0000000000000000"));
	if (geteuid() == 0) {
		assert_non_null(strstr(status, "Uid:\t65534\t65534\t65534\t65534"));
		assert_non_null(strstr(status, "Gid:\t65534\t65534\t65534\t65534"));
		assert_non_null(strstr(status, "Groups:\t \n"));
	}
	compiler_free(compiler);
}

/* Starting and ending a helper leaves nothing in the host: no child, no descriptor, no changed dumpable flag. */
static void test_leaves_no_trace(void **state)
{
	struct compiler_options options = {0};
	void *data;
	size_t len;
	struct err err;
	int before = dup(0);
	close(before);
	struct compiler *unused;
	assert_int_equal(compiler_start(&unused, &options, NULL), 0);
	compiler_free(unused);
	assert_int_equal(compile(GOOD, COMPILE_OBJECT, &data, &len, &err), 0);
	free(data);
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
}

/* A host that has its children reaped by the kernel, or reaps ours by a wait() of its own, still gets its object. */
static void test_host_that_reaps(void **state)
{
	void *data;
	size_t len;
	struct err err;
	signal(SIGCHLD, SIG_IGN);
	int r = compile(GOOD, COMPILE_OBJECT, &data, &len, &err);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(r, 0);
	free(data);
	struct compiler_options options = {.path = "/bin/false"};
	signal(SIGCHLD, SIG_IGN);
	r = compile_with(&options, GOOD, COMPILE_OBJECT, &data, &len, &err);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(r, -EIO);
	assert_string_equal(err.tag, "compiler-died");
}

/* A compiler that is not there, or is not one, is told as such. */
static void test_missing(void **state)
{
	struct compiler_options options = {.path = "/nonexistent/rille-cc"};
	struct compiler *compiler;
	struct text identity = {0};
	struct err err = {0};
	assert_int_equal(compiler_start(&compiler, &options, &err), -ENOENT);
	assert_string_equal(err.tag, "no-compiler");
	options.path = "/bin/true";
	assert_int_equal(compiler_identity(&options, &identity, &err), -EINVAL);
	assert_string_equal(err.tag, "no-compiler");
	text_fini(&identity);
}

/* The identity that is read from the file is what the program says of itself. */
static void test_identity(void **state)
{
	struct compiler_options options = {0};
	struct text identity = {0};
	char said[128] = "", command[4200];
	assert_int_equal(compiler_identity(&options, &identity, NULL), 0);
	snprintf(command, sizeof(command), "%s --version", getenv("RILLE_CC"));
	FILE *file = popen(command, "r");
	assert_non_null(fgets(said, sizeof(said), file));
	pclose(file);
	said[strcspn(said, "\n")] = '\0';
	assert_non_null(strstr(text_str(&identity), said));
	text_fini(&identity);
}

/* Runs shell commands on a copy of rille-cc; $CC is its path, in a folder of its own. */
static void with_copy(const char *commands, char ret[64])
{
	char dir[48] = "/tmp/rille-test-cc.XXXXXX", shell[512];
	assert_non_null(mkdtemp(dir));
	snprintf(ret, 64, "%s/rille-cc", dir);
	snprintf(shell, sizeof(shell), "D=%s CC=%s; cp \"$RILLE_CC\" $CC && %s", dir, ret, commands);
	assert_int_equal(system(shell), 0);
}

static void remove_copy(const char *path)
{
	char shell[128];
	snprintf(shell, sizeof(shell), "rm -rf \"$(dirname %s)\"", path);
	assert_int_equal(system(shell), 0);
}

/* As root, rille-cc may lie in a folder that only root can look into; and one that others could have written is
 * refused. */
static void test_as_root(void **state)
{
	struct compiler *compiler;
	char path[64];
	void *data;
	size_t len;
	struct err err = {0};
	struct compiler_options options = {.path = path};
	if (geteuid())
		skip_because("only root distrusts what others can write");
	with_copy("chmod 700 $D && chmod 755 $CC", path);
	assert_int_equal(compile_with(&options, GOOD, COMPILE_OBJECT, &data, &len, &err), 0);
	free(data);
	remove_copy(path);
	with_copy("chmod 775 $CC", path);
	assert_int_equal(compiler_start(&compiler, &options, &err), -EPERM);
	assert_string_equal(err.tag, "unsafe-compiler");
	remove_copy(path);
	with_copy("chown 12345 $CC", path);
	assert_int_equal(compiler_start(&compiler, &options, &err), -EPERM);
	remove_copy(path);
}

/* A helper that ends without an answer, for whatever reason, is an error and not a hang. */
static void test_helper_that_is_not_one(void **state)
{
	struct compiler *compiler;
	struct compiler_options options = {.path = "/bin/false", .seconds = 1};
	void *data;
	size_t len;
	struct err err = {0};
	assert_int_equal(compiler_start(&compiler, &options, &err), 0);
	assert_int_equal(compiler_run(compiler, GOOD, strlen(GOOD), COMPILE_OBJECT, &data, &len, &err), -EIO);
	assert_string_equal(err.tag, "compiler-died");
	compiler_free(compiler);
}

/* --- a helper that lies: this program itself, started with --serve; the source says how --- */

static void answer(uint32_t magic, uint32_t failed, uint64_t output_len, uint32_t ndiags)
{
	struct cc_reply reply = {.magic = magic, .failed = failed, .output_len = output_len, .ndiags = ndiags};
	send(CC_FD_CONTROL, &reply, sizeof(reply), MSG_NOSIGNAL);
}

static void send_unended_strings(void)
{
	struct cc_diag diag = {.severity = CC_ERROR, .line = UINT32_MAX, .col = UINT32_MAX};
	memset(diag.file, 'f', sizeof(diag.file));
	memset(diag.message, '\n', sizeof(diag.message));
	if (write(CC_FD_ANSWER, &diag, sizeof(diag)) == sizeof(diag))
		answer(CC_MAGIC, 1, 0, 1);
}

static int lie(void)
{
	struct cc_request request;
	char how[32] = "";
	if (recv(CC_FD_CONTROL, &request, sizeof(request), 0) != sizeof(request) ||
	        pread(CC_FD_SOURCE, how, sizeof(how) - 1, 0) < 0)
		return 1;
	if (!strcmp(how, "long output"))
		answer(CC_MAGIC, 0, UINT64_MAX, 0);
	else if (!strcmp(how, "output beyond the end"))
		answer(CC_MAGIC, 0, 4096, 0);
	else if (!strcmp(how, "many diagnostics"))
		answer(CC_MAGIC, 1, 0, UINT32_MAX);
	else if (!strcmp(how, "unended strings"))
		send_unended_strings();
	else if (!strcmp(how, "failure without a reason"))
		answer(CC_MAGIC, 1, 0, 0);
	else if (!strcmp(how, "wrong magic"))
		answer(7, 0, 0, 0);
	else if (!strcmp(how, "short message"))
		send(CC_FD_CONTROL, how, 4, MSG_NOSIGNAL);
	else if (!strcmp(how, "crash"))
		abort();
	else if (!strcmp(how, "silence"))
		pause();
	return 0;
}

/* Whatever the helper answers, the result is an error that says so: nothing is read out of bounds, nothing hangs. */
static void test_lying_helper(void **state)
{
	static const struct {
		const char *how, *tag, *message;
	} lies[] = {
	        {"long output", "compiler-died", "answer"},
	        {"output beyond the end", "compiler-died", "answer"},
	        {"many diagnostics", "compiler-died", "answer"},
	        {"unended strings", "compile-error", "\n"},
	        {"failure without a reason", "compiler-died", "did not say why"},
	        {"wrong magic", "compiler-died", "no answer"},
	        {"short message", "compiler-died", "no answer"},
	        {"crash", "compiler-died", "signal 6"},
	        {"silence", "compiler-limit", "did not answer within 3 s"},
	};
	/* The sanitizers want terabytes of addresses. */
	struct compiler_options options = {.path = "/proc/self/exe", .seconds = 1, .memory = 1ull << 62};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		void *data;
		size_t len;
		struct err err = {0};
		assert_true(compile_with(&options, lies[i].how, COMPILE_OBJECT, &data, &len, &err) < 0);
		assert_string_equal(err.tag, lies[i].tag);
		assert_non_null(strstr(err.message, lies[i].message));
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--serve"))
		return lie();
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_object_loads),
	        cmocka_unit_test(test_deterministic),
	        cmocka_unit_test(test_text_outputs),
	        cmocka_unit_test(test_error_at_script),
	        cmocka_unit_test(test_error_in_generated_code),
	        cmocka_unit_test(test_back_end_error),
	        cmocka_unit_test(test_no_includes),
	        cmocka_unit_test(test_cpu_limit),
	        cmocka_unit_test(test_memory_limit),
	        cmocka_unit_test(test_unprivileged),
	        cmocka_unit_test(test_leaves_no_trace),
	        cmocka_unit_test(test_host_that_reaps),
	        cmocka_unit_test(test_missing),
	        cmocka_unit_test(test_identity),
	        cmocka_unit_test(test_as_root),
	        cmocka_unit_test(test_helper_that_is_not_one),
	        cmocka_unit_test(test_lying_helper),
	};
	return cmocka_run_group_tests_name("compile", tests, NULL, NULL);
}
