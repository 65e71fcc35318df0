"""The flame graph: its numbers are those of jsonl of the same run, and the page works in a browser, without a network,
with a keyboard, and whatever names the traced program has."""

import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import browser
import rille

PROGRAM = """
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
__attribute__((noinline)) int often(void) { int fd = socket(AF_UNIX, SOCK_STREAM, 0); __asm__(""); return fd; }
__attribute__((noinline)) int seldom(void) { int fd = socket(AF_INET, SOCK_STREAM, 0); __asm__(""); return fd; }
__attribute__((noinline)) int deep(int n) { int fd = n ? deep(n - 1) : often(); __asm__(""); return fd; }
int main(void)
{
	int pair[2];
	for (int i = 0; i < 120; i++) {
		close(often());
		if (i % 3 == 0)
			close(seldom());
		if (i % 4 == 0)
			close(deep(i % 30));
	}
	prctl(PR_SET_NAME, "<b>worker</b>");
	for (int i = 0; i < 40; i++)
		close(often());
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
}
"""
LEAKS = """
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
__attribute__((noinline)) int tidy(void) { int fd = socket(AF_UNIX, SOCK_STREAM, 0); close(fd); __asm__(""); return fd; }
__attribute__((noinline)) int leak(void) { int fd = socket(AF_UNIX, SOCK_DGRAM, 0); __asm__(""); return fd; }
__attribute__((noinline)) int twins(void) { int p[2]; int r = pipe(p); __asm__(""); return r; }
int main(void)
{
	for (int i = 0; i < 100; i++) {
		tidy();
		if (i % 10 == 0)
			leak();
		if (i % 25 == 0)
			twins();
	}
}
"""
EVIL = "</script><img src=x onerror=\"document.title='owned'\">'\"&<!--\u2028"
ARTEFACTS = pathlib.Path(os.environ.get("RILLE_ARTEFACTS") or rille.TESTS.parent / "build")


class Page:
    """The data inside a page, read by who did not write it."""

    def __init__(self, path):
        text = path.read_text(encoding="utf-8")
        scripts = re.findall(r"<script type=\"application/json\" id=\"data\">(.*?)</script>", text, re.S)
        assert len(scripts) == 1, "one piece of data"
        self.data = json.loads(scripts[0])
        self.stride = 3 + len(self.data["weights"])

    def nodes(self):
        """(parent or None, name, line, weights) of each."""
        flat = self.data["nodes"]
        for at in range(0, len(flat), self.stride):
            parent, frame, line, *weights = flat[at:at + self.stride]
            yield parent - 1 if parent else None, self.data["frames"][frame][0], line, weights

    def stacks(self, weight=0):
        """Counts by the names from the root to the leaf."""
        ways, found = [], collections.Counter()
        for parent, name, _, weights in self.nodes():
            ways.append((*(ways[parent] if parent is not None else ()), name))
            if weights[weight]:
                found[ways[-1]] += weights[weight]
        return found


def shown(frame):
    return frame["name"] or f"[{pathlib.PurePath(frame['module']).name}+{frame['offset']:#x}]"


def way(event):
    incomplete = [f"[incomplete: {event['ustack_end']}]"] if event["ustack_end"] != "root" else []
    names = [shown(frame) for frame in event.get("kstack", []) + event["ustack"]]
    return (event["comm"], *incomplete, *names[::-1], event["probe"])


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="rille-flame-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = pathlib.Path(cls.folder.name)
        cls.path.chmod(0o755)

    @classmethod
    def compile(cls, source, name):
        path = cls.path / f"{name}.c"
        path.write_text(source, encoding="utf-8")
        subprocess.run(["gcc", "-g", "-O1", "-fno-optimize-sibling-calls", "-o", cls.path / name, path], check=True)
        return cls.path / name

    def trace(self, name, program, *args):
        """The page and the events of one run."""
        rille.need_trace()
        page, lines = self.path / f"{name}.html", self.path / f"{name}.jsonl"
        done = rille.run("run", *args, "-q", "-o", f"flamegraph:{page}", "-o", f"jsonl:{lines}", "--", program)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return page, rille.events(lines.read_text(encoding="utf-8"))


