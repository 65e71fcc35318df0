"""rille open --crac: each descriptor that the text of a CheckpointException names is found, with who made it.

There is no JDK with CRaC here; its text is made as its JVM makes it (VM_Crac::check_fds()): from /proc/PID/fd and the file's
type. The oracle is /proc, and the program, which makes what it was told to.
"""

import os
import signal
import socket
import stat
import subprocess
import unittest

import jvm
import rille

TYPES = [(stat.S_ISSOCK, "socket", "Socket"), (stat.S_ISREG, "regular", "File"), (stat.S_ISDIR, "directory", "File"),
         (stat.S_ISCHR, "character", "File"), (stat.S_ISFIFO, "fifo", "Resource")]


def line_of(pid, fd):
    link = os.readlink(f"/proc/{pid}/fd/{fd}")
    mode = os.stat(f"/proc/{pid}/fd/{fd}").st_mode
    name, kind = next(((name, kind) for test, name, kind in TYPES if test(mode)), ("unknown", "Resource"))
    port = ",port=29295" if name == "socket" else ""
    return (f"\tSuppressed: jdk.internal.crac.mirror.impl.CheckpointOpen{kind}Exception: FD fd={fd} type={name} path={link}{port}\n"
            "\t\tat java.base/jdk.internal.crac.mirror.Core.translateJVMExceptions(Core.java:116)\n")


def text_of(pid, fds):
    return "jdk.internal.crac.mirror.CheckpointException\n" + "".join(line_of(pid, fd) for fd in fds)


def answers(text):
    """[(what the text said, what it is or None)]"""
    found = []
    for record in rille.records(text):
        if rille.validator():
            rille.validator().validate(record)
        if record["type"] == "crac":
            found.append((record, None))
        elif record["type"] == "open":
            found[-1] = (found[-1][0], record)
    return found


