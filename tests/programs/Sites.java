import java.nio.channels.DatagramChannel;

/** Makes a socket from one place very often: interpreted at first, compiled and inlined later. */
public class Sites {
    static void open() throws Exception {
        DatagramChannel.open().close();
    }

    static void middle() throws Exception {
        open();
    }

    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        System.in.read();
        int calls = Integer.parseInt(args[0]);
        for (int i = 0; i < calls; i++)
            middle();
        System.out.println("done");
        System.in.read();
    }
}
