"""The hosts under docs/examples trace a command from loops of their own.

Invariant: each prints the two descriptors, the two inodes and the whole stack of each socket pair that its command makes. The oracle
is the command, which says itself what it got (fstat() and /proc/self/fd), and its source for the stack.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import hosts
import rille

STACK = ["socketpair", "leaf", "mid", "main"]
JAVA_STACK = ["LinuxWatchService.<init>", "LinuxFileSystem.newWatchService", "Hold.watch", "Hold.main"]
# It waits until its stack has been told: names of interpreted frames are in the memory of the process alone.
HOLD = """
import java.nio.file.*;
public class Hold {
  static void watch() throws Exception { FileSystems.getDefault().newWatchService(); }
  public static void main(String[] args) throws Exception {
    watch();
    while (!Files.exists(Path.of(args[0]))) Thread.sleep(10);
  }
}
"""


def llvm_config():
    """One that comes with the shared library; the build links LLVM statically."""
    versions = sorted(pathlib.Path("/usr/bin").glob("llvm-config-*"), reverse=True)
    for tool in [*versions, pathlib.Path("/usr/bin/llvm-config")]:
        done = subprocess.run([tool, "--cflags", "--ldflags", "--libs", "core", "executionengine", "mcjit", "native"],
                              capture_output=True, text=True, check=False) if tool.exists() else None
        if done and done.returncode == 0:
            # Its definitions are for building LLVM itself.
            return [word for word in done.stdout.split() if not word.startswith("-D")]
    return None


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        if not (hosts.LIBRARY / "librille.so").exists():
            raise unittest.SkipTest("librille.so is not in the build folder")
        cls.shop = rille.Workshop()
        cls.pair = cls.shop.compile("pair.c", "-O1", "-g")
        cls.say = hosts.Pair(cls.pair, cls.shop.path)

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def compile(self, name, *options):
        return hosts.compile_host(hosts.EXAMPLES / f"{name}.c", self.shop.path / name, *options)

    def check_pair(self, events):
        self.assertEqual([numbers for numbers, _ in events], self.say.said())
        self.assertEqual(len(events), 2)
        for _, names in events:
            self.assertEqual(names[:4], STACK)
            self.assertEqual(names[-1], "_start")


class Hosts(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.java = None
        if shutil.which("javac") and shutil.which("java"):
            (cls.shop.path / "Hold.java").write_text(HOLD, encoding="utf-8")
            subprocess.run(["javac", "-d", cls.shop.path, cls.shop.path / "Hold.java"], check=True)
            cls.java = ["java", "-cp", cls.shop.path, "Hold"]

    def check_java(self, host, lua):
        """The host tells the stack of a Java program line by line; then the program is let go."""
        told = self.shop.path / "told"
        told.unlink(missing_ok=True)
        env = hosts.environment(lua) | {"PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen([str(part) for part in ["stdbuf", "-oL", *host, *self.java, told]], env=env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Hold.main" in line:
                told.touch()
        err = process.communicate()[1]
        watchdog.cancel()
        self.assertEqual(process.returncode, 0, err)
        stacks = [[".".join((name or "").rsplit(".", 2)[-2:]) for name in names] for _, names in hosts.pairs("".join(lines))]
        self.assertIn(JAVA_STACK, [[name for name in names if name in JAVA_STACK] for names in stacks])

    def check_host(self, *host, lua=None):
        """The command is a small C program, then a Java program."""
        done = hosts.run(*host, self.say.command, lua=lua)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.check_pair(hosts.pairs(done.stdout))
        if self.java:
            self.check_java(host, lua)

    def test_c(self):
        self.check_host(self.compile("host"))

    def test_c_is_short(self):
        """The first program that people see shows the whole life of a handle, in thirty lines or so."""
        text = (hosts.EXAMPLES / "host.c").read_text(encoding="utf-8")
        main = text[text.index("int main"):]
        self.assertLessEqual(len(main.splitlines()), 32)

    def test_probes(self):
        """Declared from C, without a script."""
        self.check_host(self.compile("probes"))

    def test_python(self):
        self.check_host(sys.executable, hosts.EXAMPLES / "ctypes_host.py")

    def check_lua(self, lua, script, *modules):
        reason = hosts.why_not_lua(lua, *modules)
        if reason:
            self.skipTest(reason)
        self.check_host(lua, hosts.EXAMPLES / script, lua=lua)

    def test_luv(self):
        self.check_lua("lua5.4", "luv.lua", "luv")

    def test_luv_in_luajit(self):
        self.check_lua("luajit", "luv.lua", "luv")

    def test_luajit(self):
        self.check_lua("luajit", "luajit.lua")

    def check_embedded(self, version, package):
        lua, llvm = hosts.flags(package), llvm_config()
        if lua is None:
            self.skipTest(f"{package}'s headers are not installed")
        if llvm is None:
            self.skipTest("no LLVM with a shared library is installed")
        host = self.compile("embedded", "-rdynamic", *lua, *llvm)
        done = hosts.run(host, self.say.command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_pair([event for event in hosts.pairs(done.stdout) if event[1]])
        self.assertIn(f"the host's {version} counted 2 events; 6 * 7 = 42", done.stdout)
        self.assertEqual(len(re.findall(r"^Lua 5\.4\t", done.stdout, re.MULTILINE)), 2, done.stdout)

    def test_other_lua_and_llvm(self):
        """A host that exports LuaJIT's functions, which have the names of ours, and uses LLVM's in its own process."""
        self.check_embedded("Lua 5.1", "luajit")

    def test_older_lua_and_llvm(self):
        self.check_embedded("Lua 5.3", "lua5.3")


class Metrics(Case):
    """The OpenMetrics daemon."""

    def get(self, address):
        """Without a proxy, whatever the environment says."""
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=60)

    def start(self, *command):
        library = hosts.flags("libmicrohttpd")
        if library is None:
            self.skipTest("libmicrohttpd's headers are not installed")
        daemon = self.compile("metrics", *library)
        output = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.addCleanup(output.close)
        process = subprocess.Popen([daemon, "0", *command], stdin=subprocess.DEVNULL, stdout=output,
                                   env=hosts.environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, output

    def wait_for(self, process, output, what):
        """The output, once `what` is in it."""
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            output.seek(0)
            text = output.read()
            if re.search(what, text):
                return text
            time.sleep(0.02)
        raise AssertionError(f"{what} did not come: {text}")

    def counters(self, text):
        """{(comm, call, site): sockets}, as Prometheus' own parser reads it."""
        try:
            from prometheus_client.openmetrics import parser  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skipTest("prometheus_client is not installed")
        families = {family.name: family for family in parser.text_string_to_metric_families(text)}
        self.assertEqual({family.type for family in families.values()}, {"counter"})
        lost = sum(sample.value for sample in families["rille_events_lost"].samples)
        self.assertEqual(lost, 0)
        sums = {}
        for sample in families["rille_sockets_opened"].samples:
            key = (sample.labels["comm"], sample.labels["call"], sample.labels["site"].split("+")[0])
            sums[key] = sums.get(key, 0) + sample.value
        return sums

    def test_metrics(self):
        """The counts are what the program did, and the events are printed; SIGTERM ends the daemon."""
        process, output = self.start(self.say.command)
        address = re.search(r"http://\S+", self.wait_for(process, output, r"http://\S+\n")).group()
        self.wait_for(process, output, r"SOCK_DGRAM|(?s:_start.*_start)")
        with self.get(address) as answer:
            self.assertIn("application/openmetrics-text", answer.headers["Content-Type"])
            text = answer.read().decode()
        self.assertEqual(self.counters(text), {("pair", "socketpair", "leaf"): 4, ("other", "other", "other"): 0})
        with self.assertRaises(urllib.error.HTTPError) as failure:
            self.get(address.replace("metrics", "passwd"))
        self.assertEqual(failure.exception.code, 404)
        failure.exception.close()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 0)
        output.seek(0)
        self.check_pair(hosts.pairs(output.read()))

    def test_names_are_escaped(self):
        """A program whose name has quotes, backslashes and line ends cannot add lines of its own."""
        evil = self.shop.path / 'a"\\\nb 1'
        shutil.copy(self.pair, evil)
        process, output = self.start(evil)
        address = re.search(r"http://\S+", self.wait_for(process, output, r"http://\S+\n")).group()
        self.wait_for(process, output, r"(?s:_start.*_start)")
        with self.get(address) as answer:
            text = answer.read().decode()
        self.assertEqual(self.counters(text)[('a"\\\nb 1', "socketpair", "leaf")], 4)
        os.kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 0)


if __name__ == "__main__":
    unittest.main()
