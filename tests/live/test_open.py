"""rille open: what is open, and who made it.

Invariants: the list is what /proc/PID/fd shows, no more and no less; each descriptor has the stack of the function that
made it, which the program itself names; nothing is shown as known that is not. Peers are those that ss and lsof show.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import jvm
import rille


def open_now(pid):
    """{descriptor: link} by /proc."""
    return {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}


def link_of(record):
    if record["kind"] in ("socket", "pipe"):
        return f"{record['kind']}:[{record['inode']}]"
    return record["path"]


class Reports:
    """What open-jsonl wrote: reports, each with its descriptors and its creation points."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.reports, self.open, self.sites, self.records = [], [], [], []

    def read(self):
        self.reports, self.open, self.sites, self.records = [], [], [], []
        for line in rille.whole_lines(self.path):
            record = json.loads(line)
            self.records.append(record)
            if record["type"] == "report":
                self.reports.append(record)
                self.open.append({})
                self.sites.append([])
            elif record["type"] == "open":
                self.open[-1][record["pid"], record["fd"]] = record
            elif record["type"] == "site":
                self.sites[-1].append(record)
        return self

    def whole(self, n):
        """Whether report n has been written: it says how much comes."""
        if len(self.read().reports) < n:
            return False
        report = self.reports[n - 1]
        return len(self.open[n - 1]) == report["open"] if "open" in report else len(self.sites[n - 1]) == report["places"]

    def functions(self, n, maker):
        """Names of the frames of who made something, in report n."""
        stacks = {site["site"]: site["ustack"] for site in self.sites[n]}
        return [frame["name"] for frame in stacks[maker["site"]]]


class OpenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = rille.Workshop()

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def setUp(self):
        rille.need_trace()
        self.folder = tempfile.TemporaryDirectory(prefix="rille-open-")
        self.addCleanup(self.folder.cleanup)

    def trace(self, *args, **options):
        """A tracer, and where its reports go."""
        out = pathlib.Path(self.folder.name) / "out.jsonl"
        tracer = rille.start("open", "-q", "-o", f"open-jsonl:{out}", *args, **options)
        self.addCleanup(tracer.kill)
        return tracer, Reports(out)

    def command(self, *args):
        """A tracer of a command; its lines up to "ready"."""
        tracer, reports = self.trace("--", *args, stdin=subprocess.PIPE)
        lines = []
        while not lines or lines[-1][1:] != ["ready"]:
            line = tracer.stdout.readline()
            self.assertTrue(line, f"it ended after {lines}: {tracer.stderr.read() if not line else ''}")
            lines.append(line.split())
        return tracer, reports, lines

    def ask(self, tracer, reports, n=1):
        tracer.send_signal(signal.SIGUSR1)
        rille.wait_until(lambda: reports.whole(n))
        return reports.read()

    def end(self, tracer):
        tracer.stdin.close()
        tracer.stdin = None
        _, errors = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        return errors


