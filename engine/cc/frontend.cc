// clang's front end behind one C function: BPF C in memory → LLVM module.
//
// This is the one C++ file of the project, because clang's front end has no C interface; what comes after it (optimise,
// emit) goes through llvm-c in main.c. Nothing here touches a file: the source is a buffer, the file system that clang
// sees is an empty one in memory, and no header search path exists, so an #include fails whatever it names.
//
// clang's CodeGenAction would do the same and more, but it drags the whole of clang's back end driver into the program
// (every pass plug-in, LTO, the bitcode linker). The code generator alone, as an AST consumer, is all that is needed:
// the program is a third smaller and starts faster.
//
// clang's C++ interface changes with every release; the differences between 14 and 22 are the #if's below.
#include "engine/cc/frontend.h"

#include <clang/Basic/DiagnosticOptions.h>
#include <clang/Basic/SourceManager.h>
#include <clang/CodeGen/ModuleBuilder.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <clang/Frontend/FrontendAction.h>
#include <clang/Frontend/FrontendOptions.h>
#include <llvm/ADT/SmallString.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/VirtualFileSystem.h>

#include <memory>
#include <new>

using FileSystem = llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem>;

namespace
{

// Hands each diagnostic to the C side, at the place that #line directives say.
class Reporter : public clang::DiagnosticConsumer
{
	frontend_report report;
	void *user;

      public:
	Reporter(frontend_report report, void *user) : report(report), user(user)
	{
	}

	void HandleDiagnostic(clang::DiagnosticsEngine::Level level, const clang::Diagnostic &info) override
	{
		DiagnosticConsumer::HandleDiagnostic(level, info); // counts errors
		if (level == clang::DiagnosticsEngine::Ignored)
			return;
		llvm::SmallString<256> message;
		info.FormatDiagnostic(message);
		clang::PresumedLoc place;
		if (info.hasSourceManager() && info.getLocation().isValid())
			place = info.getSourceManager().getPresumedLoc(
			        info.getSourceManager().getExpansionLoc(info.getLocation()));
		bool known = place.isValid();
		enum cc_severity severity = level >= clang::DiagnosticsEngine::Error     ? CC_ERROR
		                            : level == clang::DiagnosticsEngine::Warning ? CC_WARNING
		                                                                         : CC_NOTE;
		report(user, severity, known ? place.getFilename() : "", known ? place.getLine() : 0,
		        known ? place.getColumn() : 0, message.c_str());
	}
};

// ReleaseModule() returns a plain pointer before clang 22.
template <typename Module> std::unique_ptr<llvm::Module> own(Module module)
{
	return std::unique_ptr<llvm::Module>(std::move(module));
}

// A debugger would want to know where each variable is; BTF and its line information do not say. Keeping track of it
// through all passes is a seventh of the compiler's work.
void forget_variables(llvm::Module &module)
{
	for (llvm::Function &function : module)
		for (llvm::BasicBlock &block : function)
			for (auto next = block.begin(); next != block.end();) {
				llvm::Instruction &instruction = *next++;
#if LLVM_VERSION_MAJOR >= 19
				instruction.dropDbgRecords();
#else
				if (llvm::isa<llvm::DbgVariableIntrinsic>(instruction))
					instruction.eraseFromParent();
#endif
			}
}

// Parses one input and keeps the module that clang's code generator made of it.
class Generate : public clang::ASTFrontendAction
{
	llvm::LLVMContext &context;
	clang::CodeGenerator *generator = nullptr; // owned by the compiler instance while it runs
	std::unique_ptr<llvm::Module> module;

      public:
	explicit Generate(llvm::LLVMContext &context) : context(context)
	{
	}

	std::unique_ptr<clang::ASTConsumer> CreateASTConsumer(
	        clang::CompilerInstance &ci, llvm::StringRef name) override
	{
		std::unique_ptr<clang::CodeGenerator> fresh(clang::CreateLLVMCodeGen(ci.getDiagnostics(), name,
#if LLVM_VERSION_MAJOR >= 15
		        ci.getFileManager().getVirtualFileSystemPtr(),
#endif
		        ci.getHeaderSearchOpts(), ci.getPreprocessorOpts(), ci.getCodeGenOpts(), context));
		generator = fresh.get();
		return fresh;
	}

	void EndSourceFileAction() override
	{
		if (generator)
			module = own(generator->ReleaseModule());
		if (module)
			forget_variables(*module);
		generator = nullptr;
	}

	std::unique_ptr<llvm::Module> take()
	{
		return std::move(module);
	}
};

// What `clang -target bpf -mcpu=v3 -O2 -g` passes to its front end, as far as it matters without headers. The code
// generator must know that it will be optimised (-O2: no optnone, with TBAA and lifetimes), or the passes would leave
// it alone.
const char *const arguments[] = {"-triple", "bpf", "-target-cpu", "v3", "-emit-llvm-only", "-main-file-name",
        CC_MAIN_FILE, "-fdebug-compilation-dir=/", "-O2", "-std=gnu11", "-debug-info-kind=constructor",
        "-dwarf-version=4", "-debugger-tuning=gdb", "-ffreestanding", "-ferror-limit", "20", "-nostdsysteminc",
        "-nobuiltininc", "-disable-free", "-x", "c", CC_MAIN_FILE};

void prepare(clang::CompilerInstance &ci, FileSystem files, Reporter &reporter)
{
#if LLVM_VERSION_MAJOR >= 22
	ci.setVirtualFileSystem(files);
	ci.createDiagnostics(&reporter, false);
	ci.createFileManager();
#elif LLVM_VERSION_MAJOR >= 20
	ci.createDiagnostics(*files, &reporter, false);
	ci.createFileManager(files);
#else
	ci.createDiagnostics(&reporter, false);
	ci.createFileManager(files);
#endif
}

} // namespace

extern "C" LLVMModuleRef frontend_compile(
        LLVMContextRef context, const char *source, size_t len, frontend_report report, void *user)
{
	Reporter reporter(report, user);
	FileSystem files(new llvm::vfs::InMemoryFileSystem);
	clang::CompilerInstance ci;
	prepare(ci, files, reporter);
	if (!clang::CompilerInvocation::CreateFromArgs(ci.getInvocation(), arguments, ci.getDiagnostics()))
		return nullptr;
	llvm::MemoryBufferRef buffer(llvm::StringRef(source, len), CC_MAIN_FILE);
	ci.getFrontendOpts().Inputs.clear();
	ci.getFrontendOpts().Inputs.emplace_back(buffer, clang::InputKind(clang::Language::C));
	Generate generate(*llvm::unwrap(context));
	if (!ci.ExecuteAction(generate) || reporter.getNumErrors())
		return nullptr;
	return llvm::wrap(generate.take().release());
}

extern "C" void frontend_on_no_memory(void (*fn)(void))
{
	std::set_new_handler(fn);              // operator new
	llvm::install_bad_alloc_error_handler( // LLVM's own malloc()
	        [](void *user, const char *, bool) { (*reinterpret_cast<void (**)()>(user))(); }, new (void (*)())(fn));
}