class Crac(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        cls.addClassCleanup(cls.shop.close)
        cls.folder = cls.shop.path

    def test_one_run(self):
        """A JVM is traced from its start; the text comes while it runs; the report finds each line's creation stack."""
        jvm.need()
        home = jvm.compiler()
        subprocess.run([home / "bin" / "javac", "-d", self.folder, rille.PROGRAMS / "Origins.java"], check=True)
        text, out = self.folder / "text", self.folder / "out.jsonl"
        tracer = rille.start("open", f"--crac={text}", "-o", f"open-jsonl:{out}", "--", home / "bin" / "java", "-Xint", "-cp",
                             self.folder, "Origins", "watch", "selector", "pipe", "server", "file", "random",
                             stdin=subprocess.PIPE)
        self.assertEqual(tracer.stdout.readline(), "ready\n")
        with open(f"/proc/{tracer.pid}/task/{tracer.pid}/children", encoding="utf-8") as children:
            java = next(pid for pid in map(int, children.read().split()) if os.readlink(f"/proc/{pid}/exe").endswith("/java"))
        fds = sorted(int(fd) for fd in os.listdir(f"/proc/{java}/fd") if int(fd) > 2)
        inherited = {fd for fd in fds if not self.is_javas(java, fd)}
        text.write_text(text_of(java, fds) + "\tSuppressed: jdk.crac.impl.CheckpointOpenFileException: /etc/passwd\n")
        before = {fd: os.readlink(f"/proc/{java}/fd/{fd}") for fd in fds}
        tracer.send_signal(signal.SIGUSR1)  # while it lives: what names Java's frames is in its memory
        rille.wait_until(lambda: sum('"type":"crac"' in line for line in rille.whole_lines(out)) >= len(fds) + 1)
        _, errors = tracer.communicate("", timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        self.assertIn("no descriptor lines yet", errors)
        records = out.read_text().splitlines()
        second = next(i for i, line in enumerate(records) if '"type":"report","number":2' in line)
        at_end = answers("\n".join(records[second:]))
        found = answers("\n".join(records[:second]))
        self.assertEqual([said["verdict"] for said, _ in at_end], [said["verdict"] for said, _ in found])
        self.assertEqual([said.get("fd") for said, _ in found], [*fds, None])
        about = {}
        for said, now in found:
            self.assertEqual(said["verdict"], "open", said)
            if said.get("fd") in inherited:
                continue
            self.assertEqual(now["origin"], "known", now)
            about.setdefault(now["about"]["name"], []).append(said.get("fd", now["fd"]))
            if "fd" in said:
                self.assertEqual(now["fd"], said["fd"])
                path = now.get("path", before[now["fd"]])
                self.assertIn(before[now["fd"]], {path, f"anon_inode:{path}", f"anon_inode:[{path}]"})
        counts = {name: len(set(numbers)) for name, numbers in about.items()}
        self.assertEqual(counts, {"jdk-modules": 1, "jdk-watch-service": 3, "nio-selector": 2, "java-pipe": 2,
                                  "nio-pre-close-marker": 1, "java-listening-socket": 1, "java-file": 1,
                                  "jdk-secure-random": 2})
        self.assertIn("type: file\npath: /etc/passwd\n", found[-1][1]["about"]["crac"])

    @staticmethod
    def is_javas(pid, fd):
        """Whether the process made it: what it inherited, our own process has, too."""
        mine = {os.readlink(f"/proc/self/fd/{own}") for own in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{own}")}
        return os.readlink(f"/proc/{pid}/fd/{fd}") not in mine

    def ask(self, text, *options):
        path = self.folder / "asked"
        path.write_text(text)
        done = rille.run("open", "-p", os.getpid(), "--now", "--crac", path, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_verdicts(self):
        """The right inode, one by another number, one of another run, a number that is closed; and what is said of each."""
        one, other = socket.socketpair(socket.AF_UNIX)
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        for each in (one, other, server):
            self.addCleanup(each.close)
        inode = os.fstat(one.fileno()).st_ino
        lines = [
            line_of(os.getpid(), one.fileno()),
            f"FD fd=900 type=socket path=socket:[{inode}]\n",
            f"FD fd={one.fileno()} type=socket path=socket:[1]\n",
            "FD fd=900 type=socket path=socket:[1]\n",
            f"x.CheckpointOpenSocketException: ServerSocket[addr=0.0.0.0/0.0.0.0,localport={port}]\n",
            "x.CheckpointOpenSocketException: Socket[addr=a/10.0.0.1,port=1,localport=2]\n",
            "Suppressed: java.nio.channels.IllegalSelectorException\n",
        ]
        found = answers(self.ask("".join(lines), "--format", "jsonl"))
        self.assertEqual([said["verdict"] for said, _ in found],
                         ["open", "moved", "other", "gone", "open", "gone", "unnamed"])
        self.assertEqual([now and now["fd"] for _, now in found],
                         [one.fileno(), one.fileno(), one.fileno(), None, server.fileno(), None, None])
        text = self.ask("".join(lines))
        self.assertIn("the port 29295 in the text means nothing: a socket of AF_UNIX has none", text)
        self.assertIn(f"its number is fd {one.fileno()} now", text)
        self.assertIn(f"fd {one.fileno()} is another one now", text)
        self.assertEqual(text.count("not open: closed meanwhile, or the text is of another run"), 1)
        self.assertEqual(text.count("not open: of another process, or closed meanwhile"), 1)
        self.assertIn(f"peer socket:[{os.fstat(other.fileno()).st_ino}] = fd {other.fileno()} of", text)

    def test_of_another_process(self):
        """A socket that another process has: which one is said."""
        mine, others = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(mine.close)
        with others:
            child = subprocess.Popen(["sleep", "100"], pass_fds=[others.fileno()])
            inode, fd = os.fstat(others.fileno()).st_ino, others.fileno()
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        line = f"FD fd=900 type=socket path=socket:[{inode}]\n"
        (said, now), = answers(self.ask(line, "--format", "jsonl"))
        self.assertEqual((said["verdict"], now), ("gone", None))
        self.assertEqual(said["owner"], {"pid": child.pid, "fd": fd, "comm": said["owner"]["comm"]})
        self.assertIn(f"it is fd {fd} of ", self.ask(line))

    def test_path_tells(self):
        """What was open before tracing began is known by its path, if by nothing else."""
        with open("/dev/urandom", "rb") as file:
            _, now = answers(self.ask(line_of(os.getpid(), file.fileno()), "--format", "jsonl"))[0]
        self.assertEqual(now["about"]["name"], "jdk-secure-random")

    def test_bad_text(self):
        """No descriptor lines, no file, too long a text: an error that says so. From standard input as from a file."""
        path = self.folder / "bad"
        path.write_text("Exception in thread main\n")
        for file, tag in ((path, "no-descriptors"), (self.folder / "none", "cannot-read"), ("-", "no-descriptors")):
            done = rille.run("open", "-p", os.getpid(), "--now", "--crac", file, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"[{tag}]", done.stderr)
        with open("/dev/zero", "rb") as zeros:
            done = rille.run("open", "-p", os.getpid(), "--now", "--crac", "-", stdin=zeros)
        self.assertIn("[text-too-big]", done.stderr)


if __name__ == "__main__":
    unittest.main()
