import java.io.BufferedWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiConsumer;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * Calls of every shape that a Java stack can have, nested at random, and at the bottom of each a system call made right after
 * the thread has written down its own Throwable: what a tracer says about that call must equal what Java says.
 *
 *     java -Djava.library.path=DIR Torture OUT THREADS WARMUP_MS MARKS PAUSE_US [SEED]
 *
 * Prints "ready" when warm, begins at the first line on standard input, prints "done", and exits at the second, so that the
 * process lives while its stacks are being read. OUT.N holds a line a mark: its number, then the frames, innermost first.
 */
public class Torture {
    static final int SHAPES = 20;
    static final AtomicInteger marks = new AtomicInteger();
    static volatile boolean armed;
    static int limit, pauseMicros;
    public static volatile long sink;

    static native void call(int number);

    static native void back(Walk walk, int depth, int frames);

    /** One thread's random choices and its record. */
    public static class Walk {
        final Random random;
        final PrintWriter out;
        boolean marked;

        Walk(long seed, PrintWriter out) {
            random = new Random(seed);
            this.out = out;
        }
    }

    // The Throwable and the call stand on one line, so that they agree about it.
    public static void mark(Walk walk) {
        if (!armed) {
            long n = new Throwable().getStackTrace().length; call(-1); sink = n;
            return;
        }
        int number = marks.getAndIncrement();
        if (number >= limit) {
            return;
        }
        record(walk, number, new Throwable()); call(number);
        if (pauseMicros > 0) {
            LockSupport.parkNanos(pauseMicros * 1000L);
        }
    }

    static void record(Walk walk, int number, Throwable here) {
        StringBuilder line = new StringBuilder().append(number);
        for (StackTraceElement frame : here.getStackTrace()) {
            line.append('\t').append(frame.getClassName()).append('.').append(frame.getMethodName());
            line.append(':').append(frame.getLineNumber());
        }
        walk.out.println(line);
    }

    // --- shapes: each leads to next(walk, depth) in its own way ---

