"""jitdump files: names as the same runtime writes them to its perf map, and callers by the compiler's own .eh_frame."""

import glob
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import rille

TOOLS = pathlib.Path(rille.RILLE).parent / "tests" / "tools"
HOT = """
function alpha(i) { return i + 1 }
function beta(n) { let s = 0; for (let i = 0; i < n; i++) s += alpha(i); return s }
for (let i = 0; i < 50; i++) beta(100000)
console.log(process.pid)
"""
# A function without a frame pointer that has something on its stack, so that only CFI leads to its caller.
CODE = """
int run(int (*callback)(void))
{
	volatile char room[200]; /* filled: a guess must not find what an earlier call left there */
	for (int i = 0; i < 200; i++)
		room[i] = 1;
	return callback() + room[0];
}
"""
LAYOUT = """
SECTIONS {
  . = 0x1000;
  .text : { *(.text) }
  . = ALIGN(8);
  .eh_frame : { *(.eh_frame) }
  /DISCARD/ : { *(.comment) *(.note*) *(.data) *(.bss) }
}
"""


class Names(unittest.TestCase):
    def test_names_equal_the_perf_map(self):
        node = shutil.which("node")
        if not node:
            self.skipTest("node is not installed")
        with tempfile.TemporaryDirectory() as tmp:
            script = pathlib.Path(tmp) / "hot.js"
            script.write_text(HOT, encoding="utf-8")
            pid = subprocess.run([node, "--perf-prof", "--perf-basic-prof", script], cwd=tmp, check=True, text=True,
                stdout=subprocess.PIPE).stdout.strip()
            map_path = pathlib.Path(f"/tmp/perf-{pid}.map")
            self.addCleanup(map_path.unlink)
            oracle = self.last_lines(map_path.read_text(encoding="utf-8", errors="replace"))
            addresses = "".join(f"{address:x}\n" for address in oracle)
            out = subprocess.run([TOOLS / "jitnames", glob.glob(f"{tmp}/jit-*.dump")[0]], input=addresses, text=True,
                stdout=subprocess.PIPE, check=True, errors="replace").stdout.splitlines()
        wrong = [(hex(address), name, line) for (address, name), line in zip(oracle.items(), out)
            if line.split("\t")[0].split(" ", 2)[2:] != [name]]
        self.assertGreater(len(oracle), 1000)
        self.assertEqual(wrong, [])

    @staticmethod
    def last_lines(text):
        """Start → name of the last line that covers it, machine code only (~ is bytecode, which is not in the dump)."""
        lines = [(int(a, 16), int(n, 16), name) for a, n, name in (line.split(" ", 2) for line in text.splitlines())]
        lines = [line for line in lines if ":~" not in line[2]]
        last = {}
        for start, size, name in lines:
            for other in [a for a in last if start <= a < start + size]:
                del last[other]
            last[start] = name
        return last


class Callers(unittest.TestCase):
    def setUp(self):
        rille.need_trace()
        # pylint: disable-next=consider-using-with
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)
        (self.dir / "code.c").write_text(CODE, encoding="utf-8")
        (self.dir / "layout.ld").write_text(LAYOUT, encoding="utf-8")
        self.sh("cc -O2 -fomit-frame-pointer -fcf-protection=none -fno-stack-protector -c code.c")
        self.sh("ld -T layout.ld -e run -o linked code.o")
        self.sh("objcopy -O binary -j .text linked text.bin")
        self.sh("objcopy -O binary -j .eh_frame linked frames.bin")
        self.sh("touch nothing.bin")
        self.sh(f"cc -g -O1 -o jitter {rille.PROGRAMS / 'jitter.c'}")

    def sh(self, command):
        subprocess.run(command.split(), cwd=self.dir, check=True)

    def stack(self, frames):
        done = rille.run("run", "socketpair", "--format", "jsonl", "--", self.dir / "jitter", self.dir / "text.bin",
            self.dir / frames, self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        (event,) = rille.events(done.stdout)
        return event["ustack"], event["ustack_end"]

    def test_by_unwind_information(self):
        frames, end = self.stack("frames.bin")
        self.assertEqual([f["name"] for f in frames[:4]], ["socketpair", "make_pair", "generated_code", "main"])
        self.assertEqual((frames[2]["file"], frames[2]["line"]), ("generated.x", 42))
        self.assertEqual([f.get("how") for f in frames], [None] * len(frames))
        self.assertEqual(end, "root")

    def test_without_it_the_guess_is_marked(self):
        frames, end = self.stack("nothing.bin")
        self.assertEqual([f["name"] for f in frames[:4]], ["socketpair", "make_pair", "generated_code", "main"])
        self.assertIn(frames[3]["how"], ("fp", "scan"))
        self.assertEqual(end, "root")


if __name__ == "__main__":
    unittest.main()
