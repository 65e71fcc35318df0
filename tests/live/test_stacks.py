"""Native stacks: the same frames as elfutils on the same process, names from every place they can be in, and no harm from
files and processes that mean it."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import rille

STACKDUMP = pathlib.Path(rille.RILLE).resolve().parent / "tests" / "tools" / "stackdump"
SHAPES = 9  # threads of programs/stacks.c, without its first


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("stopping other processes needs root")
    if not STACKDUMP.exists():
        raise unittest.SkipTest(f"{STACKDUMP} is not built")
    if not shutil.which("gcc"):
        raise unittest.SkipTest("no C compiler is installed")


@contextlib.contextmanager
def running(*command, ready=True, **options):
    """A process that has said that it is ready."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL, "text": True} | options
    process = subprocess.Popen([str(word) for word in command], **options)
    try:
        if ready and process.stdout.readline() != "ready\n":
            raise AssertionError(f"{command} did not become ready")
        time.sleep(0.1)  # it has said so in one call and now goes to sleep in another
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Frame:
    def __init__(self, line):
        head, module, place, kind, how = line.rstrip("\n").split("\t")
        found = re.match(r"#\d+ 0x([0-9a-f]+) (.*)\+0x([0-9a-f]+)$", head)
        self.ip, self.name, self.offset = int(found[1], 16), found[2], int(found[3], 16)
        self.module, self.place, self.kind, self.how = module, place, kind, how

    def __repr__(self):
        return f"{self.ip:#x} {self.name}+{self.offset:#x} {self.module} {self.how}"


def parse(text):
    """tid → (frames, why it ends)"""
    stacks, tid = {}, None
    for line in text.splitlines():
        if line.startswith("thread "):
            tid = int(line.split()[1])
            stacks[tid] = ([], None)
        elif line.startswith("#"):
            stacks[tid][0].append(Frame(line))
        elif line.startswith("end "):
            stacks[tid] = (stacks[tid][0], line.split()[1])
    return stacks


def stackdump(*args):
    done = subprocess.run([STACKDUMP, *map(str, args)], capture_output=True, timeout=120, check=True)
    return parse(done.stdout.decode("utf-8", "replace"))


def only(stacks):
    assert len(stacks) == 1, stacks
    return next(iter(stacks.values()))


