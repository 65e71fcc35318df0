import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.FileSystems;
import java.util.ArrayList;
import java.util.List;

/** Has a server, accepted connections, a WatchService and a Selector; and a socket that it forgets, as often as it is told. */
public class Leak {
	static final List<Object> kept = new ArrayList<>();

	static void leak() throws Exception {
		kept.add(SocketChannel.open()); // the leak
	}

	static void setup() throws Exception {
		ServerSocketChannel server = ServerSocketChannel.open();
		server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
		Selector selector = Selector.open();
		for (int i = 0; i < 3; i++) {
			SocketChannel client = SocketChannel.open(server.getLocalAddress());
			client.configureBlocking(false);
			client.register(selector, SelectionKey.OP_READ);
			kept.add(client);
			kept.add(server.accept());
		}
		kept.add(server);
		kept.add(selector);
		kept.add(FileSystems.getDefault().newWatchService());
	}

	public static void main(String[] args) throws Exception {
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		leak(); // loads the classes
		System.out.println("ready");
		for (String line; (line = in.readLine()) != null;) {
			if (line.equals("setup"))
				setup();
			for (int i = line.startsWith("leak ") ? Integer.parseInt(line.substring(5)) : 0; i > 0; i--)
				leak();
			System.out.println("done " + kept.size());
		}
	}
}
