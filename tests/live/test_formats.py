"""The formats that other programs read say the same as jsonl, which is written beside them in the same run.

What reads them back was not written here: Python's csv module, and expressions taken from the documented shape of each
format. Counts are compared with the number of events, stacks with the frames in jsonl."""

import collections
import csv
import gzip
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

import jvm
import rille

PROGRAM = """
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
__attribute__((noinline)) void often(void) { close(socket(AF_UNIX, SOCK_STREAM, 0)); __asm__(""); }
__attribute__((noinline)) void seldom(void) { close(socket(AF_UNIX, SOCK_STREAM, 0)); __asm__(""); }
int main(void)
{
	int pair[2];
	prctl(PR_SET_NAME, "a; b\\n\\"c\\", d");
	for (int i = 0; i < 300; i++) {
		often();
		if (i % 3 == 0)
			seldom();
		if (i == 150)
			prctl(PR_SET_NAME, "second");
	}
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
}
"""
OPENS = """
#include <fcntl.h>
int main(void)
{
	open("/nowhere/a,b \\"c\\"; \\xc3\\xa9", O_RDONLY);
	open("", O_RDONLY);
	open(" spaces ", O_RDONLY);
	open((char *)8, O_RDONLY);
}
"""

# The numbers are those of pprof's published profile.proto.
PROFILE = """
syntax = "proto3";
message Profile {
  repeated ValueType sample_type = 1; repeated Sample sample = 2; repeated Location location = 4;
  repeated Function function = 5; repeated bytes string_table = 6; int64 time_nanos = 9; int64 duration_nanos = 10;
}
message ValueType { int64 type = 1; int64 unit = 2; }
message Sample { repeated uint64 location_id = 1; repeated int64 value = 2; repeated Label label = 3; }
message Label { int64 key = 1; int64 str = 2; int64 num = 3; }
message Location { uint64 id = 1; repeated Line line = 4; }
message Line { uint64 function_id = 1; int64 line = 2; }
message Function { uint64 id = 1; int64 name = 2; int64 system_name = 3; int64 filename = 4; }
"""


def decoded(data, folder):
    """A pprof file as lists of (member, value), by the protocol buffer compiler."""
    (folder / "profile.proto").write_text(PROFILE, encoding="ascii")
    compiler = shutil.which("protoc") or shutil.which("protoc-c")
    done = subprocess.run([compiler, "--decode=Profile", f"-I{folder}", folder / "profile.proto"], input=data,
                          stdout=subprocess.PIPE, check=True)
    top = []
    open_messages = [top]
    for line in done.stdout.decode("ascii").splitlines():
        word = line.split(maxsplit=1)
        if word[0] == "}":
            open_messages.pop()
        elif word[1] == "{":
            open_messages[-1].append((word[0], []))
            open_messages.append(open_messages[-1][-1][1])
        else:
            open_messages[-1].append((word[0].rstrip(":"), json.loads(word[1].replace("\\'", "'"))))
    return top


def members(message, name):
    return [value for key, value in message if key == name]


def cleaned(name):
    """As names stand in a line: no separators."""
    return name.replace(";", ":")


def shown(frame):
    """A frame of jsonl as the folded format has it."""
    if "name" in frame and frame["name"]:
        name = cleaned(frame["name"])
    elif "module" in frame:
        name = f"[{pathlib.Path(frame['module']).name}+0x{frame['offset']:x}]"
    else:
        name = f"[unknown {frame['address']}]"
    if frame["kind"] == "kernel":
        return name + "_[k]"
    if frame.get("inlined"):
        return name + "_[i]"
    return name + ("_[j]" if frame["kind"] in ("java", "js", "python", "lua") else "")


def folded(event):
    """The stack of an event of jsonl on one line."""
    lines = []
    for side in ("ustack", "kstack"):
        if side in event:
            if event[side + "_end"] not in ("root", "no-user"):
                lines.append(f"[incomplete: {event[side + '_end']}]")
            lines += [shown(frame) for frame in reversed(event[side])]
    return ";".join(lines)