def eu_stack(pid):
    """tid → [(address, name or None)], as elfutils sees the stopped process."""
    os.kill(pid, signal.SIGSTOP)
    try:
        text = subprocess.run(["eu-stack", "-n", "0", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    finally:
        os.kill(pid, signal.SIGCONT)
    stacks, tid = {}, None
    for line in text.splitlines():
        if line.startswith("TID "):
            tid = int(line[4:].rstrip(":"))
            stacks[tid] = []
        elif found := re.match(r"#\d+\s+0x([0-9a-f]+)(?: - 1)?\s*(.*)$", line):
            stacks[tid].append((int(found[1], 16), found[2].strip() or None))
    return stacks


def aliases(module, name):
    """All names of the symbols that share the address of one."""
    table = subprocess.run(["nm", module], capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in table.splitlines()]
    places = {word[0] for word in words if len(word) == 3 and word[2].split("@")[0] == name}
    return {word[2].split("@")[0] for word in words if word[0] in places}


class Workshop(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="rille-test-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.path.chmod(0o755)

    def compile(self, source, *flags, name="program", compiler="gcc"):
        target = self.path / name
        subprocess.run([compiler, "-w", *flags, "-o", target, rille.PROGRAMS / source], check=True)
        return target

    def need(self, *tools):
        for tool in tools:
            if not shutil.which(tool):
                self.skipTest(f"no {tool}")


class Walk(Workshop):
    """Every shape of stack, in every way of building it, is walked to its root through the frames that elfutils sees."""

    def compare(self, *flags):
        self.need("eu-stack")
        program = self.compile("stacks.c", "-pthread", *flags)
        with running(program) as process:
            theirs = eu_stack(process.pid)
            ours = stackdump(process.pid)
            copied = stackdump("-b", 1 << 20, process.pid)
            short = stackdump("-b", 1024, process.pid)
        self.assertEqual(len(theirs), 1 + SHAPES)
        for stacks in (ours, copied, short):
            self.assertEqual(stacks.keys(), theirs.keys())
            for tid, frames in theirs.items():
                self.assertEqual([frame.ip for frame in stacks[tid][0]], [ip for ip, _ in frames])
                self.assertEqual(stacks[tid][1], "root")
        for tid, frames in theirs.items():
            for mine, (_, name) in zip(ours[tid][0], frames):
                if name and mine.name.lstrip("_") != name.split("@")[0].lstrip("_"):
                    self.assertIn(name.split("@")[0], aliases(mine.module, mine.name))
        deepest = max(copied.values(), key=lambda stack: len(stack[0]))[0]
        self.assertGreater(len(deepest), 400)
        self.assertEqual({frame.how for frame in deepest}, {"cfi"})
        deepest = max(short.values(), key=lambda stack: len(stack[0]))[0]
        self.assertEqual(deepest[0].how, "cfi")
        self.assertEqual({frame.how for frame in deepest[8:]}, {"live"})

    def test_without_frame_pointers(self):
        """… optimised, without frame pointers."""
        self.compare("-O2", "-fomit-frame-pointer")

    def test_with_frame_pointers(self):
        """… with frame pointers."""
        self.compare("-O1", "-fno-omit-frame-pointer")

    def test_at_fixed_addresses(self):
        """… not position independent."""
        self.compare("-O2", "-no-pie", "-fno-pie")

    def test_static(self):
        """… without shared libraries."""
        self.compare("-O2", "-static")

    def test_without_search_table(self):
        """… without .eh_frame_hdr: the entries are found by reading .eh_frame through."""
        self.compare("-O2", "-Wl,--no-eh-frame-hdr", "-no-pie")

    def test_debug_frame(self):
        """… with .debug_frame in place of .eh_frame for the program's own functions."""
        self.compare("-O2", "-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")

    def test_without_unwind_information(self):
        """Where there is no unwind information frame pointers are used, and the frames so found say so."""
        program = self.compile("pair.c", "-O1", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables",
                               "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls")
        stacks = subprocess.run([STACKDUMP, "-s", "53", program], capture_output=True, text=True, check=True).stdout
        for chunk in stacks.split("thread ")[1:]:
            frames, end = only(parse("thread " + chunk))
            names = [frame.name for frame in frames]
            self.assertEqual(names[:3], ["socketpair", "leaf", "mid"])
            self.assertEqual(frames[2].how, "fp")
            self.assertIn("main", names)
            self.assertEqual(end, "root")


class Names(Workshop):
    def innermost(self, program, *args):
        """The frames of the program's own code below pause()."""
        with running(program) as process:
            frames, end = only(stackdump(*args, process.pid))
        self.assertEqual(end, "root")
        return [frame for frame in frames if frame.module == str(program)]

    def test_cplusplus(self):
        """C++ names read as in the source, and as c++filt has them."""
        self.need("g++", "c++filt", "nm")
        program = self.compile("names.cc", "-O1", compiler="g++")
        table = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
        known = set(subprocess.run(["c++filt"], input=table, capture_output=True, text=True, check=True).stdout.splitlines())
        known = {line.split(" ", 2)[2] for line in known if len(line.split(" ", 2)) == 3}
        names = [frame.name for frame in self.innermost(program)]
        self.assertLessEqual(set(names), known)
        self.assertEqual(names[:5], [
            "outer::(anonymous namespace)::rest(int)", "outer::Box<long, 7>::Box(long)",
            "outer::Box<long, 7>::operator()(long const&) const", "Derived::call(long) const",
            "main::{lambda(Base*)#1}::operator()(Base*) const"])

    def rust(self, *flags):
        self.need("rustc")
        done = subprocess.run(["rustc", "-O", *flags, "-o", self.path / "program", rille.PROGRAMS / "names.rs"],
                              capture_output=True, text=True, check=False, env={**os.environ, "RUSTC_BOOTSTRAP": "1"})
        if done.returncode:
            self.skipTest(f"rustc {' '.join(flags)}: {done.stderr.splitlines()[0] if done.stderr else 'failed'}")
        return [frame.name for frame in self.innermost(self.path / "program")]

    def test_rust_v0(self):
        """Rust's present mangling reads as Rust."""
        names = self.rust("-C", "symbol-mangling-version=v0")
        self.assertEqual(names[0], "<names::Chair<u64> as names::Rest>::rest")
        self.assertIn("names::take::<names::Chair<u64>>", names)
        self.assertIn("names::main", names)

    def test_rust_legacy(self):
        """Rust's older mangling reads as Rust, without the hash."""
        names = self.rust("-Z", "unstable-options", "-C", "symbol-mangling-version=legacy")
        self.assertTrue(any(name.endswith("::rest") for name in names[:1]), names)
        self.assertFalse(any(re.search(r"::h[0-9a-f]{16}$", name) for name in names), names)

    def test_stripped(self):
        """Without symbols a frame has its module and the address in it, and the walk is complete all the same."""
        program = self.compile("names.cc", "-O1", "-s", compiler="g++")
        frames = self.innermost(program)
        self.assertTrue(all(frame.name == "?" for frame in frames), frames)
        self.assertEqual(len(frames), 7)

    def test_mini_debug_info(self):
        """.gnu_debugdata names what .dynsym does not."""
        self.need("objcopy", "strip", "xz", "nm")
        program = self.compile("names.cc", "-O1", compiler="g++")
        full = [frame.name for frame in self.innermost(program)]
        small = self.path / "small"
        subprocess.run(["objcopy", "--only-keep-debug", program, small], check=True)
        subprocess.run(["xz", small], check=True)
        subprocess.run(["strip", program], check=True)
        subprocess.run(["objcopy", "--add-section", f".gnu_debugdata={small}.xz", program], check=True)
        self.assertEqual([frame.name for frame in self.innermost(program)], full)

    def separate(self):
        self.need("objcopy", "strip")
        program = self.compile("names.cc", "-O1", "-Wl,--build-id=none", compiler="g++")
        names = [frame.name for frame in self.innermost(program)]
        debug = self.path / ".debug"
        debug.mkdir()
        debug /= "program.debug"
        subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
        subprocess.run(["strip", program], check=True)
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", program], check=True)
        return program, debug, names

    def test_debuglink(self):
        """A debug file is found by .gnu_debuglink."""
        program, _, names = self.separate()
        self.assertEqual([frame.name for frame in self.innermost(program)], names)

    def test_wrong_debuglink(self):
        """… but not taken if its checksum is another: names of another build are worse than none."""
        program, debug, _ = self.separate()
        with debug.open("ab") as file:
            file.write(b"x")
        self.assertEqual({frame.name for frame in self.innermost(program)}, {"?"})

    def test_assembly(self):
        """Symbols without a size name what is behind them up to the next symbol; aliases give way to the plain name."""
        source = self.path / "asm.s"
        source.write_text("""
            .globl main, __alias, plain_name
            .type plain_name, @function
            .type __alias, @function
            .section .rodata
        text: .asciz "ready"
            .text
        sizeless:
            .cfi_startproc
            sub $8, %rsp
            .cfi_adjust_cfa_offset 8
        1:  call pause@plt
            jmp 1b
            .cfi_endproc
        __alias:
        plain_name:
            .cfi_startproc
            sub $8, %rsp
            .cfi_adjust_cfa_offset 8
            call sizeless
            add $8, %rsp
            ret
            .cfi_endproc
            .size plain_name, . - plain_name
            .size __alias, . - __alias
        main:
            .cfi_startproc
            sub $8, %rsp
            .cfi_adjust_cfa_offset 8
            lea text(%rip), %rdi
            call puts@plt
            xor %edi, %edi
            call fflush@plt
            call plain_name
            .cfi_endproc
            .section .note.GNU-stack,"",@progbits
        """)
        program = self.compile(source)
        names = [frame.name for frame in self.innermost(program)]
        self.assertEqual(names[:3], ["sizeless", "plain_name", "main"])

    def test_lines(self):
        """Source lines are those of addr2line."""
        self.need("addr2line")
        program = self.compile("stacks.c", "-O1", "-g", "-no-pie", "-pthread")
        with running(program) as process:
            stacks = stackdump("-l", process.pid)
        checked = 0
        for frames, _ in stacks.values():
            for i, frame in enumerate(frames):
                if frame.module != str(program) or not frame.place:
                    continue
                exact = i == 0 or "signal" in frames[i - 1].name or "restore_rt" in frames[i - 1].name
                place = subprocess.run(["addr2line", "-e", program, hex(frame.ip - (not exact))], capture_output=True,
                                       text=True, check=True).stdout.split(" (")[0].strip()
                self.assertEqual(os.path.realpath(frame.place.rsplit(":", 1)[0]), os.path.realpath(place.rsplit(":", 1)[0]))
                self.assertEqual(frame.place.rsplit(":", 1)[1], place.rsplit(":", 1)[1])
                checked += 1
                if checked == 60:
                    return
        self.assertGreater(checked, 20)


class Files(Workshop):
    """The file that was mapped is read, whatever has become of its name since; and nothing else is."""

    NAMES = ["rest", "Box", "operator()", "call", "lambda", "main"]

    def check(self, stacks):
        frames, end = only(stacks)
        self.assertEqual(end, "root")
        text = " ".join(frame.name for frame in frames)
        for name in self.NAMES:
            self.assertIn(name, text)

    def setUp(self):
        super().setUp()
        self.program = self.compile("names.cc", "-O1", compiler="g++")

    def test_deleted(self):
        """A deleted program has names."""
        with running(self.program) as process:
            self.program.unlink()
            self.check(stackdump(process.pid))

    def test_replaced(self):
        """A program whose path holds another one by now has its own names."""
        with running(self.program) as process:
            self.program.unlink()
            shutil.copy("/bin/true", self.program)
            self.check(stackdump(process.pid))

    def test_other_root(self):
        """A program in a root of its own has names."""
        static = self.compile("names.cc", "-O1", "-static", name="inside", compiler="g++")
        with running("/inside", preexec_fn=lambda: os.chroot(static.parent)) as process:
            self.check(stackdump(process.pid))

    def test_other_namespaces(self):
        """A program in mount and pid namespaces of its own, on a file system that is only there, has names."""
        self.need("unshare")
        script = f"mount -t tmpfs none /mnt && cp {self.program} /mnt/hidden && exec /mnt/hidden"
        with running("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script) as process:
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
            self.assertEqual(len(children), 1)
            self.assertFalse(pathlib.Path("/mnt/hidden").exists())
            self.check(stackdump(children[0]))

    def test_without_privileges(self):
        """Without perf events and map_files, /proc/PID/maps and the paths in it do; another file at a path is refused."""
        self.need("setpriv")
        drop = "-sys_admin,-perfmon,-checkpoint_restore"
        command = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", STACKDUMP]
        with running(self.program) as process:
            done = subprocess.run([*command, str(process.pid)], capture_output=True, text=True, check=True)
            if "/proc only" not in done.stderr:
                self.skipTest("perf events are allowed to everyone here")
            self.check(parse(done.stdout))
            self.program.unlink()
            shutil.copy("/bin/true", self.program)
            done = subprocess.run([*command, str(process.pid)], capture_output=True, text=True, check=True)
            frames, _ = only(parse(done.stdout))
            self.assertEqual(frames[0].name, "pause")
            self.assertEqual({frame.name for frame in frames if frame.module == str(self.program)}, {"?"})

    def test_gone(self):
        """A process that is gone when its stack is looked at has names."""
        program = self.compile("pair.c", "-O2", "-fomit-frame-pointer", name="pair")
        for _ in range(10):
            frames, end = only(stackdump("-g", "-s", "53", program))
            self.assertEqual(end, "root")
            self.assertEqual([frame.name for frame in frames][:1], ["socketpair"])
            self.assertIn("main", [frame.name for frame in frames])
            self.assertNotIn("?", [frame.name for frame in frames if frame.module == str(program)])

    def with_library(self):
        """A program that sleeps in a library, and the library."""
        library, source = self.path / "libhostile.so", self.path / "hostile.c"
        source.write_text("int pause(void); int puts(const char *); int fflush(void *);\n"
                          "void rest(void) { puts(\"ready\"); fflush(0); for (;;) pause(); }\n")
        subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        source.write_text("void rest(void); int main(void) { rest(); return 0; }\n")
        program = self.path / "caller"
        subprocess.run(["gcc", "-w", "-O1", "-o", program, source, library, f"-Wl,-rpath,{self.path}"], check=True)
        return program, library

    def test_truncated(self):
        """A file that was cut short under the process does no harm."""
        program, library = self.with_library()
        whole = library.read_bytes()
        for size in (0, 20, 64, 100, 1000, 4096, len(whole) - 1000, len(whole) - 1):
            library.write_bytes(whole)
            with running(program) as process:
                os.kill(process.pid, signal.SIGSTOP)
                os.truncate(library, size)
                frames, end = only(stackdump(process.pid))
                self.assertEqual(frames[0].name, "pause")
                self.assertEqual(frames[1].module, str(library))
                self.assertTrue(end)

    def test_damaged(self):
        """A file full of nonsense behind its headers does no harm."""
        program, library = self.with_library()
        good = library.read_bytes()
        with running(program) as process:
            for seed in range(20):
                bad = bytearray(good)
                for at in range(64 + seed, len(bad), 37 + seed):
                    bad[at] ^= (at * 31 + seed * 7) & 0xff
                with library.open("r+b") as file:  # in place: the same inode
                    file.write(bad)
                frames, end = only(stackdump(process.pid))
                self.assertEqual(frames[0].name, "pause")
                self.assertTrue(end)

    def test_hostile_names(self):
        """What a target calls itself reaches neither terminal nor JSON unescaped."""
        rille.need_trace()
        source = self.path / "evil.c"
        source.write_text('#include <sys/socket.h>\n'
                          '__attribute__((noinline)) int evil(void) __asm__("\\"\\033[31m\\007\\342\\202\\"");\n'
                          'int evil(void) { int f[2]; int r = socketpair(1, 1, 0, f); __asm__ volatile(""); return r; }\n'
                          'int main(void) { return evil() + 1 - 1; }\n')
        program = self.path / "evil"
        done = subprocess.run(["gcc", "-w", "-O0", "-o", program, source], capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest("the assembler refuses such a name")
        text = subprocess.run([rille.RILLE, "run", "socketpair", "--", program], capture_output=True, check=True).stdout
        self.assertIn(b"[31m", text)
        self.assertNotIn(b"\x1b", text)
        self.assertNotIn(b"\x07", text)
        text.decode("utf-8")
        lines = subprocess.run([rille.RILLE, "run", "socketpair", "--format", "jsonl", "--", program],
                               capture_output=True, check=True).stdout
        self.assertNotIn(b"\x1b", lines)
        self.assertEqual(len(rille.events(lines.decode("utf-8"))), 1)


class Lives(Workshop):
    """Processes that live in unusual ways, traced."""

    def trace(self, text, *flags, command=()):
        """The events of a program given as C text."""
        rille.need_trace()
        source = self.path / "life.c"
        source.write_text("#define _GNU_SOURCE\n#include <pthread.h>\n#include <sys/socket.h>\n#include <unistd.h>\n"
                          "#include <sys/wait.h>\n#include <stdlib.h>\n#define NOINLINE __attribute__((noinline, noclone))\n"
                          "NOINLINE int make(void) { int f[2]; int r = socketpair(1, 1, 0, f); __asm__ volatile(\"\"); return r; }\n"
                          + text)
        program = self.path / "life"
        subprocess.run(["gcc", "-w", "-O2", "-pthread", *flags, "-o", program, source], check=True)
        rille.run("run", "socketpair", "-o", f"jsonl:{self.path}/out", "--", program, *command)
        return rille.events((self.path / "out").read_text(encoding="utf-8"))

    def check(self, event, *names):
        """The stack is complete, and begins with socketpair, make and these."""
        found = [frame.get("name") for frame in event["ustack"]]
        self.assertEqual(event["ustack_end"], "root", found)
        self.assertEqual(found[:2 + len(names)], ["socketpair", "make", *names])

    def test_first_thread_gone(self):
        """The first thread has ended, another one goes on."""
        events = self.trace("void *run(void *x) { usleep(200000); make(); return NULL; }\n"
                            "int main(void) { pthread_t t; pthread_create(&t, NULL, run, NULL); pthread_exit(NULL); }\n")
        self.assertEqual(len(events), 1)
        self.check(events[0], "run", "start_thread")

    def test_exec_of_itself(self):
        """A program at a fixed address that executes another one at the same address: each has its own names."""
        events = self.trace("NOINLINE int first(void) { int r = make(); __asm__ volatile(\"\"); return r; }\n"
                            "NOINLINE int second(void) { int r = make(); __asm__ volatile(\"\"); return r; }\n"
                            "int main(int argc, char **argv) { if (argc > 1) return second() < 0;\n"
                            "first(); execl(argv[0], argv[0], \"again\", NULL); return 1; }\n", "-no-pie", "-static")
        self.assertEqual(len(events), 2)
        self.check(events[0], "first", "main")
        self.check(events[1], "second", "main")

    def test_exec_from_a_thread(self):
        """A thread that is not the first executes a program: the process keeps its number and has new mappings."""
        events = self.trace("char **args; NOINLINE int second(void) { int r = make(); __asm__ volatile(\"\"); return r; }\n"
                            "void *run(void *x) { make(); execl(args[0], args[0], \"again\", NULL); return NULL; }\n"
                            "int main(int argc, char **argv) { pthread_t t; args = argv; if (argc > 1) return second() < 0;\n"
                            "pthread_create(&t, NULL, run, NULL); pthread_join(t, NULL); return 1; }\n")
        self.assertEqual(len(events), 2)
        self.check(events[0], "run", "start_thread")
        self.check(events[1], "second", "main")

    def test_vfork(self):
        """A child in its parent's memory."""
        events = self.trace("int main(void) { if (!vfork()) { make(); _exit(0); } make(); return 0; }\n")
        self.assertEqual(len(events), 2)
        for event in events:
            self.check(event, "main")
        self.assertNotEqual(events[0]["pid"], events[1]["pid"])

    def test_loaded_later(self):
        """A library that is loaded while the process is traced, and then another one at its place."""
        for name in ("one", "two"):
            source = self.path / f"{name}.c"
            source.write_text(f"int call_{name}(int (*f)(void)) {{ int r = f(); __asm__ volatile(\"\"); return r; }}\n")
            subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", self.path / f"{name}.so", source], check=True)
        events = self.trace("#include <dlfcn.h>\n#include <stdio.h>\nint main(int argc, char **argv) {\n"
                            "for (int i = 1; i < argc; i++) { char name[20]; void *l = dlopen(argv[i], RTLD_NOW);\n"
                            "snprintf(name, sizeof(name), \"call_%.3s\", argv[i] + strlen(argv[i]) - 6);\n"
                            "((int (*)(int (*)(void)))dlsym(l, name))(make); dlclose(l); } return 0; }\n", "-include", "string.h",
                            command=[self.path / "one.so", self.path / "two.so"] * 3)
        self.assertEqual(len(events), 6)
        for i, event in enumerate(events):
            self.check(event, ["call_one", "call_two"][i % 2], "main")

    def table(self, probe, text, *flags):
        """The events of a one-probe table on a program given as C text, as (names, modules, end)."""
        self.trace(text, *flags)
        rille.run("-e", f'{{ "{probe}", stack = "user" }}', "-o", f"jsonl:{self.path}/out", "--", self.path / "life")
        events = rille.events((self.path / "out").read_text(encoding="utf-8"))
        return [([frame.get("name") for frame in event["ustack"]], [frame.get("module") for frame in event["ustack"]],
                 event["ustack_end"]) for event in events]

    def test_vdso(self):
        """A call out of the kernel's own code in user space."""
        events = self.table("syscall:clock_gettime", "#include <time.h>\nNOINLINE int ask(void) { struct timespec t;\n"
                            "int r = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); __asm__ volatile(\"\"); return r; }\n"
                            "int main(void) { int r = ask(); __asm__ volatile(\"\"); return r; }\n")
        self.assertEqual(len(events), 1)
        names, modules, end = events[0]
        self.assertEqual((modules[0], end), ("[vdso]", "root"))
        self.assertEqual(names[1:4], ["clock_gettime", "ask", "main"])

    def test_loader(self):
        """Calls of the dynamic loader, before there is a libc."""
        events = self.table("syscall:mmap", "int main(void) { return 0; }\n")
        self.assertGreater(len(events), 3)
        for names, modules, end in events:
            self.assertEqual(end, "root", names)
            self.assertIn("/ld-", modules[-1])

    def test_generated_code(self):
        """Code without a file and without unwind information: the frames behind it are found, and say how."""
        events = self.trace("#include <sys/mman.h>\n#include <string.h>\n"
                            "NOINLINE int behind(int (*f)(int (*)(void))) { int r = f(make); __asm__ volatile(\"\"); return r; }\n"
                            "int main(void) { static const unsigned char code[] = {0x48, 0x83, 0xec, 0x28, 0xff, 0xd7, 0x48, 0x83,\n"
                            "0xc4, 0x28, 0xc3}; void *p = mmap(NULL, 4096, 7, 0x22, -1, 0); memcpy(p, code, sizeof(code));\n"
                            "return behind(p) < 0; }\n", "-fomit-frame-pointer")
        self.assertEqual(len(events), 1)
        frames = events[0]["ustack"]
        self.assertEqual(events[0]["ustack_end"], "root")
        self.assertEqual([frame.get("name") for frame in frames[:2]], ["socketpair", "make"])
        self.assertEqual(frames[2]["kind"], "unknown")
        self.assertEqual((frames[3]["name"], frames[3]["how"]), ("behind", "scan"))
        self.assertEqual(frames[4]["name"], "main")


class Oracle(Workshop):
    """What the engine prints of a traced program is what strace -k prints of the same program."""

    def test_strace(self):
        self.need("strace")
        rille.need_trace()
        program = self.compile("pair.c", "-O2", "-fomit-frame-pointer")
        done = subprocess.run(["strace", "-k", "-f", "-e", "trace=socketpair", program], capture_output=True, text=True,
                              check=False, timeout=120)
        theirs, frames = [], None
        for line in done.stderr.splitlines():
            if "socketpair(" in line:
                frames = []
                theirs.append(frames)
            elif frames is not None and (found := re.match(r" > (\S+?)\((?:([^)+]+)\+0x([0-9a-f]+))?\) \[0x[0-9a-f]+\]", line)):
                frames.append((pathlib.Path(found[1]).name, found[2]))
            else:
                frames = None
        if not theirs or not theirs[0]:
            self.skipTest("this strace cannot print stacks")
        rille.run("run", "socketpair", "-o", f"jsonl:{self.path}/out", "--", program)
        text = (self.path / "out").read_text(encoding="utf-8")
        ours = [[(pathlib.Path(frame["module"]).name, frame.get("name")) for frame in event["ustack"]]
                for event in rille.events(text)]
        self.assertEqual(len(ours), len(theirs))

        def same(a, b):
            """strace names by .dynsym where it has no debug file, with another alias, or nothing."""
            return a[0] == b[0] and (not b[1] or not a[1] or a[1].lstrip("_") == b[1].split("@")[0].lstrip("_") or
                                     "libc" in a[0])

        for mine, other in zip(sorted(ours, key=len), sorted(theirs, key=len)):
            self.assertEqual(len(mine), len(other), (mine, other))
            self.assertTrue(all(same(a, b) for a, b in zip(mine, other)), (mine, other))


if __name__ == "__main__":
    unittest.main()
