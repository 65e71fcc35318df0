import java.nio.channels.DatagramChannel;
import java.util.concurrent.locks.LockSupport;

/**
 * Makes a socket from one place very often: interpreted at first, compiled and inlined later.
 * Sites CALLS [PER_SECOND]: as fast as it can, or a tenth of a millisecond's share at a time.
 */
public class Sites {
    static final long STEP_NS = 100_000;

    static void open() throws Exception {
        DatagramChannel.open().close();
    }

    static void middle() throws Exception {
        open();
    }

    static void flatOut(int calls) throws Exception {
        for (int i = 0; i < calls; i++)
            middle();
    }

    static void paced(int calls, int perSecond) throws Exception {
        long start = System.nanoTime();
        for (int done = 0; done < calls;) {
            long due = (System.nanoTime() - start) * perSecond / 1_000_000_000L;
            for (; done < calls && done < due; done++)
                middle();
            LockSupport.parkNanos(STEP_NS);
        }
    }

    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        System.in.read();
        int calls = Integer.parseInt(args[0]);
        if (args.length > 1)
            paced(calls, Integer.parseInt(args[1]));
        else
            flatOut(calls);
        System.out.println("done");
        System.in.read();
    }
}
