/* The half of rille-cc behind the front end: the -O2 pipeline and code generation for BPF, through llvm-c.
 *
 * Only the BPF target is registered, and only what it takes to print objects and to parse inline assembly, so only that
 * is linked. The CPU is "v3": 32-bit registers and signed jumps, which every kernel with a ring buffer (5.8) verifies.
 *
 * What the back end dislikes (a function with too many arguments, a call that cannot be inlined, a stack beyond 512
 * bytes) reaches us as text that starts with "file:line:col: "; it is taken apart here so that it points at the script
 * like the front end's messages do. */
#include "engine/cc/backend.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct backend {
	LLVMTargetMachineRef machine;
};

struct backend *backend_new(void)
{
	LLVMInitializeBPFTargetInfo();
	LLVMInitializeBPFTarget();
	LLVMInitializeBPFTargetMC();
	LLVMInitializeBPFAsmPrinter();
	LLVMInitializeBPFAsmParser();
	LLVMTargetRef target;
	char *message = NULL;
	struct backend *backend = calloc(1, sizeof(*backend));
	if (!backend || LLVMGetTargetFromTriple("bpf", &target, &message)) {
		fprintf(stderr, "rille-cc: %s\n", message ? message : "out of memory");
		LLVMDisposeMessage(message);
		free(backend);
		return NULL;
	}
	backend->machine = LLVMCreateTargetMachine(
	        target, "bpf", "v3", "", LLVMCodeGenLevelDefault, LLVMRelocDefault, LLVMCodeModelDefault);
	return backend;
}

void backend_free(struct backend *backend)
{
	if (!backend)
		return;
	LLVMDisposeTargetMachine(backend->machine);
	free(backend);
}

struct sink {
	frontend_report report;
	void *user;
	bool failed;
};

static enum cc_severity severity_of(LLVMDiagnosticSeverity severity)
{
	if (severity == LLVMDSError)
		return CC_ERROR;
	return severity == LLVMDSWarning ? CC_WARNING : CC_NOTE;
}

/* Splits "file:line:col: text" in place; returns the text and sets the rest, or returns all of it. */
static const char *split_place(char *message, const char **ret_file, unsigned *ret_line, unsigned *ret_col)
{
	for (char *at = strchr(message, ':'); at; at = strchr(at + 1, ':')) {
		unsigned line, col;
		int used = 0;
		if (sscanf(at, ":%u:%u: %n", &line, &col, &used) == 2 && used > 0) {
			*at = '\0';
			*ret_file = message;
			*ret_line = line;
			*ret_col = col;
			return at + used;
		}
	}
	return message;
}

static void take_diagnostic(LLVMDiagnosticInfoRef info, void *user)
{
	struct sink *sink = user;
	enum cc_severity severity = severity_of(LLVMGetDiagInfoSeverity(info));
	if (severity == CC_NOTE) /* remarks about optimisations */
		return;
	char *message = LLVMGetDiagInfoDescription(info);
	const char *file = "";
	unsigned line = 0, col = 0;
	const char *text = split_place(message, &file, &line, &col);
	sink->failed |= severity == CC_ERROR;
	sink->report(sink->user, severity, file, line, col, text);
	LLVMDisposeMessage(message);
}

/* For failures of LLVM's own that carry no place; takes over `message`. */
static void take_message(struct sink *sink, char *message)
{
	sink->failed = true;
	sink->report(sink->user, CC_ERROR, "", 0, 0, message ? message : "unknown LLVM error");
	LLVMDisposeMessage(message);
}

static void optimise(struct backend *backend, LLVMModuleRef module, struct sink *sink)
{
	LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
	LLVMErrorRef error = LLVMRunPasses(module, "default<O2>", backend->machine, options);
	LLVMDisposePassBuilderOptions(options);
	if (!error)
		return;
	char *message = LLVMGetErrorMessage(error);
	take_message(sink, LLVMCreateMessage(message));
	LLVMDisposeErrorMessage(message);
}

static LLVMMemoryBufferRef emit(struct backend *backend, LLVMModuleRef module, enum cc_output output, struct sink *sink)
{
	LLVMMemoryBufferRef buffer = NULL;
	if (output == CC_LLVM) {
		char *text = LLVMPrintModuleToString(module);
		buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "module");
		LLVMDisposeMessage(text);
		return buffer;
	}
	char *message = NULL;
	LLVMCodeGenFileType type = output == CC_ASM ? LLVMAssemblyFile : LLVMObjectFile;
	if (LLVMTargetMachineEmitToMemoryBuffer(backend->machine, module, type, &message, &buffer)) {
		take_message(sink, message);
		return NULL;
	}
	return buffer;
}

LLVMMemoryBufferRef backend_compile(struct backend *backend, const char *source, size_t len, enum cc_output output,
        frontend_report report, void *user)
{
	struct sink sink = {.report = report, .user = user};
	LLVMMemoryBufferRef buffer = NULL;
	LLVMContextRef context = LLVMContextCreate();
	LLVMContextSetDiagnosticHandler(context, take_diagnostic, &sink);
	LLVMModuleRef module = frontend_compile(context, source, len, report, user);
	if (!module)
		goto out;
	if (!sink.failed)
		optimise(backend, module, &sink);
	if (!sink.failed)
		buffer = emit(backend, module, output, &sink);
	if (sink.failed && buffer) {
		LLVMDisposeMemoryBuffer(buffer);
		buffer = NULL;
	}
	LLVMDisposeModule(module);
out:
	LLVMContextDispose(context);
	return buffer;
}
