import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.FileSystems;
import java.nio.file.WatchService;

/**
 * A service that is up and running before anybody looks at it: at the first line on standard input it opens a WatchService and binds a
 * port, four recursive calls down; at the second it ends.
 */
public class Watch {
    static WatchService service;
    static ServerSocketChannel server;

    static void depth(int n) throws Exception {
        if (n > 0) {
            depth(n - 1); // line: depth
        } else {
            open(); // line: bottom
        }
    }

    static void open() throws Exception {
        service = FileSystems.getDefault().newWatchService(); // line: watch
        server = ServerSocketChannel.open();
        server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)); // line: bind
    }

    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        System.in.read();
        depth(4); // line: main
        System.out.println("done");
        System.in.read();
    }
}
