import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What JDK 22 and later add to a stack, with the marks of Torture: native functions that are called, and call back, without JNI;
 * and virtual threads, whose older frames are in the heap while they run.
 *
 *     java … Modern OUT upcall|virtual WARMUP_MS MARKS PAUSE_US
 */
public class Modern {
    static final Linker LINKER = Linker.nativeLinker();
    static final MethodHandle QSORT = LINKER.downcallHandle(LINKER.defaultLookup().find("qsort").orElseThrow(),
            FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS));

    /** What qsort() calls: the first time it goes on to a mark. */
    static class Comparator {
        final Torture.Walk walk;
        boolean called;

        Comparator(Torture.Walk walk) {
            this.walk = walk;
        }

        int compare(MemorySegment a, MemorySegment b) {
            if (!called) {
                called = true;
                Torture.next(walk, walk.random.nextInt(4));
            }
            return 0;
        }
    }

    // The stub that leads from qsort() back to Java is freed right after, when the arena is closed.
    static void upcall(Torture.Walk walk) {
        try (Arena arena = Arena.ofConfined()) {
            MethodHandle compare = MethodHandles.lookup().findVirtual(Comparator.class, "compare",
                    MethodType.methodType(int.class, MemorySegment.class, MemorySegment.class)).bindTo(new Comparator(walk));
            MemorySegment stub = LINKER.upcallStub(compare,
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS), arena);
            QSORT.invokeExact(arena.allocate(16), 2L, 8L, stub);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    // Each sleep moves the frames below it to the heap; they come back one by one, as they are returned to.
    static void nap(Torture.Walk walk, int depth) throws InterruptedException {
        if (depth > 0) {
            if (walk.random.nextInt(3) == 0) {
                Thread.sleep(1);
            }
            nap(walk, depth - 1);
            if (walk.random.nextInt(4) == 0) {
                Torture.mark(walk);
            }
        } else {
            Torture.next(walk, walk.random.nextInt(3));
        }
    }

    static void virtual(Torture.Walk walk) throws Exception {
        try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> tasks = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                tasks.add(executor.submit(() -> {
                    nap(walk, 2 + walk.random.nextInt(6));
                    return null;
                }));
            }
            for (Future<?> task : tasks) {
                task.get();
            }
        }
    }

    static void phase(Torture.Walk walk, boolean virtual, long until) throws Exception {
        while (Torture.working(until)) {
            if (virtual) {
                virtual(walk);
            } else {
                upcall(walk);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        System.loadLibrary("torture");
        boolean virtual = args[1].equals("virtual");
        Torture.limit = Integer.parseInt(args[3]);
        Torture.pauseMicros = Integer.parseInt(args[4]);
        PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[0] + ".0")));
        Torture.Walk walk = new Torture.Walk(1, out);
        phase(walk, virtual, System.nanoTime() + Long.parseLong(args[2]) * 1000000L);
        System.out.println("ready");
        System.in.read();
        Torture.armed = true;
        phase(walk, virtual, 0);
        out.close();
        System.out.println("done");
        System.in.read();
    }
}
