"""What a normal user needs to trace, capability by capability.

Invariant: docs/embedding.md has a table of what each capability is for. A host that has exactly those of a row, and nothing else of
root's, does what the row says; without one of them it does not, and what it says names the one that is missing. setpriv drops
all others from every set, the bounding set too; that this worked is read from /proc.
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

import hosts
import rille

USER = 65534
OTHER = 4242
TRACE = ("bpf", "perfmon")


class Capabilities(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        if not shutil.which("setpriv"):
            raise unittest.SkipTest("setpriv is not installed")
        # Where a normal user gets at everything: copies of the programs, and a cache of its own.
        cls.shop = rille.Workshop()
        cls.pair = cls.shop.compile("pair.c", "-O1", "-g")
        cls.say = hosts.Pair(cls.pair, cls.shop.path)
        for name in (rille.RILLE, hosts.compiler_path(), hosts.LIBRARY / "librille.so.0"):
            shutil.copy(name, cls.shop.path)
        cls.host = hosts.compile_host(hosts.EXAMPLES / "host.c", cls.shop.path / "host")
        cls.rille = cls.shop.path / "rille"
        cls.cache = cls.shop.path / "cache"
        cls.cache.mkdir()
        os.chown(cls.cache, USER, USER)

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def environment(self):
        return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(self.shop.path), "HOME": "/nonexistent",
                "RILLE_CC": str(self.shop.path / "rille-cc"), "RILLE_CACHE_DIR": str(self.cache),
                "XDG_CACHE_HOME": str(self.cache)}

    def run_with(self, capabilities, *command, uid=USER):
        """As a normal user with these capabilities alone."""
        wanted = ",".join(["-all", *(f"+{name}" for name in capabilities)])
        return hosts.run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", f"--inh-caps={wanted}",
                         f"--ambient-caps={wanted}", f"--bounding-set={wanted}", *command, env=self.environment(),
                         cwd=self.shop.path)

    def test_setpriv(self):
        """The oracle's oracle: the kernel says that the process has these and no others."""
        bits = 0
        header = subprocess.run(["setpriv", "--list-caps"], capture_output=True, text=True, check=True).stdout.split()
        for name in TRACE:
            bits |= 1 << header.index(name)
        done = self.run_with(TRACE, "cat", "/proc/self/status")
        for kind in ("CapEff", "CapBnd", "CapPrm"):
            self.assertEqual(int(re.search(rf"{kind}:\s*(\w+)", done.stdout).group(1), 16), bits, kind)

    def test_enough(self):
        """CAP_BPF and CAP_PERFMON trace the user's own programs, with whole stacks, also where the object has to be compiled."""
        done = self.run_with(TRACE, self.host, self.say.command)
        self.assertEqual(done.returncode, 0, done.stderr)
        events = hosts.pairs(done.stdout)
        self.assertEqual([numbers for numbers, _ in events], self.say.said())
        self.assertEqual({names[-1] for _, names in events}, {"_start"})

    def test_each_is_needed(self):
        """Without one of them a host is refused, and told which."""
        for missing, has in (("CAP_BPF", ["perfmon"]), ("CAP_PERFMON", ["bpf"])):
            done = self.run_with(has, self.host, self.say.command)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{missing} is missing", done.stderr)
            self.assertIn("[no-permission]", done.stderr)
        done = self.run_with([], self.host, self.say.command)
        self.assertIn("CAP_BPF and CAP_PERFMON are missing", done.stderr)
        done = self.run_with(["sys_admin"], self.host, self.say.command)
        self.assertEqual(done.returncode, 0, done.stderr)  # what it was called before Linux 5.8

    def test_no_privileges_needed(self):
        """Checking and emitting system calls' probes is for everyone."""
        done = self.run_with([], self.rille, "check", "-e", "{ 'syscall:bind', fields = { 'fd', 'family = fd_family(fd)' } }")
        self.assertEqual(done.returncode, 0, done.stderr)

    def java(self):
        if not shutil.which("javac") or not shutil.which("java"):
            self.skipTest("no JDK is installed")
        source = self.shop.path / "Loop.java"
        source.write_text("import java.net.*;\npublic class Loop {\n"
                          "  static void make() throws Exception { try (ServerSocket s = new ServerSocket(0)) { } }\n"
                          "  public static void main(String[] a) throws Exception {\n"
                          "    for (;;) { make(); System.out.println(); Thread.sleep(50); } } }\n", encoding="utf-8")
        subprocess.run(["javac", "-d", self.shop.path, source], check=True)
        process = subprocess.Popen(["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "java", "-cp",
                                    self.shop.path, "Loop"], stdout=subprocess.PIPE, cwd="/")
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.stdout.readline()
        return process

    def test_other_users(self):
        """Java stacks of another user's process need CAP_SYS_PTRACE; without it the trace runs and says so."""
        java = self.java()
        command = [self.rille, "-e", "{ 'syscall:bind', stack = 'user' }", "--limit", "1", "-p", java.pid]
        done = self.run_with(TRACE, *command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("CAP_SYS_PTRACE", done.stderr)
        self.assertNotIn("Loop.make", done.stdout)
        done = self.run_with([*TRACE, "sys_ptrace"], *command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("warning", done.stderr)
        self.assertIn("Loop.make(Loop.java:3)", done.stdout)
        self.assertNotIn("stack ends", done.stdout)

    def test_unreadable_program(self):
        """Names from a program that the user may not read need CAP_DAC_READ_SEARCH."""
        secret = self.shop.path / "secret"
        shutil.copy(self.pair, secret)
        secret.chmod(0o711)
        done = self.run_with(TRACE, self.host, secret)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn('"leaf"', done.stdout)
        done = self.run_with([*TRACE, "sys_ptrace", "dac_read_search"], self.host, secret)
        self.assertEqual([names[:4] for _, names in hosts.pairs(done.stdout)], [["socketpair", "leaf", "mid", "main"]] * 2)

    def test_tracepoints(self):
        """Tracepoints are looked up in tracefs: CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH where it is not mounted, or root's alone."""
        command = [self.rille, "-e", "{ 'tracepoint:sched:sched_process_exec', fields = { 'filename' } }", "--limit", "1",
                   "--", "/bin/true"]
        done = self.run_with(TRACE, *command)
        if done.returncode == 0:
            self.skipTest("everyone may read tracefs here")
        self.assertEqual(done.returncode, 3)
        self.assertIn("CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH", done.stderr)
        done = self.run_with(["sys_admin", "dac_read_search"], *command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('filename="/bin/true"', done.stdout)

    def test_kernel_names(self):
        """Names of kernel functions need CAP_SYSLOG where /proc/kallsyms hides its addresses."""
        command = [self.rille, "-e", "{ 'syscall:socketpair', stack = 'kernel' }", "--limit", "1", "--", self.pair]
        done = self.run_with([*TRACE, "syslog"], *command)
        self.assertEqual(done.returncode, 0, done.stderr)
        if pathlib.Path("/proc/sys/kernel/kptr_restrict").read_text(encoding="utf-8").strip() == "2":
            self.skipTest("kernel.kptr_restrict is 2: nobody sees addresses")
        self.assertRegex(done.stdout, r"\n    \w+\+0x")
        zeros = self.run_with(TRACE, "grep", "-c", "-v", "^0000000000000000", "/proc/kallsyms")
        done = self.run_with(TRACE, *command)
        self.assertEqual(done.returncode, 0, done.stderr)
        if zeros.stdout.strip() == "0":
            self.assertRegex(done.stdout, r"\n    0x[0-9a-f]{16} \[kernel\]")

    def test_doctor(self):
        """The doctor says what a row of the table lacks."""
        for has, wanted in ((["perfmon"], "CAP_BPF"), (["bpf"], "CAP_PERFMON"), (TRACE, "CAP_SYS_PTRACE")):
            said = self.run_with(has, self.rille, "doctor").stdout
            line = next(line for line in said.splitlines() if "privileges" in line)
            self.assertIn(wanted, line)

    def test_file_capabilities(self):
        """A host that got its capabilities with setcap works for a normal user."""
        if not shutil.which("setcap"):
            self.skipTest("setcap is not installed")
        # It is beside its rille-cc, and its library is named in it: the environment does not count for such a program.
        host = hosts.compile_host(hosts.EXAMPLES / "host.c", self.shop.path / "capable", f"-Wl,-rpath,{self.shop.path}")
        done = subprocess.run(["setcap", "cap_bpf,cap_perfmon=ep", host], capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest(f"this file system has no file capabilities: {done.stderr.strip()}")
        done = hosts.run("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all",
                         host, self.say.command, env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([numbers for numbers, _ in hosts.pairs(done.stdout)], self.say.said())


if __name__ == "__main__":
    unittest.main()
