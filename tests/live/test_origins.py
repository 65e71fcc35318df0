"""rille.origin(): what stacks of real JVMs are about, and that the advice it gives does what it says.

The program (Origins.java) makes descriptors in known ways, so each call's origin is known beforehand. That an advice helps is seen
in /proc/PID/fd, and in a trace with the advice followed, where that origin must not be found any more.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import unittest

import jvm
import rille

SCRIPT = """
local function tell(ev, out)
  local path = ev.probe == "syscall:openat" and ev.path or nil
  local origin = rille.origin(ev.ustack, path)
  out:row {
    { "call", ev.probe }, { "path", path or false },
    { "origin", origin and origin.name or false }, { "by", origin and origin.by and origin.by.name or false },
  }
end
local probes = { { "syscall:openat", where = "ret >= 0", fields = { "path = fd_path(ret)" }, stack = "user", on_event = tell } }
for _, name in ipairs { "socket", "socketpair", "epoll_create1", "eventfd2", "inotify_init*", "pipe2", "accept*" } do
  probes[#probes + 1] = { "syscall:" .. name, where = "ret >= 0", stack = "user", on_event = tell }
end
return { probes = probes }
"""

# What each word of Origins makes: (call, origin).
MADE = {
    "selector": {("epoll_create1", "nio-selector"), ("eventfd2", "nio-selector")},
    "watch": {("inotify_init", "jdk-watch-service"), ("socketpair", "jdk-watch-service")},
    "pipe": {("pipe2", "java-pipe"), ("socketpair", "nio-pre-close-marker")},
    "server": {("socket", "java-listening-socket")},
    "socket": {("socket", "java-listening-socket"), ("socket", "java-socket")},
    "datagram": {("socket", "java-datagram-socket")},
    "random": {("openat", "jdk-secure-random")},
    "resolve": {("socket", "glibc-name-service-hosts")},
    "file": {("openat", "java-file")},
    "channel": {("openat", "java-file")},
    "directory": {("openat", "java-directory")},
    "processors": {("openat", "jvm-cgroup")},
    "jar": {("openat", "class-path")},
    "process": {("pipe2", "jdk-process")},
}
LIBRARY = """#include <fcntl.h>
#include <jni.h>
JNIEXPORT jint JNICALL Java_Origins_open(JNIEnv *env, jclass class, jstring path)
{
	const char *text = (*env)->GetStringUTFChars(env, path, NULL);
	int fd = open(text, O_RDONLY);
	(*env)->ReleaseStringUTFChars(env, path, text);
	return fd;
}
"""
# A module for nsswitch.conf as a domain daemon brings one: it keeps its connection to the daemon.
NAME_SERVICE = """#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
enum nss_status _nss_rilletest_getpwuid_r(uid_t uid, struct passwd *pw, char *room, size_t len, int *err)
{
	static int fd = -1;
	struct sockaddr_un address = {AF_UNIX, DAEMON};
	if (fd < 0 && (fd = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0)
		connect(fd, (struct sockaddr *)&address, sizeof(address));
	snprintf(room, len, "someone");
	*pw = (struct passwd){room, "", uid, uid, "", "/tmp", "/bin/sh"};
	return NSS_STATUS_SUCCESS;
}
"""


class Origins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        jvm.need()
        cls.shop = rille.Workshop()
        cls.addClassCleanup(cls.shop.close)
        cls.folder = cls.shop.path
        home = jvm.compiler()
        subprocess.run([home / "bin" / "javac", "-d", cls.folder, rille.PROGRAMS / "Origins.java"], check=True)
        cls.script = cls.folder / "origins.lua"
        cls.script.write_text(SCRIPT)
        cls.homes = sorted({major: path for major, path in jvm.jdks().items() if major >= 17}.items())
        if not cls.homes:
            raise unittest.SkipTest("no JDK of version 17 or later is installed")
        cls.library = cls.compile("own", LIBRARY, f"-I{home}/include", f"-I{home}/include/linux")

    @classmethod
    def compile(cls, name, text, *flags):
        source, target = cls.folder / f"{name}.c", cls.folder / f"lib{name}.so"
        source.write_text(text)
        subprocess.run([shutil.which("gcc") or "cc", "-shared", "-fPIC", *flags, "-o", target, source], check=True)
        return target

    def java(self, home, *args):
        return [str(home / "bin" / "java"), "-Xint", *[arg for arg in args if arg.startswith("-")], "-cp", str(self.folder),
                "Origins", *[arg for arg in args if not arg.startswith("-")]]

    def environment(self):
        return os.environ | {"ORIGINS_LIBRARY": str(self.library)}

    def run_until(self, sign, out, *args):
        """Runs rille on a program that waits for its input's end, which comes once the file `out` has the text `sign`: what names
        Java's frames is in the memory of a process that lives."""
        out.write_text("")
        tracer = rille.start(*args, stdin=subprocess.PIPE, env=self.environment())
        deadline = time.monotonic() + 60
        while sign not in out.read_text() and tracer.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        _, errors = tracer.communicate("", timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        self.assertIn(sign, out.read_text())

    def trace(self, home, *args, sign):
        """(call, origin, by, path) of each descriptor that was made."""
        out = self.folder / "out.jsonl"
        self.run_until(sign, out, "run", self.script, "-o", f"jsonl:{out}", "--", *self.java(home, *args))
        records = [json.loads(line) for line in out.read_text().splitlines()]
        self.assertEqual(sum(probe["lost_ring"] + probe["lost_entry"] for probe in records[-1]["probes"]), 0)
        rows = [record for record in records if record["type"] == "row"]
        return [(row["call"].removeprefix("syscall:"), row["origin"], row["by"], row["path"]) for row in rows]

    def test_names(self):
        """Each descriptor's origin is what the program made, and the frame that is blamed is the program's."""
        for major, home in self.homes:
            with self.subTest(jdk=major):
                found = self.trace(home, *MADE, "jni", sign='"origin":"jni-library"')
                for word, expected in MADE.items():
                    got = {(call.replace("inotify_init1", "inotify_init"), origin) for call, origin, by, _ in found
                           if by and by.startswith("Origins." + word)}
                    self.assertLessEqual(expected, got, f"{word} of JDK {major}")
                self.assertIn(("openat", "jni-library", "Origins.open", "/etc/hostname"), found)
                start = {origin for _, origin, by, _ in found if not by}
                self.assertLessEqual({"glibc-name-service-jvm-start", "jvm-perf-data", "jdk-modules"}, start)
                # All sockets, pairs and the like are known, whoever made them.
                self.assertEqual([row for row in found if not row[1] and row[0] != "openat"], [])

    def test_outputs(self):
        """`--origins` tells the same below stacks, in text and in JSON lines, and the script's own entries come first."""
        _, home = self.homes[-1]
        script = self.folder / "own.lua"
        script.write_text("""table.insert(rille.origins, 1, { name = "mine", about = "my pair", match = { "socketpair" } })
            return { probes = { { "syscall:socket*", where = "ret >= 0", stack = "user" } } }""")
        text, lines = self.folder / "own.txt", self.folder / "own.jsonl"
        self.run_until('"name":"mine"', lines, "run", script, "--origins", "-o", f"text:{text}", "-o", f"jsonl:{lines}", "--",
                       *self.java(home, "watch"))
        events = [event for event in rille.records(lines.read_text()) if event["type"] == "event"]
        checker = rille.validator()
        for event in events:
            if checker:
                checker.validate(event)
        names = [event.get("about", {}).get("name") for event in events]
        self.assertEqual(names.count("mine"), 1)
        self.assertIn("glibc-name-service-jvm-start", names)
        self.assertIn("; for Origins.watch (Origins.java:", text.read_text())
        self.assertEqual(text.read_text().count("  about: "), sum(name is not None for name in names))
        script.write_text("rille.origins[1] = { name = 1 } return { probes = { { 'syscall:bind' } } }")
        done = rille.run("check", script)
        self.assertEqual(done.returncode, 2)
        self.assertIn("rille.origins[1]: name is a string, not a number", done.stderr)
        script.write_text("rille.origins[1] = { name = 'a', abut = 'b' } return { probes = { { 'syscall:bind' } } }")
        self.assertIn("rille.origins[1] has no 'abut'; did you mean 'about'?", rille.run("check", script).stderr)

    def test_options(self):
        """With the option that is advised, nothing of that origin is opened any more."""
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 other\n")
        for major, home in self.homes:
            with self.subTest(jdk=major):
                found = {origin for _, origin, _, _ in self.trace(home, "-XX:-UsePerfData", "-XX:-UseContainerSupport",
                    f"-Djdk.net.hosts.file={hosts}", "-Xshare:off", "resolve", "file", sign='"by":"Origins.file"')}
                self.assertIn("jdk-modules", found)  # it was traced at all
                self.assertFalse(found & {"jvm-perf-data", "jvm-cgroup", "glibc-resolver", "glibc-name-service-hosts",
                                          "jvm-class-data"})

    def descriptors(self, home, *args):
        """The links of /proc/PID/fd once the program is ready, without the first three, and with the words' own."""
        process = subprocess.Popen(self.java(home, *args), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=self.environment())
        try:
            self.assertEqual(process.stdout.readline(), "ready\n")
            return sorted(os.readlink(f"/proc/{process.pid}/fd/{fd}").split("[")[0] + self.name_of(process.pid, fd)
                          for fd in os.listdir(f"/proc/{process.pid}/fd") if int(fd) > 2)
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait()

    @staticmethod
    def name_of(pid, fd):
        link = os.readlink(f"/proc/{pid}/fd/{fd}")
        return "[" + link.split("[")[1] if link.startswith("anon_inode:[") else ""

    def test_closing(self):
        """Closing what the advice says to close gives the descriptors back; what it says will stay, stays."""
        for major, home in self.homes:
            with self.subTest(jdk=major):
                base = self.descriptors(home)
                words = ["watch", "directory", "process", "file"]
                self.assertGreater(len(self.descriptors(home, *words)), len(base) + 6)
                self.assertEqual(self.descriptors(home, *words, "close"), base)
                marker = self.descriptors(home, "selector", "pipe", "server", "socket", "datagram", "close")
                self.assertEqual(marker, sorted([*base, "socket:"]))
                self.assertEqual(self.descriptors(home, "inherit", "close"), base)
                # SecureRandom's files have no close, and another algorithm opens the same.
                for word in ("random", "drbg"):
                    self.assertEqual(self.descriptors(home, word), sorted([*base, "/dev/random", "/dev/urandom"]))

    def test_attach(self):
        """The attach listener's socket is there once a tool has attached, and is refused with the option."""
        major, home = self.homes[0]
        jcmd = home / "bin" / "jcmd"
        if not jcmd.exists():
            self.skipTest(f"JDK {major} has no jcmd")
        for options, expected in (((), 1), (("-XX:+DisableAttachMechanism",), 0)):
            process = subprocess.Popen(self.java(home, *options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                process.stdout.readline()
                done = subprocess.run([jcmd, str(process.pid), "VM.version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    timeout=60, check=False)
                self.assertEqual(done.returncode == 0, not options, done.stdout)
                with open("/proc/net/unix", encoding="utf-8") as lines:
                    self.assertEqual(sum(f".java_pid{process.pid}" in line for line in lines), expected)
            finally:
                process.stdin.close()
                process.stdout.close()
                process.wait()

    def test_recordings(self):
        """A log and a flight recording are known as such, and closed by the commands that are advised."""
        _, home = self.homes[-1]
        jcmd = home / "bin" / "jcmd"
        if not jcmd.exists():
            self.skipTest("the JDK has no jcmd")
        log = self.folder / "gc.log"
        out = self.folder / "recording.jsonl"
        options = [f"-Xlog:gc:file={log}", "-XX:StartFlightRecording:dumponexit=false"]
        tracer = rille.start("run", self.script, "-o", f"jsonl:{out}", "--", *self.java(home, *options),
                             stdin=subprocess.PIPE)
        while (line := tracer.stdout.readline()) != "ready\n":
            self.assertTrue(line, tracer.poll())
        with open(f"/proc/{tracer.pid}/task/{tracer.pid}/children", encoding="utf-8") as children:
            java = next(pid for pid in children.read().split() if os.readlink(f"/proc/{pid}/exe").endswith("/java"))
        for command, path in (("VM.log disable", str(log)), ("JFR.stop name=1", ".jfr")):
            self.assertTrue(any(path in link for link in self.links(java)), path)
            subprocess.run([jcmd, java, *command.split()], stdout=subprocess.DEVNULL, check=True, timeout=60)
            deadline = time.monotonic() + 60  # the recorder is a thread of its own
            while any(path in link for link in self.links(java)):
                self.assertLess(time.monotonic(), deadline, path)
                time.sleep(0.02)
        _, errors = tracer.communicate("", timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        rows = [record for record in rille.records(out.read_text()) if record["type"] == "row"]
        self.assertIn((str(log), "jvm-log"), {(row["path"], row["origin"]) for row in rows})
        self.assertIn("jdk-flight-recorder", {row["origin"] for row in rows if row["path"] and row["path"].endswith(".jfr")})
        self.assertIn("jvm-attach-listener", {row["origin"] for row in rows if row["call"] == "syscall:socket"})

    @staticmethod
    def links(pid):
        links = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:  # closed meanwhile
                pass
        return links

    def test_node(self):
        """Node.js' event loops are known, and a Worker's goes with it."""
        node = shutil.which("node")
        if not node:
            self.skipTest("Node.js is not installed")
        program, out = self.folder / "worker.js", self.folder / "node.jsonl"
        program.write_text("""const { Worker } = require('worker_threads'), fs = require('fs');
            const link = (fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } };
            const count = () => fs.readdirSync('/proc/self/fd').filter((fd) => link(fd).includes('event')).length;
            const before = count(), worker = new Worker('setInterval(() => 0, 1000)', { eval: true });
            worker.on('online', async () => { const during = count(); await worker.terminate();
              console.log(JSON.stringify([before, during, count()])); });""")
        done = rille.run("run", self.script, "-o", f"jsonl:{out}", "--", node, program)
        self.assertEqual(done.returncode, 0, done.stderr)
        before, during, after = json.loads(done.stdout)
        self.assertGreater(during, before)
        self.assertEqual(after, before)
        rows = [record for record in rille.records(out.read_text()) if record["type"] == "row"]
        made = [(row["call"], row["origin"]) for row in rows if row["call"] in ("syscall:epoll_create1", "syscall:eventfd2")]
        self.assertGreaterEqual(made.count(("syscall:epoll_create1", "libuv-loop")), 4)
        self.assertEqual({origin for _, origin in made}, {"libuv-loop"})

    def test_name_service(self):
        """A daemon's module keeps a socket of the JVM's start open, whatever the JVM's options; `files` first avoids it."""
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
            self.skipTest("no mount namespace for another nsswitch.conf")
        path = self.folder / "daemon"
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(path))
        server.listen(8)
        module = self.compile("nss_rilletest", NAME_SERVICE, f'-DDAEMON="{path}"')
        module.rename(module.with_name("libnss_rilletest.so.2"))
        _, home = self.homes[-1]
        for order, options, expected in (("rilletest", ["-XX:-UsePerfData", "-Duser.name=x"], 1), ("files rilletest", [], 0)):
            switch = self.folder / "nsswitch.conf"
            switch.write_text(f"passwd: {order}\nhosts: files\n")
            command = " ".join(self.java(home, *options))
            process = subprocess.Popen(["unshare", "-m", "sh", "-c", f"mount --bind {switch} /etc/nsswitch.conf && "
                f"exec env LD_LIBRARY_PATH={self.folder} {command}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                self.assertEqual(process.stdout.readline(), "ready\n")
                links = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
                self.assertEqual(sum(link.startswith("socket:") for link in links), expected, order)
            finally:
                process.stdin.close()
                process.stdout.close()
                process.wait()


if __name__ == "__main__":
    unittest.main()
