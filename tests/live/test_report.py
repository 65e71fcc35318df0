"""`rille report` makes of a trace what the run itself would have written.

The oracle is the run: every format is written by the tracer and made from its jsonl afterwards, and the two are the same
bytes. Damaged traces cost the damaged lines and are told."""

import gzip
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import jvm
import rille

FORMATS = ("text", "csv", "perf-script", "top", "folded", "flamegraph", "speedscope", "pprof", "jsonl")
CALLS = """
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
__attribute__((noinline)) void leaf(int family, const void *address, unsigned len)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bind(fd, address, len);
	close(fd);
	__asm__("");
}
int main(void)
{
	struct sockaddr_un un = {AF_UNIX, "/nowhere/\\x01\\"x"}, abstract = {AF_UNIX, "\\0na\\0me"};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(1), .sin6_scope_id = 3, .sin6_flowinfo = 9};
	struct sockaddr_nl netlink = {.nl_family = AF_NETLINK, .nl_pid = 77, .nl_groups = 5};
	int pair[2];
	prctl(PR_SET_NAME, "a; b\\n\\"c\\" d");
	leaf(AF_UNIX, &un, sizeof(un));
	leaf(AF_UNIX, &abstract, offsetof(struct sockaddr_un, sun_path) + 6);
	leaf(AF_UNIX, &un, 2);
	leaf(AF_INET, &in, sizeof(in));
	leaf(AF_INET6, &in6, sizeof(in6));
	leaf(AF_NETLINK, &netlink, sizeof(netlink));
	leaf(AF_INET, "\\xff\\xfe short", 5);
	leaf(AF_INET, (void *)8, 16);
	for (int i = 0; i < 40; i++)
		close(open(i % 2 ? "/nowhere" : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
	open((char *)8, O_RDWR);
}
"""
SCRIPT = """
local n = 0
return {
  probes = {
    { "syscall:bind", fields = { { "addr", "sockaddr(umyaddr, addrlen)" }, "fd", { "errno", as = "errno" }, "ok = ret == 0" },
      stack = "user" },
    { "syscall:socket", fields = { { "family", as = "AF_" }, { "type", as = "SOCK_" }, "inode = fd_inode(ret)", "stack = pid" },
      stack = "both" },
    { "syscall:socketpair", fields = { "fds = s32(usockvec, 2)", "inodes = fd_inode(fds)" }, stack = "user" },
    { "syscall:openat", fields = { "filename", { "flags", as = "O_" }, { "took", "elapsed", as = "ns" },
      { "result", "ret", as = "hex" }, { "mode", "mode", as = "octal" } },
      on_event = function(ev, out)
        n = n + 1
        if n % 10 == 0 then out:print("line " .. n .. "\\n") end
        out:emit(ev)
      end },
  },
  on_end = function(out)
    out:row { whole = 123456789.0, part = 0.1, big = 2^53, huge = 1e300, negative = -5, yes = true, text = "a\\nb", pid = 1, pid_ = 2 }
    out:print("")
  end,
}
"""


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rille-report-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.path.chmod(0o755)


