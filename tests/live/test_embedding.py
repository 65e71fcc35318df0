"""What the documentation of the library says is so.

Invariants: librille(3) has the prototypes of rille.h and a paragraph on each function; every block of code in docs/embedding.md is part of
a file that other tests build, or is run here; the capabilities in its table are those that test_capabilities.py takes away one by one.
"""

import pathlib
import re
import shutil
import subprocess
import tempfile
import textwrap
import unittest

import hosts
import rille

HEADER = hosts.ROOT / "engine" / "include" / "rille.h"
PAGE = hosts.ROOT / "docs" / "man" / "librille.3"
GUIDE = hosts.ROOT / "docs" / "embedding.md"


def header_functions():
    """{name: prototype without blanks} of rille.h."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = {}
    for kind, name, arguments in re.findall(r"RILLE_API\s+([^;{}]*?)\b(rille_\w+)\(((?:[^()]|\([^()]*\))*)\);", text):
        found[name] = re.sub(r"\s", "", f"{kind}{name}({arguments})")
    return found


def blocks():
    """(what stands behind the fence, the block) of each block of code in the guide."""
    return re.findall(r"^```([^\n]+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


class Page(unittest.TestCase):
    def setUp(self):
        self.text = PAGE.read_text(encoding="utf-8")

    def test_prototypes(self):
        """The synopsis is that of the header."""
        shown = {}
        for kind, name, arguments in re.findall(r'^\.Ft "(.*)"\n\.Fn (\w+) (.*)$', self.text, re.MULTILINE):
            listed = ",".join(re.findall(r'"([^"]*)"', arguments))
            shown[name] = re.sub(r"\s", "", f"{kind}{name}({listed})")
        self.assertEqual(shown, header_functions())

    def test_paragraphs(self):
        """Each function is described."""
        described = re.findall(r"^\.It Fn (\w+)$", self.text, re.MULTILINE)
        self.assertEqual(sorted(described), sorted(header_functions()))

    def test_tags(self):
        """The tags of misuse are those of the header."""
        header = HEADER.read_text(encoding="utf-8")
        told = re.search(r"changes nothing:\n \*\n(.*?)\n \*\n", header, re.DOTALL).group(1)
        self.assertEqual(re.findall(r"^\.It Li ([a-z-]+)$", self.text, re.MULTILINE),
                         re.findall(r"^ \*     ([a-z]+-[a-z-]+|forked)  ", told, re.MULTILINE))

    def test_example(self):
        """The example is docs/examples/host.c."""
        shown = re.search(r"^\.Sh EXAMPLES.*?\.Bd -literal\n(.*?)\n\.Ed", self.text, re.DOTALL | re.MULTILINE).group(1)
        source = (hosts.EXAMPLES / "host.c").read_text(encoding="utf-8")
        source = source[source.index("#define"):].rstrip().replace("\t", "        ")
        self.assertEqual(shown.replace("\\e", "\\").replace("\\&", ""), source)

    @unittest.skipUnless(shutil.which("man"), "man is not installed")
    def test_warnings(self):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", PAGE], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Guide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        cls.pair = cls.shop.compile("pair.c", "-O1", "-g")

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def test_all_are_checked(self):
        """A block is of a kind that a test below looks at."""
        kinds = {re.sub(r"docs/examples/\S+", "FILE", fence) for fence, _ in blocks()}
        self.assertEqual(kinds, {"c FILE", "lua FILE", "python FILE", "lua module", "lua cqueues", "sh"})

    def test_parts_of_files(self):
        """What is shown of an example stands in it."""
        shown = [(fence.split()[1], text) for fence, text in blocks() if "docs/examples/" in fence]
        self.assertGreaterEqual(len(shown), 5)
        for name, text in shown:
            self.assertIn(text, (hosts.ROOT / name).read_text(encoding="utf-8"), name)

    def test_links(self):
        """Files that the guide links to are there."""
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE.read_text(encoding="utf-8")):
            self.assertTrue((GUIDE.parent / target).exists(), target)

    def run_lua(self, lua, text):
        """With the process to trace as the script's argument, which goes on once probes are attached: it asks the tracer's children."""
        script = self.shop.path / "block.lua"
        # The command is let go when the script first waits.
        script.write_text(text.replace(":attach()", ":attach() io.stdout:write('ready\\n') io.stdout:flush()", 1),
                          encoding="utf-8")
        child = subprocess.Popen(["/bin/sh", "-c", 'read go; exec "$@"', "sh", self.pair], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        host = subprocess.Popen([lua, script, str(child.pid)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=hosts.environment(lua))
        out = []
        for line in host.stdout:
            if line == "ready\n":
                child.communicate("go\n", timeout=60)
            else:
                out.append(line)
        err = host.communicate(timeout=60)[1]
        child.kill()
        child.communicate()
        self.assertEqual(host.returncode, 0, err)
        return "".join(out)

    def check_lua(self, kind, expected, *modules):
        texts = [textwrap.dedent(text) for fence, text in blocks() if fence == kind]
        self.assertEqual(len(texts), len(expected))
        for lua in hosts.LUAS:
            reason = hosts.why_not_lua(lua, *modules)
            if reason:
                self.skipTest(reason)
            for text, wanted in zip(texts, expected):
                with self.subTest(lua=lua, text=text):
                    self.assertRegex(self.run_lua(lua, text), wanted)

    def test_lua(self):
        """The blocks in Lua run in both Luas, and print what the traced program did."""
        self.check_lua("lua module", [r"^pair\t3\t\d+\tSOCK_STREAM\t_*socketpair\ntarget exited\t1\n$", r"^4\n$",
                                      r"^table:\d+:\d+: error: .*wheer(?s:.*)where"])

    def test_cqueues(self):
        self.check_lua("lua cqueues", [r"^2\n$"], "cqueues")

    def test_shell(self):
        """The commands work, in their order, where the files that they name are."""
        if not shutil.which("pkg-config"):
            self.skipTest("pkg-config is not installed")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(hosts.EXAMPLES / "host.c", folder)
            say = hosts.Pair(self.pair, pathlib.Path(folder))
            say.command.rename(pathlib.Path(folder) / "pair")
            (pathlib.Path(folder) / "pairs.lua").write_text(
                'return { probes = { { "syscall:socketpair", fields = { "fds = s32(usockvec, 2)" } } } }', encoding="utf-8")
            env = hosts.environment()
            env |= {"PKG_CONFIG_PATH": str(hosts.BUILD / "meson-uninstalled"), "PATH": f"{hosts.BUILD}:{env['PATH']}",
                    "CPATH": str(HEADER.parent)}
            outputs = []
            for fence, text in blocks():
                if fence == "sh":
                    done = hosts.run("sh", "-e", "-c", text, env=env, cwd=folder)
                    self.assertEqual(done.returncode, 0, text + done.stderr)
                    outputs.append((done.stdout, say.said()))
            self.assertEqual(len(outputs), 2)
            self.assertEqual([numbers for numbers, _ in hosts.pairs(outputs[0][0])], outputs[0][1])
            self.assertEqual([[int(n) for n in found] for found in re.findall(r" fds=\[(\d+),(\d+)\]", outputs[1][0])],
                             [said[:2] for said in outputs[1][1]])

    def test_capabilities(self):
        """The table's capabilities are those whose lack is tested."""
        table = re.findall(r"^\| (CAP_\w+) \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
        tests = (hosts.ROOT / "tests" / "live" / "test_capabilities.py").read_text(encoding="utf-8")
        taken = {f"CAP_{name.upper()}" for name in re.findall(r'"(bpf|perfmon|sys_\w+|dac_\w+|syslog)"', tests)}
        self.assertEqual(set(table), taken)


if __name__ == "__main__":
    unittest.main()