class WhatIsOpen(OpenTest):
    maxDiff = None

    def check_against_proc(self, report, pids):
        shown = {key: link_of(record) for key, record in report.items()}
        truth = {(pid, fd): link for pid in pids for fd, link in open_now(pid).items()}
        self.assertEqual(shown, truth)

    def test_every_kind_equals_proc(self):
        """tests/programs/fds.c in all its processes: /proc/PID/fd exactly, and no maker that the program does not know."""
        program = self.shop.compile("fds.c")
        tracer, reports, lines = self.command(program)
        pids = {int(line[0]) for line in lines}
        self.ask(tracer, reports)
        self.check_against_proc(reports.open[0], pids)
        self.assertTrue(reports.reports[0]["complete"])
        said = {}
        for pid, what, call, *numbers in (line for line in lines if len(line) > 3):
            if what in ("new", "pair", "dup"):
                said.update({(int(pid), int(fd)): (what, call) for fd in numbers[: 2 if what == "pair" else 1]})
            elif what == "close":
                for fd in range(int(numbers[0]), int(numbers[-1]) + 1):
                    said.pop((int(pid), fd), None)
        checked = 0
        for key, (what, call) in said.items():
            record = reports.open[0].get(key)
            if call == "read" or not record:  # fanotify's events bring descriptors that nothing tells of
                continue
            self.assertEqual(record["origin"], "known", (key, call))
            names = reports.functions(0, record["made"])
            if not record["made"]["comm"].startswith("iou-sqp"):  # the kernel's thread of a polled ring: in no function
                self.assertIn("main", names, (key, call, names))
            if call.startswith("uring:"):
                self.assertEqual(record["made"]["probe"], "tracepoint:io_uring:io_uring_complete")
            else:
                self.assertEqual(record["made"]["probe"].split(":")[-1], call)
            if record["how"] != "inherited":
                self.assertEqual(record["made"]["pid"], key[0])
            checked += 1
        self.assertGreater(checked, 60)
        before = {key for key, record in reports.open[0].items() if record["origin"] == "before"}
        self.assertEqual(before - {(pid, fd) for pid in pids for fd in (0, 1, 2)}, set())
        self.end(tracer)

    def test_functions(self):
        """Each descriptor comes with the function that made it: its own, a copy, inherited, and one that came in a message from
        a process that has closed it."""
        program = self.shop.compile("opens.c", "-O1")
        tracer, reports, lines = self.command(program)
        while not any(line[1:] == ["child"] for line in lines):
            lines.append(tracer.stdout.readline().split())
        made = {(int(line[0]), int(line[1])): line[2] for line in lines if len(line) == 3 and line[1] != "closed"}
        for line in lines:
            if line[1] == "closed":
                del made[int(line[0]), int(line[2])]
        parent = int(lines[0][0])
        child = next(int(line[0]) for line in lines if line[1:] == ["child"])
        self.ask(tracer, reports)
        report = reports.open[0]
        self.check_against_proc(report, {parent, child})
        for (pid, fd), function in made.items():
            record = report[pid, fd]
            maker = record["file"] if record["how"] == "received" else record["made"]
            self.assertIn(function, reports.functions(0, maker), record)
            if function == "iota_sent":
                self.assertEqual((record["how"], maker["pid"]), ("received", parent))
                self.assertIn("receive_fd", reports.functions(0, record["made"]))
            elif pid == parent:
                inherited = report[child, fd]
                self.assertEqual((inherited["how"], inherited["from"], inherited["made"]), ("inherited", parent, record["made"]))
            if function == "theta_copy":
                self.assertEqual(record["how"], "dup")
        self.assertEqual({fd for (pid, fd), r in report.items() if pid == parent and r["origin"] == "before"}, {0, 1, 2})
        text = rille.run("open", "-p", parent, "--now", "--fd", "3,4").stdout
        self.assertIn("fd 3 ", text)
        self.assertNotIn("fd 5 ", text)
        self.assertIn("flags:", text)
        self.end(tracer)
        reports.read()
        last = {key for key in reports.open[-1] if key[0] == parent}
        self.assertEqual(last, {key for key in report if key[0] == parent}, "what it had when it ended")
        self.assertTrue(all(record.get("ended") for key, record in reports.open[-1].items() if key[0] == parent))

    def test_before(self):
        """What was open before tracing began is marked so, and what is made afterwards is not."""
        with tempfile.TemporaryFile() as file:
            program = subprocess.Popen(["sh", "-c", "read x; exec 9</dev/null; echo done; read y"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, pass_fds=[file.fileno()], text=True)
            self.addCleanup(jvm.stop, program)
            tracer, reports = self.trace("-p", program.pid)
            program.stdin.write("\n")
            program.stdin.flush()
            program.stdout.readline()
            self.ask(tracer, reports)
            report = {fd: record for (pid, fd), record in reports.open[0].items()}
            self.check_against_proc(reports.open[0], {program.pid})
            self.assertEqual({fd for fd, record in report.items() if record["origin"] == "before"}, {0, 1, 2, file.fileno()})
            self.assertEqual(report[9]["origin"], "known")
            tracer.send_signal(signal.SIGINT)
            _, errors = tracer.communicate(timeout=60)
            self.assertEqual(tracer.returncode, 0, errors)
            self.assertEqual([r["reason"] for r in reports.read().reports], ["signal", "interrupted"])

    def test_exec_closes_what_is_marked_so(self):
        """After an exec the list is what /proc shows, also of a process that is looked at only when it has ended."""
        code = ("import os,socket,sys\na=socket.socket(); b=socket.socket(); b.set_inheritable(True)\n"
                "os.write(1, b'%d\\n' % b.fileno())\nos.execv('/bin/true', ['true'])")
        tracer, reports = self.trace("--", "/usr/bin/python3", "-S", "-c", code)
        out, errors = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        reports.read()
        shown = {fd: record["kind"] for (_, fd), record in reports.open[0].items() if record["origin"] == "known"}
        self.assertEqual(shown, {int(out): "socket"})


class Growth(OpenTest):
    def test_a_leak_in_java_is_first(self):
        """The place whose count grows stands first, with its Java line; what stays the same comes behind it."""
        jvm.need()
        shop = jvm.Workshop("Leak.java")
        self.addCleanup(shop.close)
        program = shop.java(sorted(jvm.jdks())[0], [], "Leak")
        self.addCleanup(jvm.stop, program)
        self.assertEqual(program.stdout.readline(), "ready\n")
        tracer, reports = self.trace("-p", program.pid, "--by", "site")
        said = [int(self.tell(program, "setup"))]
        said.append(int(self.tell(program, "leak 5")))
        self.ask(tracer, reports, 1)
        said.append(int(self.tell(program, "leak 20")))
        self.ask(tracer, reports, 2)
        first = reports.sites[1][0]
        self.assertEqual((first["count"], first["delta"]), (25, 20))
        line = next(frame for frame in first["ustack"] if frame["name"] == "Leak.leak")
        source = (rille.PROGRAMS / "Leak.java").read_text(encoding="utf-8").splitlines()
        self.assertIn("// the leak", source[line["line"] - 1])
        # Beside it: an accepted connection, a server, a WatchService, a Selector, none of which grew.
        self.assertTrue(all(site["delta"] == 0 for site in reports.sites[1][1:]), reports.sites[1][1:])
        kinds = {site["kind"] for site in reports.sites[1]}
        self.assertLessEqual({"socket", "inotify", "eventpoll"}, kinds)
        tracer.send_signal(signal.SIGINT)
        self.assertEqual(tracer.wait(60), 0)
        text = rille.run("open", "-p", program.pid, "--by", "site", "-d", "100ms").stdout
        self.assertIn("opened before tracing began", text)

    def tell(self, program, command):
        program.stdin.write(command + "\n")
        program.stdin.flush()
        return program.stdout.readline().split()[-1]

    def test_every(self):
        program = subprocess.Popen(["sleep", "60"])
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        tracer, reports = self.trace("-p", program.pid, "--every", "50ms")
        rille.wait_until(lambda: reports.whole(3))
        tracer.send_signal(signal.SIGINT)
        self.assertEqual(tracer.wait(60), 0)
        reports.read()
        self.assertEqual([report["number"] for report in reports.reports], list(range(1, len(reports.reports) + 1)))
        self.assertEqual({report["reason"] for report in reports.reports[:-1]}, {"every"})

    def test_losses_are_told_and_make_nothing_wrong(self):
        """With a ring that is much too small the list is still what /proc shows, the report says that events were lost, and what is
        shown as known is right: a descriptor whose event was lost has no maker."""
        program = self.shop.compile("opens.c", "-O1")
        tracer, reports = self.trace("--ring", "4K", "--", program, "many", "10000", stdin=subprocess.PIPE)
        pid = int(tracer.stdout.readline().split()[0])
        self.ask(tracer, reports)
        report = reports.open[0]
        self.assertEqual({fd: link_of(record) for (_, fd), record in report.items()}, open_now(pid))
        for record in report.values():
            if record["origin"] == "known":
                self.assertIn("many", reports.functions(0, record["made"]))
            elif record["kind"] == "socket":
                self.assertEqual(record["origin"], "unproved")
        known = sum(record["origin"] == "known" for record in report.values())
        self.assertEqual(reports.reports[0]["complete"], known == 10000)
        tracer.stdin.close()
        tracer.stdin = None
        tracer.communicate(timeout=60)

    def test_memory_is_bounded(self):
        """Opening and closing a hundred thousand times more costs no memory: what is gone is forgotten."""
        program = self.shop.compile("opens.c", "-O1")
        peaks = []
        for n in (20000, 200000):
            tracer, reports, lines = self.command(program, "churn", n)
            self.ask(tracer, reports)
            status = pathlib.Path(f"/proc/{tracer.pid}/status").read_text(encoding="ascii")
            peaks.append(int(re.search(r"VmHWM:\s+(\d+)", status).group(1)))
            pid, fd = int(lines[0][0]), int(lines[0][1])
            record = reports.open[0][pid, fd]
            self.assertEqual({f for _, f in reports.open[0]}, set(open_now(pid)))
            if record["origin"] == "known":
                self.assertIn("churn", reports.functions(0, record["made"]))
            else:  # what was lost is told, and makes what cannot be proved unknown
                self.assertFalse(reports.reports[0]["complete"])
            self.end(tracer)
            reports.path.unlink()
        self.assertLess(peaks[1], peaks[0] + 8192, peaks)


class Peers(OpenTest):
    def test_unix_peers_agree_with_ss_and_lsof(self):
        """The other end of each Unix socket, and whose descriptor it is, as ss -xp and lsof +E say."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        program = subprocess.Popen(["sleep", "60"], pass_fds=[theirs.fileno()])
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        fd = theirs.fileno()
        theirs.close()
        done = rille.run("open", "-p", program.pid, "--now", "--format", "jsonl")
        record = next(r for r in rille.records(done.stdout) if r["type"] == "open" and r["fd"] == fd)
        self.assertEqual(record["peer"]["inode"], os.fstat(ours.fileno()).st_ino)
        self.assertEqual((record["peer"]["pid"], record["peer"]["fd"]), (os.getpid(), ours.fileno()))
        self.assertEqual((record["family"], record["socket"], record["state"]), ("AF_UNIX", "SOCK_STREAM", "ESTABLISHED"))
        if shutil.which("ss"):
            listed = subprocess.run(["ss", "-xpH"], stdout=subprocess.PIPE, text=True, check=True).stdout
            line = next(line for line in listed.splitlines() if f" {record['inode']} " in line)
            self.assertIn(f" {record['peer']['inode']} ", line)
        if shutil.which("lsof"):
            listed = subprocess.run(["lsof", "+E", "-a", "-p", str(program.pid), "-d", str(fd)], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True, check=False).stdout
            self.assertRegex(listed, rf"\b{os.getpid()},\S+,{ours.fileno()}u")

    def test_pipe_ends_agree_with_lsof(self):
        """Of a pipe, what it is open for, and whose descriptor the other end is: as the program made it, and as lsof +E says."""
        read, write = os.pipe()
        self.addCleanup(os.close, write)
        program = subprocess.Popen(["sleep", "60"], pass_fds=[read])
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        inode = os.fstat(read).st_ino
        os.close(read)  # so that each end is one process's

        def shown(pid, fd):
            done = rille.run("open", "-p", pid, "--now", "--format", "jsonl", "--fd", fd)
            return next(r for r in rille.records(done.stdout) if r["type"] == "open")
        there, here = shown(program.pid, read), shown(os.getpid(), write)
        self.assertEqual([(r["inode"], r["end"]) for r in (there, here)], [(inode, "read"), (inode, "write")])
        self.assertEqual(there["peer"], {"inode": inode, "pid": os.getpid(), "fd": write, "comm": here["comm"]})
        self.assertEqual(here["peer"], {"inode": inode, "pid": program.pid, "fd": read, "comm": "sleep"})
        with open(f"/proc/self/fd/{write}", "r+b", buffering=0) as both:  # opened anew: at neither end
            record = shown(os.getpid(), both.fileno())
        self.assertEqual((record["end"], "peer" in record), ("both", False))
        if shutil.which("lsof"):
            listed = subprocess.run(["lsof", "+E", "-a", "-p", str(program.pid), "-d", str(read)], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True, check=False).stdout
            self.assertRegex(listed, rf"\b{os.getpid()},\S+,{write}w")

    def test_tcp_peers(self):
        """Both ends of a connection on this machine, over IPv4 and from IPv6's socket to it, with addresses as getsockname() has."""
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
            with socket.create_server(("", 0), family=family, dualstack_ipv6=family == socket.AF_INET6) as server, \
                    socket.socket(family) as client:
                client.connect((host, server.getsockname()[1]))
                accepted, _ = server.accept()
                with accepted:
                    done = rille.run("open", "-p", os.getpid(), "--now", "--format", "jsonl", "--kind", "socket")
                    shown = {r["fd"]: r for r in rille.records(done.stdout) if r["type"] == "open"}
                    one, other = shown[client.fileno()], shown[accepted.fileno()]
                    self.assertEqual(one["peer"], {"inode": other["inode"], "pid": os.getpid(), "fd": accepted.fileno(),
                                                   "comm": other["comm"]})
                    self.assertEqual(other["peer"]["fd"], client.fileno())
                    self.assertEqual(one["local"]["port"], client.getsockname()[1])
                    self.assertEqual(one["remote"]["port"], server.getsockname()[1])
                    self.assertEqual(shown[server.fileno()]["state"], "LISTEN")

    def test_sockets_without_an_address(self):
        """What no list of the kernel's has is told by its protocol."""
        with socket.socket() as stream, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
            done = rille.run("open", "-p", os.getpid(), "--now", "--format", "jsonl")
            shown = {r["fd"]: r for r in rille.records(done.stdout) if r["type"] == "open"}
            for one in (stream, datagrams):
                self.assertEqual(shown[one.fileno()]["protocol"],
                                 os.getxattr(f"/proc/self/fd/{one.fileno()}", "system.sockprotoname").rstrip(b"\0").decode("ascii"))
            text = rille.run("open", "-p", os.getpid(), "--now", "--fd", datagrams.fileno()).stdout
            self.assertIn(f"socket:[{shown[datagrams.fileno()]['inode']}] UDPv6\n", text)

    def test_another_network_namespace(self):
        """Addresses are those of the process's namespace, whichever ours is."""
        if not shutil.which("unshare"):
            self.skipTest("unshare is not installed")
        code = ("import socket,sys\ns=socket.socket(socket.AF_UNIX); s.bind('\\0rille-elsewhere'); s.listen()\n"
                "print(s.fileno(), flush=True); sys.stdin.read()")
        program = subprocess.Popen(["unshare", "-n", "/usr/bin/python3", "-S", "-c", code], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(jvm.stop, program)
        said = program.stdout.readline()
        if not said:
            self.skipTest("this machine does not let network namespaces be made")
        fd = int(said)
        before = os.stat("/proc/self/ns/net").st_ino
        done = rille.run("open", "-p", program.pid, "--now", "--format", "jsonl")
        record = next(r for r in rille.records(done.stdout) if r["type"] == "open" and r["fd"] == fd)
        self.assertEqual((record["state"], record["local"]["abstract"]), ("LISTEN", "rille-elsewhere"))
        self.assertEqual(os.stat("/proc/self/ns/net").st_ino, before)


class Mistakes(OpenTest):
    def test_unreadable_process(self):
        """A process that may not be read is named with what to do, and the others are listed."""
        if not shutil.which("setpriv"):
            self.skipTest("setpriv is not installed")
        copy = pathlib.Path(self.folder.name) / "rille"
        pathlib.Path(self.folder.name).chmod(0o755)
        shutil.copy(rille.RILLE, copy)
        copy.chmod(0o755)
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        mine = subprocess.Popen([*nobody, "sleep", "60"])
        self.addCleanup(mine.wait)
        self.addCleanup(mine.kill)
        rille.wait_until(lambda: pathlib.Path(f"/proc/{mine.pid}/comm").read_text(encoding="utf-8") == "sleep\n")
        args = [*nobody, copy, "open", "--now", "-p", f"{os.getpid()},{mine.pid}"]
        done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertIn(f"cannot read /proc/{os.getpid()}/fd", done.stdout)
        self.assertIn("CAP_SYS_PTRACE", done.stdout)
        self.assertIn(f"sleep {mine.pid}:", done.stdout)
        self.assertIn("fd 0", done.stdout)
        done = subprocess.run([*args, "--format", "jsonl"], stdout=subprocess.PIPE, text=True, check=False)
        processes = {p["pid"]: p for p in json.loads(done.stdout.splitlines()[0])["processes"]}
        self.assertEqual(processes[os.getpid()]["tag"], "cannot-read-fd")
        self.assertGreater(processes[mine.pid]["open"], 0)

    def test_hostile_names(self):
        """What a process calls itself and its files reaches neither the terminal nor breaks a record."""
        name = "a\n\x1b[31m\"\\\u00e9 \udcff"
        code = ("import ctypes,os,sys\nf=open(sys.argv[1],'w')\nctypes.CDLL(None).prctl(15, b'\\x1b[1m\\n\"', 0, 0, 0)\n"
                "os.write(1, b'%d\\n' % f.fileno())\nsys.stdin.read()")
        path = os.path.join(self.folder.name, name)
        program = subprocess.Popen(["/usr/bin/python3", "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(jvm.stop, program)
        fd = int(program.stdout.readline())
        text = rille.run("open", "--now", "-p", program.pid, "--color", "never").stdout
        self.assertNotIn("\x1b", text)
        self.assertIn("a\\x0a\\x1b[31m", text)
        lines = rille.records(rille.run("open", "--now", "-p", program.pid, "--format", "jsonl").stdout)
        record = next(r for r in lines if r["type"] == "open" and r["fd"] == fd)
        self.assertEqual(record["path"], os.path.realpath(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))

    def test_usage(self):
        """Each mistake is told, and ends with status 2."""
        for args, told in (((), "whose descriptors"), (("-p", 1, "--all"), "exclude"), (("--all", "--", "true"), "exclude"),
                           (("--now", "--", "true"), "--now"), (("-p", 1, "--now", "-d", "1s"), "--now"),
                           (("--all", "--kind", "sockets"), "did you mean 'socket'"), (("--all", "--fd", "x"), "open-fd"),
                           (("--all", "--by", "size"), "site or fd"), (("-p", 1, "word"), "unexpected 'word'"),
                           (("--all", "--every", "soon"), "not a duration"), (("--all", "--nonsense"), "no option")):
            done = rille.run("open", *args)
            self.assertEqual(done.returncode, 2, (args, done))
            self.assertIn(told, done.stderr, args)
        done = rille.run("open", "--now", "-p", 2**22 - 7)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("there is no process", done.stderr)

    def test_nothing_of_that_number(self):
        done = rille.run("open", "--now", "-p", os.getpid(), "--inode", 1)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "nothing that is open has that number"))

    def test_schema(self):
        """All records are as the schema says."""
        if rille.validator() is None:
            self.skipTest("python3-jsonschema is too old")
        program = self.shop.compile("opens.c", "-O1")
        for by in ("fd", "site"):
            tracer, reports = self.trace("--by", by, "--", program, stdin=subprocess.PIPE)
            rille.wait_until(lambda: tracer.stdout.readline().endswith("ready\n"))
            self.ask(tracer, reports, 1)
            self.end(tracer)
            for record in reports.read().records:
                rille.validator().validate(record)
            reports.path.unlink()
        for record in rille.records(rille.run("open", "--all", "--now", "--format", "jsonl").stdout):
            rille.validator().validate(record)


if __name__ == "__main__":
    unittest.main()