    static void next(Walk walk, int depth) {
        if (depth <= 0) {
            mark(walk);
            return;
        }
        try {
            shape(walk, depth - 1, walk.random.nextInt(SHAPES));
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    static void shape(Walk walk, int depth, int which) throws Throwable {
        switch (which) {
            case 0: recurse(walk, depth, walk.random.nextInt(8)); break;
            case 1: STEPS[walk.random.nextInt(STEPS.length)].step(walk, depth); break;
            case 2: capture(walk, depth, walk.random.nextInt()).accept(depth); break;
            case 3: IntStream.range(0, 1).filter(x -> x >= 0).forEach(x -> next(walk, depth + x)); break;
            case 4: REFLECTED.invoke(null, walk, depth); break;
            case 5: HANDLE.invokeExact(walk, depth); break;
            case 6: BOUND.invoke(walk, depth); break;
            case 7: new Node(walk, depth); break;
            case 8: locked(walk, depth); break;
            case 9: new Monitor().enter(walk, depth); break;
            case 10: caught(walk, depth); break;
            case 11: cleanup(walk, depth); break;
            case 12: back(walk, depth, walk.random.nextInt(4)); break;
            case 13: wide(walk, depth, 1, 2.0, 3L, 4f, 5, 6.0, 7L, 8f, 9, 10.0, 11L, 12f); break;
            case 14: sink += hot(walk, depth, 7); break;
            case 15: sorted(walk, depth); break;
            case 16: new Derived().virtual(walk, depth); break;
            case 17: loop(walk, depth); break;
            case 18: boxed(walk, depth, "x", 1, 2L); break;
            default: new TreeMap<Integer, Integer>().computeIfAbsent(depth, d -> { next(walk, d); return d; }); break;
        }
    }

    static void recurse(Walk walk, int depth, int levels) {
        if (levels == 0) {
            next(walk, depth);
        } else {
            recurse(walk, depth, levels - 1);
        }
    }

    interface Step {
        void step(Walk walk, int depth);
    }

    interface Defaulted extends Step {
        @Override
        default void step(Walk walk, int depth) {
            next(walk, depth);
        }
    }

    static class Step1 implements Step {
        @Override
        public void step(Walk walk, int depth) {
            next(walk, depth);
        }
    }

    static class Step2 extends Step1 {
        @Override
        public void step(Walk walk, int depth) {
            super.step(walk, depth);
        }
    }

    static class Step3 implements Defaulted {
    }

    static class Generic<T extends Number> {
        void take(T value, Walk walk) {
            next(walk, value.intValue());
        }
    }

    static class Concrete extends Generic<Integer> implements Step {
        @Override
        void take(Integer value, Walk walk) {
            next(walk, value);
        }

        @Override
        public void step(Walk walk, int depth) {
            Generic<Integer> self = this;
            self.take(depth, walk);
        }
    }

    static final Step[] STEPS = {new Step1(), new Step2(), new Step3(), new Concrete(), Torture::next,
            (walk, depth) -> next(walk, depth)};

    static IntConsumer capture(Walk walk, int depth, int salt) {
        return x -> {
            sink += salt;
            next(walk, x);
        };
    }

    static final Method REFLECTED;
    static final MethodHandle HANDLE, BOUND;

    static {
        try {
            MethodHandles.Lookup lookup = MethodHandles.lookup();
            MethodType type = MethodType.methodType(void.class, Walk.class, int.class);
            REFLECTED = Torture.class.getDeclaredMethod("next", Walk.class, int.class);
            HANDLE = lookup.findStatic(Torture.class, "next", type);
            MethodHandle test = MethodHandles.dropArguments(
                    MethodHandles.constant(boolean.class, true), 0, Walk.class, int.class);
            BOUND = MethodHandles.guardWithTest(test, HANDLE, HANDLE);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    static class Node {
        final int depth;

        Node(Walk walk, int depth) {
            this.depth = depth;
            next(walk, depth);
        }
    }

    static synchronized void locked(Walk walk, int depth) {
        next(walk, depth);
    }

    static class Monitor {
        synchronized void enter(Walk walk, int depth) {
            synchronized (walk) {
                next(walk, depth);
            }
        }
    }

    static void caught(Walk walk, int depth) {
        try {
            thrower(depth);
        } catch (IllegalArgumentException e) {
            next(walk, depth);
        }
    }

    static void thrower(int depth) {
        throw new IllegalArgumentException("depth " + depth);
    }

    static void cleanup(Walk walk, int depth) {
        try {
            sink++;
        } finally {
            next(walk, depth);
        }
    }

    static double wide(Walk walk, int depth, int a, double b, long c, float d, int e, double f, long g, float h, int i,
            double j, long k, float l) {
        long[] locals = {a, c, e, g, i, k};
        double m = b * f, n = d * h, o = j + l, p = m * n, q = o - p, r = q * m;
        next(walk, depth);
        return m + n + o + p + q + r + locals[depth % locals.length];
    }

    // Small, hot and final: compiled into one piece. The arithmetic before each call gives every call a line of its own.
    static int hot(Walk walk, int depth, int x) {
        int y = x * 31 + (x >> 3);
        return hotter(walk, depth, y) + y;
    }

    static int hotter(Walk walk, int depth, int x) {
        int y = x ^ (x << 5);
        return hottest(walk, depth, y) - y;
    }

    static int hottest(Walk walk, int depth, int x) {
        next(walk, depth);
        return x + 1;
    }

    static void sorted(Walk walk, int depth) {
        boolean[] once = {false};
        Integer[] numbers = {3, 1, 2};
        Arrays.sort(numbers, (a, b) -> {
            if (!once[0]) {
                once[0] = true;
                next(walk, depth);
            }
            return a - b;
        });
    }

    abstract static class Base {
        abstract void down(Walk walk, int depth);

        void virtual(Walk walk, int depth) {
            down(walk, depth);
        }
    }

    static class Derived extends Base {
        @Override
        void down(Walk walk, int depth) {
            next(walk, depth);
        }
    }

    // Long enough to be replaced on the stack while it runs.
    static void loop(Walk walk, int depth) {
        long sum = 0;
        for (int i = 0; i < 3000; i++) {
            sum += i ^ sum << 1;
            if (i == 2990) {
                next(walk, depth);
            }
        }
        sink = sum;
    }

    static void boxed(Walk walk, int depth, String s, Object... rest) {
        switch (s) {
            case "x": next(walk, depth); break;
            default: sink += rest.length;
        }
    }

    // --- deoptimisation: code that relies on there being one subclass, and the second is loaded below it ---

    abstract static class Only {
        abstract int value(int x);

        int dive(Walk walk, int levels, Class<?>[] parts) throws Exception {
            int before = value(levels);
            if (levels > 0) {
                return dive(walk, levels - 1, parts) + before;
            }
            if (parts != null) {
                parts[1] = Class.forName("Torture$Second", true, parts[0].getClassLoader());
                mark(walk);
            }
            return value(before);
        }
    }

    static class First extends Only {
        @Override
        int value(int x) {
            return x + 1;
        }
    }

    static class Second extends Only {
        @Override
        int value(int x) {
            return x + 2;
        }
    }

    /** Defines Only, First and Second anew, so that each round starts with one subclass. Walk and the rest stay shared. */
    static class Fresh extends ClassLoader {
        Fresh() {
            super(Torture.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.matches("Torture\\$(Only|First|Second|Diver)")) {
                return super.loadClass(name, resolve);
            }
            Class<?> known = findLoadedClass(name);
            if (known != null) {
                return known;
            }
            try (var in = Torture.class.getResourceAsStream("/" + name.replace('.', '/') + ".class")) {
                byte[] bytes = in.readAllBytes();
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }

    public static class Diver implements BiConsumer<Walk, Integer> {
        @Override
        public void accept(Walk walk, Integer depth) {
            try {
                First first = new First();
                for (int i = 0; i < 6000; i++) {
                    sink += first.dive(walk, 3, null);
                }
                first.dive(walk, depth, new Class<?>[] {First.class, null});
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }

    static void deoptimise(Walk walk) {
        try {
            Class<?> type = new Fresh().loadClass("Torture$Diver");
            @SuppressWarnings("unchecked")
            BiConsumer<Walk, Integer> diver = (BiConsumer<Walk, Integer>) type.getDeclaredConstructor().newInstance();
            diver.accept(walk, 1 + walk.random.nextInt(5));
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    // --- main ---

    static boolean working(long until) {
        return armed ? marks.get() < limit : System.nanoTime() < until;
    }

    static void work(Walk walk, boolean deopt, long until) {
        while (working(until)) {
            if (deopt) {
                deoptimise(walk);
            }
            next(walk, 1 + walk.random.nextInt(7));
        }
    }

    static void phase(Walk[] walks, long until) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < walks.length; i++) {
            Walk walk = walks[i];
            boolean deopt = i == 0;
            Thread thread = new Thread(() -> work(walk, deopt, until), "worker-" + i);
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    public static void main(String[] args) throws Exception {
        System.loadLibrary("torture");
        int threads = Integer.parseInt(args[1]);
        long warmup = Long.parseLong(args[2]);
        limit = Integer.parseInt(args[3]);
        pauseMicros = Integer.parseInt(args[4]);
        long seed = args.length > 5 ? Long.parseLong(args[5]) : 1;
        Walk[] walks = new Walk[threads];
        for (int i = 0; i < threads; i++) {
            BufferedWriter file = Files.newBufferedWriter(Path.of(args[0] + "." + i));
            walks[i] = new Walk(seed + i, new PrintWriter(file));
        }
        phase(walks, System.nanoTime() + warmup * 1000000L);
        System.out.println("ready");
        System.in.read();
        armed = true;
        phase(walks, 0);
        for (Walk walk : walks) {
            walk.out.close();
        }
        System.out.println("done");
        System.in.read();
    }
}