class Data(Base):
    def test_stacks_are_those_of_the_events(self):
        for sides in ("user", "both"):
            with self.subTest(sides):
                path, events = self.trace("stacks", self.compile(PROGRAM, "places"), "unix", "--stack", sides)
                page = Page(path)
                self.assertEqual(page.data["total"], len(events))
                self.assertEqual(page.data["others"], 0)
                self.assertEqual(page.stacks(), collections.Counter(map(way, events)))

    def test_kept_events_have_their_fields(self):
        path, events = self.trace("kept", self.compile(PROGRAM, "places"), "socket")
        page = Page(path)
        by_time = {event["time"]: event for event in events}
        self.assertEqual(len(by_time), len(events))
        ways = []
        for parent, name, _, _ in page.nodes():
            ways.append((*(ways[parent] if parent is not None else ()), name))
        kept = collections.Counter()
        for leaf, probe, time, pid, tid, comm, *values in page.data["events"]:
            event = by_time[time]
            kept[leaf] += 1
            self.assertEqual(ways[leaf], way(event))
            self.assertEqual((pid, tid, comm), (event["pid"], event["tid"], event["comm"]))
            named = dict(zip(page.data["probes"][probe]["fields"], values))
            self.assertEqual((named["fd"], named["inode"]), (str(event["fd"]), str(event["inode"])))
        counts = {leaf: weights[0] for leaf, (_, _, _, weights) in enumerate(page.nodes()) if weights[0]}
        self.assertEqual(kept, {leaf: min(count, 50) for leaf, count in counts.items()}, "of each stack the first 50")

    def test_still_open_is_what_was_not_closed(self):
        """The program never closes what leak() and twins() make: 10 sockets, and both ends of 4 pipes."""
        path, _ = self.trace("open", self.compile(LEAKS, "leaks"), "fds")
        page = Page(path)
        self.assertEqual(page.data["weights"], ["event", "open descriptor"])
        by_function = collections.Counter()
        for names, count in page.stacks(weight=1).items():
            by_function[names[names.index("main") + 1]] += count
        self.assertEqual(by_function, {"leak": 10, "twins": 8})
        self.assertEqual(len(page.data["open"]), 14, "two descriptors of a pipe are one event")

    def test_more_than_fits(self):
        """Names may take 64 MiB: events whose names do not fit are a number, and all counts add up."""
        path = made_up(self.path, ([f"f{number}" + "x" * 100000, "main"] for number in range(700)))
        page = Page(path)
        self.assertEqual(page.data["total"], 700)
        self.assertAlmostEqual(page.data["others"], 700 - 64 * 1024 * 1024 // 100100, delta=3)
        self.assertEqual(page.stacks().total() + page.data["others"], 700)

    def test_nothing_is_asked_for(self):
        """No event: an empty graph, and no address of anything outside in the file."""
        page = self.path / "nothing.html"
        rille.need_trace()
        done = rille.run("run", "socketpair", "-q", "-o", f"flamegraph:{page}", "--", "true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(Page(page).data["nodes"], [])
        text = page.read_text(encoding="utf-8")
        self.assertIsNone(re.search(r"(?:https?:)?//[a-z]+\.[a-z]|@import|url\(", text))


def line_of(kind, **members):
    return json.dumps({"type": kind, **members}) + "\n"


def made_up(path, stacks):
    """A trace with one event for each stack, a list of names from the innermost frame; returns the page made of it."""
    time = "2026-11-24T20:33:37.{:09}Z"
    with open(path / "made.jsonl", "w", encoding="utf-8") as out:
        out.write(line_of("meta", schema=1, version="0", time=time.format(0), script=EVIL, host=EVIL, kernel="k", argv=[EVIL],
                          probes=[{"name": "syscall:" + EVIL, "fields": [{"name": EVIL, "kind": "text"}], "ustack": True,
                                   "kstack": False}], mechanisms=[]))
        event = line_of("event", probe="syscall:" + EVIL, time="TIME", nsecs=1, pid=7, tid=7, ppid=1, comm="<i>x</i>",
                        **{EVIL: EVIL}, ustack="STACK", ustack_end="root")
        before, between, behind = re.split('TIME|"STACK"', event)
        frame = json.dumps({"kind": "native", "name": "NAME", "module": EVIL, "offset": 1}).split('"NAME"')
        for number, names in enumerate(stacks):
            frames = ",".join(frame[0] + json.dumps(name) + frame[1] for name in names)
            out.write(f"{before}{time.format(number * 1000)}{between}[{frames}]{behind}")
        out.write(line_of("end", reason="done", seconds=1, mappings_lost=0, probes=[]))
    done = rille.run("report", path / "made.jsonl", "-o", f"flamegraph:{path / 'made.html'}")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return path / "made.html"


@unittest.skipIf(browser.why_not(), browser.why_not())
class InBrowser(Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.close)
        from selenium.webdriver.common.keys import Keys  # pylint: disable=import-outside-toplevel

        cls.keys = Keys

    def tearDown(self):
        """Whatever a test did, nothing was asked for and nothing complained."""
        if self.browser.run("return location.protocol") == "file:":
            self.assertEqual(self.browser.console(), [])
        asked = [url for url in self.browser.requests() if not url.startswith(("file:", "data:", "chrome:"))]
        self.assertEqual(asked, [])
        self.browser.resize(1280, 900)
        self.browser.scheme("light")

    def frames(self):
        """name → element's box and state, of what is drawn; the widest of each name."""
        found = self.browser.run("""
            return [...document.querySelectorAll("[data-node]")].map((e) => ({
              label: e.getAttribute("aria-label"), width: e.getBoundingClientRect().width, top: e.getBoundingClientRect().top,
              hit: e.classList.contains("hit"), focused: e === document.activeElement, color: getComputedStyle(e).backgroundColor,
            }))""")
        frames = {}
        for frame in found:
            name = frame["label"].split(", ")[0]
            if name not in frames or frame["width"] > frames[name]["width"]:
                frames[name] = frame
        return frames

    def click(self, name):
        self.browser.run("""
            const wanted = [...document.querySelectorAll("[data-node]")]
              .filter((e) => e.getAttribute("aria-label").startsWith(arguments[0] + ", "));
            wanted.sort((a, b) => b.offsetWidth - a.offsetWidth)[0].click();""", name)

    def text(self, element):
        return self.browser.run("return document.getElementById(arguments[0]).textContent", element)

    def focused(self):
        return self.browser.run("return (document.activeElement.getAttribute('aria-label') || document.activeElement.id)")

    def wait_for(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait  # pylint: disable=import-outside-toplevel

        return WebDriverWait(self.browser.driver, 60, poll_frequency=.02).until(lambda _: condition())

    def open_places(self):
        if not hasattr(InBrowser, "places"):
            InBrowser.places = self.trace("page", self.compile(PROGRAM, "places"), "unix", "--stack", "both")
        self.browser.open(self.places[0])
        return self.places[1]

    def test_zoom(self):
        """Clicking a frame gives it the whole width and lists its events; Reset zoom and Escape undo it."""
        events = self.open_places()
        whole = self.frames()["all"]["width"]
        self.assertLess(self.frames()["deep"]["width"], whole / 2)
        self.click("deep")
        self.assertEqual(self.frames()["deep"]["width"], whole)
        self.assertNotIn("seldom", self.frames())
        deep = [event for event in events if any(frame["name"] == "deep" for frame in event["ustack"])]
        self.assertEqual(self.text("frame-name"), "deep")
        self.assertIn(f"{len(deep)} (", self.text("facts"))
        inodes = {str(event["inode"]) for event in deep}
        rows = self.browser.run("return [...document.querySelectorAll('#events tbody tr')].map((tr) => tr.innerText)")
        self.assertEqual(len(rows), len(deep))
        self.assertTrue(all(any(inode in row for inode in inodes) for row in rows))
        self.browser.run("document.getElementById('reset').click()")
        self.assertIn("<b>worker</b>", self.frames())
        self.click("deep")
        self.browser.press(self.keys.ESCAPE)
        self.assertIn("<b>worker</b>", self.frames())

    def test_bounded_events_say_what_is_left_out(self):
        events = self.open_places()
        self.click("all")
        kept = self.browser.run("return JSON.parse(document.getElementById('data').textContent).events.length")
        self.assertLess(kept, len(events))
        self.assertIn(f"{kept} events of {len(events)}", self.text("events-note"))
        self.assertIn(f"{len(events) - kept}, were only counted", self.text("events-note"))
        rows = "return document.querySelectorAll('#events tbody tr').length"
        self.assertEqual(self.browser.run(rows), min(kept, 100))
        while not self.browser.run("return document.getElementById('more').hidden"):
            self.browser.run("document.getElementById('more').click()")
        self.assertEqual(self.browser.run(rows), kept)

    def test_search(self):
        """Matching frames are marked; how many events go through them is counted once, however often they match."""
        events = self.open_places()
        self.browser.press("/")
        self.assertEqual(self.focused(), "search")
        self.browser.press("^de+p$")
        deep = sum(any(frame["name"] == "deep" for frame in event["ustack"]) for event in events)
        self.wait_for(lambda: f"{deep} events, {100 * deep / len(events):.1f} %" in self.text("found"))
        self.assertTrue(self.frames()["deep"]["hit"])
        self.assertFalse(self.frames()["main"]["hit"])
        self.browser.press(self.keys.ENTER)
        self.assertEqual(self.text("frame-name"), "deep")
        self.assertIn("Match 1 of", self.text("live"))
        self.browser.press("(")
        self.wait_for(lambda: self.text("found") == "not a regular expression")
        self.browser.press(self.keys.ESCAPE)
        self.wait_for(lambda: not any(frame["hit"] for frame in self.frames().values()))

    def test_keyboard(self):
        """Tab goes into the graph, arrows walk it, Enter zooms, Escape goes back; there is one tab stop."""
        self.open_places()
        self.assertEqual(self.browser.run("return document.querySelectorAll('#graph [tabindex=\"0\"]').length"), 1)
        for _ in range(20):
            self.browser.press(self.keys.TAB)
            if self.focused().startswith("all, "):
                break
        self.assertTrue(self.focused().startswith("all, "), self.focused())
        for name in ("places", "_start"):
            self.browser.press(self.keys.ARROW_UP)
            self.assertTrue(self.focused().startswith(f"{name}, "), self.focused())
        self.browser.press(self.keys.ARROW_RIGHT)
        beside = self.focused()
        self.browser.press(self.keys.ARROW_LEFT, self.keys.ARROW_DOWN, self.keys.END)
        self.assertTrue(self.focused().startswith("<b>worker</b>, "), self.focused())
        self.assertTrue(beside.startswith("_start, "), beside)
        self.browser.press(self.keys.ENTER)
        self.assertEqual(self.text("frame-name"), "<b>worker</b>")
        self.assertIn("Zoomed into <b>worker</b>", self.text("live"))
        self.assertTrue(self.focused().startswith("<b>worker</b>, "), "the focus stays where it was")
        self.browser.press(self.keys.ESCAPE)
        self.assertIn("Everything", self.text("live"))

    def test_tooltip(self):
        """Under the pointer, and beside what has the keyboard's focus; never outside the window."""
        from selenium.webdriver.common.action_chains import ActionChains  # pylint: disable=import-outside-toplevel

        self.open_places()
        element = self.browser.run("return [...document.querySelectorAll('[data-node]')].find((e) => e.textContent === 'main')")
        ActionChains(self.browser.driver).move_to_element(element).perform()
        self.wait_for(lambda: not self.browser.run("return document.getElementById('tip').hidden"))
        self.assertRegex(self.text("tip"), r"^mainnative.*places\.c.*\d+ events, [\d.]+ %$")
        ActionChains(self.browser.driver).move_by_offset(0, -400).perform()
        self.wait_for(lambda: self.browser.run("return document.getElementById('tip').hidden"))
        self.browser.run("document.getElementById('help').focus()")
        self.browser.press(self.keys.TAB)
        self.browser.press(self.keys.ARROW_UP, self.keys.END)
        self.wait_for(lambda: self.text("tip").startswith("<b>worker</b>thread"))
        box = self.browser.run("""const { left, right, top, bottom } = document.getElementById("tip").getBoundingClientRect();
            return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;""")
        self.assertTrue(box)
        self.browser.press(self.keys.ESCAPE)
        self.assertTrue(self.browser.run("return document.getElementById('tip').hidden"))

    def test_icicle(self):
        self.open_places()
        frames = self.frames()
        self.assertGreater(frames["all"]["top"], frames["main"]["top"])
        self.browser.run("document.getElementById('flip').click()")
        frames = self.frames()
        self.assertLess(frames["all"]["top"], frames["main"]["top"])

    def test_call_filter(self):
        events = self.open_places()
        self.browser.run("""const select = document.getElementById("call");
            select.value = "syscall:socketpair"; select.dispatchEvent(new Event("change"));""")
        pairs = sum(event["probe"] == "syscall:socketpair" for event in events)
        self.assertEqual(pairs, 1)
        self.assertIn("1 event, 100.0 %", self.frames()["all"]["label"])

    def test_still_open(self):
        path, _ = self.trace("leaks", self.compile(LEAKS, "leaks"), "fds")
        self.browser.open(path)
        self.browser.run("""const select = document.getElementById("weight");
            select.value = "1"; select.dispatchEvent(new Event("change"));""")
        self.assertIn("18 open descriptors", self.frames()["all"]["label"])
        self.assertNotIn("tidy", self.frames())
        self.click("leak, native")
        self.assertEqual(self.browser.run("return document.querySelectorAll('#events tbody tr').length"), 10)

    def test_what_a_screen_reader_gets(self):
        """Chromium's accessibility tree: a tree of items with names, a search field, a live region, tables with headers."""
        self.open_places()
        self.click("deep")
        nodes = self.browser.command("Accessibility.getFullAXTree")["nodes"]
        seen = collections.defaultdict(list)
        for node in nodes:
            if not node.get("ignored"):
                seen[node["role"]["value"]].append(node.get("name", {}).get("value", ""))
        self.assertEqual(seen["tree"], ["Flame graph"])
        self.assertTrue(any(re.fullmatch(r"deep, native, \d+ events, [\d.]+ %", name) for name in seen["treeitem"]))
        self.assertIn("Search names (regular expression)", seen["searchbox"])
        self.assertIn("inode", seen["columnheader"])
        self.assertIn("toolbar", seen)
        self.assertIn("status", seen)
        self.assertEqual([name for role in ("button", "combobox") for name in seen[role] if not name], [])

    def test_light_and_dark(self):
        """Text on every kind of frame, and on the page, is easy to read in both (WCAG AA: 4.5 to 1)."""
        self.browser.open(made_up(self.path, [["jump", "main"], ["leaf", "main"]]))
        contrasts = """
            const rgb = (text) => {
              const canvas = new OffscreenCanvas(1, 1).getContext("2d");
              canvas.fillStyle = text;
              canvas.fillRect(0, 0, 1, 1);
              return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
            };
            const light = (text) => rgb(text).map((v) => v / 255)
              .map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
              .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
            const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
            const e = document.querySelector("[data-node]"), found = {};
            for (const kind of ["thread", "call", "kernel", "native", "java", "js", "python", "lua", "stub", "marker", "unknown", "end", "all"])
              for (const more of ["tone0", "tone1", "tone2", "tone1 above", "tone0 hit"]) {
                e.className = `frame kind-${kind} ${more}`;
                e.style.transition = "none";
                const style = getComputedStyle(e);
                found[`${kind} ${more}`] = contrast(style.color, style.backgroundColor);
              }
            const page = getComputedStyle(document.body), about = getComputedStyle(document.getElementById("about"));
            found.page = contrast(page.color, page.backgroundColor);
            found.about = contrast(about.color, page.backgroundColor);
            return [found, page.backgroundColor];"""
        backgrounds = set()
        for scheme in ("light", "dark"):
            self.browser.scheme(scheme)
            found, background = self.browser.run(contrasts)
            self.assertEqual({name: ratio for name, ratio in found.items() if ratio < 4.5}, {}, scheme)
            backgrounds.add(background)
        self.assertEqual(len(backgrounds), 2)

    def test_narrow_screen(self):
        """On a telephone nothing stands beyond the right edge, and zooming works."""
        self.open_places()
        self.browser.resize(360, 740)
        self.wait_for(lambda: 0 < self.frames()["places"]["width"] < 360)
        self.assertIn("all", self.frames(), "the root stays in sight")
        self.click("deep")
        self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), 360)

    def test_hostile_names_are_text(self):
        """Names that would be markup, in every place that a trace can fill, are shown as they are and do nothing."""
        self.browser.open(made_up(self.path, [[EVIL, "main"], ["other", "main"]]))
        self.click("main")
        self.browser.press("/", "img")
        self.wait_for(lambda: "matches" in self.text("found") or "match" in self.text("found"))
        self.browser.press(self.keys.ENTER)
        shown_as = EVIL.replace("\u2028", "\\xe2\\x80\\xa8") if EVIL not in self.text("frame-name") else EVIL
        self.assertEqual(self.text("frame-name"), shown_as)
        self.assertNotEqual(self.browser.driver.title, "owned")
        self.assertEqual(self.browser.run("return document.querySelectorAll('img, i, b:not(#tip b)').length"), 0)
        self.assertIn("onerror", self.text("events"))

    def test_a_hundred_thousand_stacks(self):
        """All are there, what is drawn is little, and zooming in finds the smallest."""
        def stacks():
            for number in range(100000):
                digits = [number // 10**place % 10 for place in range(5)]
                yield [f"f{place}_{digit}" for place, digit in enumerate(digits)] + ["main"]
        path = made_up(self.path, stacks())
        self.assertEqual(len(Page(path).stacks()), 100000)
        self.browser.open(path)
        self.assertIn("100,000 events", self.frames()["all"]["label"])
        for depth in range(4, -1, -1):
            self.assertLess(self.browser.run("return document.querySelectorAll('#rows > *').length"), 5000)
            self.click(f"f{depth}_7")
        self.assertIn("1 event, ", self.frames()["f0_7"]["label"])

    def test_pictures(self):
        """Kept for people to look at: build/flamegraph.png, -dark.png, -narrow.png."""
        self.open_places()
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.click("main")
        for name, size, scheme in (("", (1280, 1100), "light"), ("-dark", (1280, 1100), "dark"), ("-narrow", (390, 844), "light")):
            self.browser.resize(*size)
            self.browser.scheme(scheme)
            self.wait_for(lambda: abs(self.browser.run("return innerWidth") - size[0]) < 2)  # pylint: disable=W0640
            self.wait_for(lambda: size[0] * .9 < self.frames()["main"]["width"] < size[0])  # pylint: disable=W0640
            path = ARTEFACTS / f"flamegraph{name}.png"
            self.browser.driver.save_screenshot(str(path))
            self.assertGreater(path.stat().st_size, 10000)


if __name__ == "__main__":
    unittest.main()