class Report(Base):
    def compile(self, source=CALLS, name="calls"):
        path = self.path / f"{name}.c"
        path.write_text(source, encoding="utf-8")
        subprocess.run(["gcc", "-g", "-O1", "-w", "-o", self.path / name, path], check=True)
        return self.path / name

    def outputs(self, kind):
        return [word for name in FORMATS for word in ("-o", f"{name}:{self.path / kind}.{name}")]

    def trace(self, *args, command=None, extra=()):
        """Traces into every format; then the same from the jsonl."""
        rille.need_trace()
        done = rille.run(*args, "-q", *extra, *self.outputs("direct"), "--", *(command or [self.compile()]))
        self.assertEqual(done.stderr, "")
        done = rille.run("report", self.path / "direct.jsonl", *extra, *self.outputs("report"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def bytes_of(self, kind, name):
        data = (self.path / f"{kind}.{name}").read_bytes()
        return gzip.decompress(data) if name == "pprof" else data

    def compare(self, *names):
        for name in names or FORMATS:
            with self.subTest(name):
                self.assertEqual(self.bytes_of("report", name), self.bytes_of("direct", name))

    def events(self):
        return rille.events((self.path / "direct.jsonl").read_text(encoding="utf-8"))

    def write_script(self):
        (self.path / "script.lua").write_text(SCRIPT, encoding="utf-8")
        return self.path / "script.lua"

    def test_every_format_is_the_run_s(self):
        """All kinds of fields and decoders, missing values, two stacks, rows and printed lines."""
        self.trace("run", self.write_script(), extra=["--addresses"])
        self.assertGreater(len(self.events()), 40)
        self.compare()

    def test_without_addresses(self):
        """perf-script needs the addresses, which only --addresses writes; nothing else does."""
        self.trace("run", self.write_script())
        self.compare(*(name for name in FORMATS if name != "perf-script"))
        without = re.sub(rb"^\t *[0-9a-f]+ ", b"\t ", self.bytes_of("direct", "perf-script"), flags=re.M)
        self.assertEqual(re.sub(rb"^\t +0 ", b"\t ", self.bytes_of("report", "perf-script"), flags=re.M), without)

    def test_chosen_fields(self):
        """With --fields the trace has no others; all but pprof, which labels descriptors anyway, are the same."""
        self.trace("run", self.write_script(), extra=["--addresses", "--fields", "addr,container,flags,fd,family"])
        self.compare(*(name for name in FORMATS if name != "pprof"))

    def test_recipes(self):
        for recipe in ("bind", "unix", "fds"):
            with self.subTest(recipe):
                self.trace("run", recipe, extra=["--addresses"])
                self.compare()

    def test_java(self):
        jvm.need()
        workshop = jvm.Workshop("Sites.java")
        self.addCleanup(workshop.close)
        program = workshop.java(sorted(jvm.jdks())[0], [], "Sites", "2000")
        self.addCleanup(program.stdin.close)
        self.addCleanup(program.stdout.close)
        self.assertEqual(program.stdout.readline(), "ready\n")
        rille.need_trace()
        extra = ["--addresses", "--signatures", "--origins"]
        tracer = rille.start("run", "socket", "-p", program.pid, *extra, *self.outputs("direct"))
        for answer in ("done\n", None):
            program.stdin.write("\n")
            program.stdin.flush()
            if answer:
                self.assertEqual(program.stdout.readline(), answer)
        program.wait()
        tracer.communicate(timeout=60)
        done = rille.run("report", self.path / "direct.jsonl", *extra, *self.outputs("report"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(any(frame["kind"] == "java" for event in self.events() for frame in event["ustack"]))
        self.assertTrue(any("about" in event for event in self.events()))
        self.compare()

    def test_only_some_events(self):
        self.trace("run", self.write_script())
        trace = self.path / "direct.jsonl"
        events = self.events()
        pid, comm = events[0]["pid"], events[-1]["comm"]
        for args, expected in ((["-p", pid], len(events)), (["-p", "1"], 0), (["-p", f"1,{pid}"], len(events)),
                               (["-n", comm], sum(event["comm"] == comm for event in events)), (["-n", "no"], 0),
                               (["--limit", "3"], 3)):
            done = rille.run("report", trace, *args, "--format", "jsonl")
            self.assertEqual((done.returncode, done.stderr, len(rille.events(done.stdout))), (0, "", expected), args)
        done = rille.run("report", trace, "--format", "csv", "--fields", "fd")
        self.assertEqual(done.stdout.splitlines()[0], "time,probe,pid,tid,comm,fd,stack")
        done = rille.run("report", "-", "--top", "1", stdin=open(trace, encoding="utf-8"))  # pylint: disable=R1732
        self.assertRegex(done.stdout.splitlines()[-1], f"^ *{len(events)}  events from")

    def test_names_of_files(self):
        """%p, %t and %% in the name of a file, whatever its format."""
        rille.need_trace()
        outputs = [word for name in FORMATS for word in ("-o", f"{name}:{self.path}/%p-%t-%%.{name}")]
        tracer = rille.start("run", "socketpair", "-q", *outputs, "--", self.compile())
        tracer.communicate(timeout=60)
        found = sorted(path.name for path in self.path.glob("*-*"))
        self.assertEqual(len(found), len(FORMATS), found)
        for name in found:
            self.assertRegex(name, rf"^{tracer.pid}-20\d{{6}}T\d{{6}}-%\.[a-z-]+$")
            self.assertGreater((self.path / name).stat().st_size, 0)
        records = rille.records((self.path / next(name for name in found if name.endswith(".jsonl"))).read_text(encoding="utf-8"))
        started = re.sub("[-:]", "", records[0]["time"].split(".")[0])
        self.assertIn(f"-{started}-", found[0])


class Damaged(Base):
    """Traces that are not whole: what can be read is reported, the rest is told with its line's number."""

    @staticmethod
    def lines(count=6):
        yield {"type": "meta", "schema": 1, "version": "0.1.0", "time": "2026-11-24T20:33:37.000000000Z", "script": "s",
               "host": "h", "kernel": "k", "argv": ["a"], "mechanisms": [], "probes": [{
                   "name": "syscall:socket", "ustack": True, "kstack": False, "fields": [
                       {"name": "fd", "kind": "int", "bits": 32}, {"name": "family", "kind": "int", "bits": 64, "as": "AF_"}]}]}
        for number in range(count):
            yield {"type": "event", "probe": "syscall:socket", "time": f"2026-11-24T20:33:38.{number:09}Z", "nsecs": number,
                   "pid": 1, "tid": 1, "ppid": 0, "comm": "c", "fd": number, "family": "AF_UNIX",
                   "ustack": [{"kind": "native", "name": "f", "offset": 1}], "ustack_end": "root"}
        yield {"type": "end", "reason": "done", "seconds": 1.5, "mappings_lost": 0, "probes": []}

    def write(self, *lines):
        path = self.path / "trace.jsonl"
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        path.write_text(text, encoding="utf-8")
        return path

    def report(self, *lines, args=()):
        return rille.run("report", self.write(*lines), "-o", "folded:-", *args)

    def check(self, lines, count, *messages):
        done = self.report(*lines)
        self.assertEqual((done.returncode, done.stdout), (1, f"c;f {count}\n" if count else ""), done.stderr)
        for message in messages:
            self.assertIn(message, done.stderr)
        self.assertIn("[incomplete-trace]", done.stderr)

    def test_whole(self):
        done = self.report(*self.lines())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "c;f 6\n", ""))

    def test_cut_anywhere(self):
        """However a trace is cut, what is before the cut is reported, and the line with the cut is named."""
        whole = "".join(json.dumps(line) + "\n" for line in self.lines())
        first = whole.index("\n") + 1
        for cut in list(range(first, len(whole) - 1, 37)) + [len(whole) - 2]:
            done = self.report(whole[:cut])
            count = whole[:cut].count('"ustack_end": "root"}')
            expected = f"c;f {count}\n" if count else ""
            self.assertEqual((done.returncode, done.stdout), (1, expected), f"cut at {cut}: {done.stderr}")
            line = whole[:cut].count("\n") + 1
            if whole[cut - 1] not in "\n}":
                self.assertIn(f"trace.jsonl:{line}: cut off in the middle", done.stderr)
            self.assertIn("without its totals", done.stderr)

    def test_lines_that_are_no_records(self):
        for bad, message in (("garbage\n", "not a JSON object"), ("null\n", "not a JSON object"), ("[]\n", "not a JSON object"),
                             ('{"a":}\n', "not JSON"), ('{"a":1} x\n', "not JSON"), ("{}\n", "without a type"),
                             ('{"type":"new"}\n', "'new', which this version does not know"), ('{"type":"\\ud800"}\n', "type"),
                             ({"type": "event"}, "without a probe"), ("\udcff{\n".encode("utf-8", "surrogateescape").decode("latin-1"), "not"),
                             ({"type": "event", "probe": "other"}, "does not name"), ({"type": "print"}, "without text"),
                             ({"type": "lost", "probe": "syscall:socket"}, "without a number"), ("x" * 20_000_000 + "\n", "longer than")):
            with self.subTest(str(bad)[:40]):
                first, *rest = self.lines()
                self.check([first, rest[0], bad, *rest[1:]], 6, "trace.jsonl:3: ", message, "1 problem in 9 lines")

    def test_events_that_are_not_as_they_should_be(self):
        for change, message in (({"fd": "three"}, "the field 'fd'"), ({"family": "AF_NOBODY_KNOWS"}, "AF_NOBODY_KNOWS"),
                                ({"time": "yesterday"}, "without time"), ({"pid": -1}, "pid"), ({"pid": 2**40}, "pid"),
                                ({"ustack_end": "tired"}, "'tired'"), ({"ustack": [1]}, "a frame is not an object"),
                                ({"ustack": [{}] * 9000}, "9000 frames"), ({"comm": 3}, "comm")):
            with self.subTest(message):
                first, event, *rest = self.lines()
                self.check([first, event | change, *rest], 5, "trace.jsonl:2: ", message)

    def test_newer_schema(self):
        first, *rest = self.lines()
        self.check([first | {"schema": 2, "more": 1}, *rest], 6, "trace.jsonl:1: written by a newer rille (schema 2")

    def test_newer_members_are_passed_over(self):
        first, event, *rest = self.lines()
        first["probes"][0]["fields"][0]["as"] = "something-new"
        done = self.report(first, event | {"more": {"a": [1]}, "ustack": [event["ustack"][0] | {"kind": "wasm", "x": 1}]}, *rest)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_is_no_trace(self):
        for text, message in (("", "it is empty"), ("hello\n", "not a JSON object"), ("{\n", "cut off"), ("{}\n", "not a meta record"),
                              ('{"type":"meta"}\n', "lacks the time or the probes"), (json.dumps(list(self.lines())[1]), "not a meta")):
            done = self.report(text)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("[not-a-trace]", done.stderr)
            self.assertIn(message, done.stderr)

    def test_wrong_use(self):
        trace = self.write(*self.lines())
        for args, message in ((["--format", "jsnl"], "did you mean 'jsonl'"), (["--fields", "fb"], "did you mean 'fd'"),
                              ([trace], "made of one trace"), (["--stack", "user"], "no option --stack"),
                              (["-o", "open:-"], "[not-from-a-trace]"), (["-o", f"jsonl:{trace}"], "[same-file]"), (["-p", "x"], "process id")):
            done = rille.run("report", trace, *args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)
            self.assertIn(message, done.stderr)
        self.assertEqual(trace.read_text(encoding="utf-8").count("\n"), 8, "the trace is as it was")
        done = rille.run("report", self.path / "nowhere.jsonl")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)
        if os.path.exists("/dev/full"):
            done = rille.run("report", trace, "-o", "csv:/dev/full")
            self.assertEqual(done.returncode, 1)
            self.assertIn("No space left", done.stderr)

    def test_a_reader_that_goes_away(self):
        trace = self.write(*self.lines(50000))
        done = subprocess.run(f"'{rille.RILLE}' report '{trace}' | head -n 1", shell=True, capture_output=True, text=True, check=False)
        self.assertEqual((len(done.stdout.splitlines()), done.stderr), (1, ""))


if __name__ == "__main__":
    unittest.main()