class Formats(unittest.TestCase):
    def setUp(self):
        rille.need_trace()
        folder = tempfile.TemporaryDirectory(prefix="rille-test-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def compile(self, text, name):
        source = self.path / f"{name}.c"
        source.write_text(text, encoding="utf-8")
        subprocess.run(["cc", "-O1", "-o", self.path / name, source], check=True)
        return self.path / name

    def trace(self, kind, *args, program=None):
        """The events as jsonl has them, and the text of the same run in another format."""
        program = program or self.compile(PROGRAM, "places")
        out, lines = self.path / f"out.{kind}", self.path / "out.jsonl"
        done = rille.run(*args, "-q", "-o", f"{kind}:{out}", "-o", f"jsonl:{lines}", "--", program)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return rille.events(lines.read_text(encoding="utf-8")), out.read_bytes().decode("utf-8")

    def test_folded_counts_are_the_events(self):
        for sides in ("user", "kernel", "both"):
            events, text = self.trace("folded", "run", "unix", "--stack", sides)
            self.assertEqual(len(events), 401)
            found = collections.Counter()
            for line in text.splitlines():
                stack, count = line.rsplit(" ", 1)
                self.assertNotIn(stack, found, "one line a stack")
                found[stack] = int(count)
            self.assertEqual(found.total(), len(events))
            expected = collections.Counter()
            for event in events:
                comm = re.sub("[ ;]", "_", event["comm"].replace("\n", "\\x0a"))
                expected[f"{comm};{folded(event)};{event['probe']}"] += 1
            self.assertEqual(found, expected)

    def test_csv_values_are_those_of_jsonl(self):
        events, text = self.trace("csv", "run", "unix")
        rows = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
        self.assertEqual(len(rows), len(events))
        self.assertEqual(list(rows[0])[:5], ["time", "probe", "pid", "tid", "comm"])
        fields = {name for event in events for name in event} - {"type", "nsecs", "ppid", "ustack", "ustack_end", "type_"}
        self.assertLessEqual(fields, set(rows[0]))
        for row, event in zip(rows, events):
            self.assertNotIn(None, row, "no line is longer than the header")
            self.assertEqual(row.pop("stack"), folded(event))
            self.assertEqual(row.pop("comm"), event["comm"].replace("\n", "\\x0a"))
            self.assertEqual(row.pop("type", ""), event.get("type_", ""))
            for name, value in row.items():
                expected = event.get(name, "")
                if isinstance(expected, str):
                    self.assertEqual(value, expected, name)
                elif expected is None:
                    self.assertEqual(value, "", name)
                else:
                    self.assertEqual(json.loads(value), expected, name)

    def test_csv_of_hostile_text(self):
        """Quotes, commas, spaces at the ends and other alphabets come back; what could not be read is empty."""
        table = '{ "syscall:openat", fields = { "filename", "stack = pid" } }'
        events, text = self.trace("csv", "-e", table, program=self.compile(OPENS, "opens"))
        rows = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
        self.assertEqual([row["filename"] for row in rows], [event["filename"] or "" for event in events])
        self.assertEqual([int(row["stack_"]) for row in rows], [event["stack"] for event in events])
        names = [event["filename"] for event in events][-4:]
        self.assertEqual(names, ['/nowhere/a,b "c"; é', "", " spaces ", None])
        last = text.split("\r\n")[-3:-1]
        self.assertIn('" spaces "', last[0])

    def test_perf_script_has_each_event_and_frame(self):
        """The shape that perf-script(1) documents: comm pid/tid time: period event: trace, then address symbol (object)."""
        event_line = re.compile(r"^(\S.*?)\s+(\d+)/(\d+)\s+(\d+)\.(\d{6}):\s+1 (\S+):( .*)?$")
        frame_line = re.compile(r"^\s+([0-9a-f]+) (.+?)(?:\+0x([0-9a-f]+))? \((.*)\)$")
        events, text = self.trace("perf-script", "run", "unix", "--stack", "both", "--addresses")
        blocks = text.split("\n\n")
        self.assertEqual(blocks.pop(), "")
        self.assertEqual(len(blocks), len(events))
        for block, event in zip(blocks, events):
            first, *lines = [line for line in block.splitlines() if not line.startswith("#")]
            comm, pid, tid, seconds, micros, probe, fields = event_line.match(first).groups()
            self.assertEqual((comm, int(pid), int(tid), probe),
                             (event["comm"].replace("\n", "\\x0a"), event["pid"], event["tid"], event["probe"]))
            self.assertEqual(int(seconds) * 10**6 + int(micros), event["nsecs"] // 1000)
            self.assertIn(f" fd={event['fd']}" if "fd" in event else f" fds={event['fds']}".replace(", ", ","), fields)
            frames = event["kstack"] + event["ustack"]
            self.assertEqual(len(lines), len(frames))
            for line, frame in zip(lines, frames):
                address, name, offset, module = frame_line.match(line).groups()
                self.assertEqual(int(address, 16), int(frame["address"], 16))
                self.assertEqual(name, frame["name"] or "[unknown]")
                self.assertEqual(module, frame.get("module", "[kernel.kallsyms]"))
                if frame["name"]:
                    self.assertEqual(int(offset, 16), frame["offset"])

    def check_speedscope(self, text):
        """Valid by speedscope's own schema; and what a schema cannot say: sums, and numbers that refer to something."""
        done = json.loads(text)
        if jsonschema:
            jsonschema.validate(done, json.loads((rille.TESTS / "schemas" / "speedscope.json").read_text(encoding="utf-8")))
        self.assertEqual(done["$schema"], "https://www.speedscope.app/file-format-schema.json")
        frames = done["shared"]["frames"]
        for frame in frames:
            self.assertLessEqual(set(frame), {"name", "file", "line", "col"})
            self.assertIsInstance(frame["name"], str)
            self.assertIsInstance(frame.get("line", 0), int)
        self.assertEqual(len({json.dumps(frame) for frame in frames}), len(frames), "each frame once")
        for profile in done["profiles"]:
            self.assertEqual(set(profile), {"type", "unit", "name", "samples", "weights", "startValue", "endValue"})
            self.assertEqual((profile["type"], profile["unit"], profile["startValue"]), ("sampled", "none", 0))
            self.assertEqual(len(profile["samples"]), len(profile["weights"]))
            self.assertEqual(sum(profile["weights"]), profile["endValue"])
            self.assertTrue(all(0 <= index < len(frames) for sample in profile["samples"] for index in sample))
        return done

    def test_speedscope_has_each_stack(self):
        events, text = self.trace("speedscope", "run", "unix", "--stack", "both")
        done = self.check_speedscope(text)
        names = [frame["name"] for frame in done["shared"]["frames"]]
        found, expected = collections.Counter(), collections.Counter()
        for profile in done["profiles"]:
            for sample, weight in zip(profile["samples"], profile["weights"]):
                found[(profile["name"], *[names[index] for index in sample])] += weight
        for event in events:
            self.assertEqual((event["ustack_end"], event["kstack_end"]), ("root", "root"))
            stack = event["ustack"][::-1], event["kstack"][::-1]
            expected[(event["probe"], event["comm"], *[frame["name"] for side in stack for frame in side])] += 1
        self.assertEqual(found.total(), len(events))
        self.assertEqual(found, expected)

    def test_pprof_has_each_event(self):
        """Each event is in a sample with its stack, descriptor, inode, process and call."""
        if not shutil.which("protoc") and not shutil.which("protoc-c"):
            self.skipTest("no protoc to decode with")
        out, lines = self.path / "out.pb.gz", self.path / "out.jsonl"
        program = self.compile(PROGRAM, "places")
        done = rille.run("run", "unix", "-q", "-o", f"pprof:{out}", "-o", f"jsonl:{lines}", "--", program)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        events = rille.events(lines.read_text(encoding="utf-8"))
        profile = decoded(gzip.decompress(out.read_bytes()), self.path)
        strings = members(profile, "string_table")
        self.assertEqual(strings[0], "")
        kinds = [[strings[number] for _, number in kind] for kind in members(profile, "sample_type")]
        self.assertEqual(kinds, [["events", "count"]])
        functions = {dict(function)["id"]: strings[dict(function)["name"]] for function in members(profile, "function")}
        locations = {dict(place)["id"]: functions[dict(members(place, "line")[0])["function_id"]]
                     for place in members(profile, "location")}
        found, expected = collections.Counter(), collections.Counter()
        for sample in members(profile, "sample"):
            labels = collections.defaultdict(list)
            for label in map(dict, members(sample, "label")):
                labels[strings[label["key"]]].append(strings[label["str"]] if "str" in label else label.get("num", 0))
            stack = [locations[number] for number in members(sample, "location_id")]
            key = [labels[name] for name in ("call", "comm", "pid", "fd", "inode")] + [stack]
            found[json.dumps(key)] += members(sample, "value")[0]
        for event in events:
            stack = [frame["name"] for frame in event["ustack"]]
            expected[json.dumps([[event["probe"]], [event["comm"].replace("\n", "\\x0a")], [event["pid"]],
                event.get("fds") or [event["fd"]], event.get("inodes") or [event["inode"]], stack])] += 1
        self.assertEqual(found.total(), len(events))
        self.assertEqual(found, expected)

    def test_java_in_all_formats(self):
        """Java's frames are marked as flamegraph.pl knows them; inlined ones too; everything adds up."""
        jvm.need()
        workshop = jvm.Workshop("Sites.java")
        self.addCleanup(workshop.close)
        program = workshop.java(sorted(jvm.jdks())[0], [], "Sites", "20000")
        self.addCleanup(program.stdin.close)
        self.addCleanup(program.stdout.close)
        self.assertEqual(program.stdout.readline(), "ready\n")
        kinds = ["jsonl", "folded", "speedscope", "csv", "perf-script"]
        outputs = [word for kind in kinds for word in ("-o", f"{kind}:{self.path / kind}")]
        tracer = rille.start("run", "socket", "-p", program.pid, *outputs)
        for answer in ("done\n", None):
            program.stdin.write("\n")
            program.stdin.flush()
            if answer:
                self.assertEqual(program.stdout.readline(), answer)
        program.wait()
        tracer.communicate(timeout=60)
        text = {kind: (self.path / kind).read_bytes().decode("utf-8") for kind in kinds}
        events = rille.events(text["jsonl"])
        self.assertGreater(len(events), 1000)
        found, expected = collections.Counter(), collections.Counter()
        for line in text["folded"].splitlines():
            stack, count = line.rsplit(" ", 1)
            found[stack] += int(count)
        for event in events:
            expected[re.sub("[ ;]", "_", event["comm"]) + ";" + folded(event)] += 1
        self.assertEqual(found, expected)
        self.assertTrue(any("Sites.middle_[j]" in stack for stack in found))
        self.assertTrue(any(re.search(r"Sites\.\w+_\[i\]", stack) for stack in found))
        done = self.check_speedscope(text["speedscope"])
        self.assertEqual(sum(profile["endValue"] for profile in done["profiles"]), len(events))
        self.assertEqual([row["stack"] for row in csv.DictReader(text["csv"].splitlines(keepends=True))],
                         [folded(event) for event in events])
        self.assertEqual(len(re.findall(r"/tmp/perf-\d+\.map\)$|\(inlined\)$", text["perf-script"], re.M)),
                         sum(not frame.get("module") for event in events for frame in event["ustack"] if frame["name"]))

    def test_an_unknown_format_names_all(self):
        done = rille.run("-e", '{ "syscall:socket" }', "--format", "zzzzzzzz", "-d", "1ms")
        self.assertEqual(done.returncode, 2, done.stderr)
        for name in ("text", "jsonl", "csv", "perf-script", "top", "folded", "flamegraph", "speedscope", "pprof"):
            self.assertIn(name, done.stderr)


if __name__ == "__main__":
    unittest.main()
