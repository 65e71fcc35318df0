"""What the library leaves behind in a host, and what a host can see of it: nothing. tests/programs/cycle.c makes, uses and
frees engines again and again while valgrind, the sanitizers and strace look on."""

import os
import pathlib
import re
import shutil
import unittest

from cycle import LONG, HostTest, host_flags

# What valgrind has wrong about bpf(2): which parts of its attributes a command reads.
NOT_READ = ("expected_attach_type", "prog_ifindex", "flags", "key", "value", "next_key", "map_ifindex", "prog_flags",
            "btf_fd", "map_extra", "log_true_size", "info")


class Manners(HostTest):
    def test_hundred_rounds(self):
        """A hundred engines later the host has the descriptors, threads, children and memory that it had before."""
        for what, rounds in (("probe", 100), ("script", 100), (self.object, 100 if LONG else 20)):
            with self.subTest(what=what):
                output = self.run_host(self.cycle, what, rounds, LD_PRELOAD=str(self.failing))
                self.assertEqual(output.rounds, ["fine"] * (rounds + 1), output.text)
                self.assert_left_nothing(output)
                grown = output.states["after"]["kilobytes"] - output.states["middle"]["kilobytes"]
                self.assertLess(grown, 512, output.text)

    def test_valgrind(self):
        """valgrind finds no error, and nothing that is left."""
        if not shutil.which("valgrind"):
            self.skipTest("no valgrind")
        suppressions = self.path / "bpf.supp"
        known = "".join(f"{{\n  bpf\n  Memcheck:Param\n  bpf(attr->{name})\n  fun:syscall\n}}\n" for name in NOT_READ)
        suppressions.write_text(known, encoding="utf-8")
        rounds = 100 if LONG else 10
        for what in ("probe", "script"):
            with self.subTest(what=what):
                output = self.run_host("valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
                                       "--errors-for-leak-kinds=all", f"--suppressions={suppressions}", self.cycle, what, rounds)
                self.assertEqual(output.rounds, ["fine"] * (rounds + 1), output.text)

    def test_sanitizers(self):
        """The address, leak and undefined behaviour sanitizers are silent through a hundred rounds."""
        build = os.environ.get("RILLE_SANITIZED")
        library = pathlib.Path(build or "/") / "engine" / "librille.so"
        if not build or not library.exists():
            self.skipTest("no build with sanitizers")
        host = self.compile("cycle-asan", "cycle.c", "-fsanitize=address,undefined", *host_flags(library))
        for what in ("probe", "script") if LONG else ("script",):
            with self.subTest(what=what):
                output = self.run_host(host, what, 100, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1")
                self.assertEqual(output.rounds, ["fine"] * 101, output.text)
                self.assert_left_nothing(output)

    def test_what_it_does_to_the_process(self):
        """strace sees none of the calls that rille.h says the library does not make; every descriptor is close-on-exec."""
        if not shutil.which("strace"):
            self.skipTest("no strace")
        for what in ("cold", "script"):
            log = self.path / "manners"
            self.run_host("strace", "-o", log, self.cycle, what, 2)
            text = log.read_text(encoding="utf-8", errors="replace")
            text = text[text.index("close(-1001)"):]
            changes = r"^(?:chdir|fchdir|chroot|pivot_root|umask|rt_sigaction|sigaltstack|setrlimit|setpriority|setuid" \
                      r"|setgid|setresuid|capset|unshare|setns|mount|umount2|personality|setsid|prctl\(PR_SET_\w+|kill" \
                      r"|tkill|tgkill)\("
            self.assertEqual(re.findall(changes, text, re.MULTILINE), [])
            self.assertEqual(re.findall(r"^prlimit64\((?!.*, NULL, )", text, re.MULTILINE), [])
            # What makes descriptors says so there and then; those of bpf(2) and pidfd_open(2) always are.
            makers = r"^(?:openat|openat2|open|socket|socketpair|pipe2?|epoll_create1?|eventfd2?|timerfd_create" \
                     r"|memfd_create|perf_event_open|dup[23]?|fsopen|fsmount)\(.*$"
            open_after_exec = [line for line in re.findall(makers, text, re.MULTILINE)
                               if "CLOEXEC" not in line and " = -1 " not in line]
            self.assertEqual(open_after_exec, [])
            # The host writes to descriptor 1; nobody to 2.
            self.assertEqual(re.findall(r"^write\(2, ", text, re.MULTILINE), [])
            written = re.findall(r'^write\(1, "(\w+)', text, re.MULTILINE)
            self.assertLessEqual(set(written), {"round", "first", "before", "middle", "after"})


if __name__ == "__main__":
    unittest.main()
