import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchService;

/**
 * A program with sockets that nobody asked for by name: watching a directory makes a pair of Unix sockets inside the
 * JDK, and a server binds a port. `./dev demo` traces it from its first instruction.
 */
public class Demo {
    static void watch(Path directory) throws Exception {
        try (WatchService service = FileSystems.getDefault().newWatchService()) {
            directory.register(service, StandardWatchEventKinds.ENTRY_CREATE);
            System.err.println("Demo: watching a directory");
        }
    }

    static void serve() throws Exception {
        try (ServerSocket server = new ServerSocket()) {
            server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            System.err.println("Demo: serving on port " + server.getLocalPort());
        }
    }

    static void serveLocally(Path directory) throws Exception {
        Path socket = directory.resolve("demo.sock");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            System.err.println("Demo: serving on a Unix socket");
        } finally {
            Files.deleteIfExists(socket);
        }
    }

    public static void main(String[] args) throws Exception {
        Path directory = Files.createTempDirectory("rille-demo");
        try {
            watch(directory);
            serve();
            serveLocally(directory);
        } finally {
            Files.delete(directory);
        }
    }
}
