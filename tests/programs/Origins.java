/* Makes descriptors in the ways that rille.origin() tells apart, one a word of the command line, in that order. Each is
 * kept open; then it says "ready" and waits for standard input to end. */
import java.io.*;
import java.net.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.security.SecureRandom;
import java.util.*;

public class Origins {
	static final List<Object> kept = new ArrayList<>();

	static void selector() throws IOException {
		kept.add(Selector.open());
	}

	static void watch() throws IOException {
		kept.add(FileSystems.getDefault().newWatchService());
	}

	static void pipe() throws IOException {
		kept.add(Pipe.open());
	}

	static void server() throws IOException {
		kept.add(ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0)));
	}

	static void socket() throws IOException {
		ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
		kept.add(server);
		kept.add(new Socket(server.getInetAddress(), server.getLocalPort()));
	}

	static void datagram() throws IOException {
		kept.add(DatagramChannel.open());
	}

	static void random() throws Exception {
		SecureRandom random = SecureRandom.getInstance("NativePRNG");
		random.nextInt();
		kept.add(random);
	}

	static void resolve() {
		try {
			kept.add(InetAddress.getByName("name.invalid"));
		} catch (UnknownHostException e) {
			kept.add(e);
		}
	}

	static void file() throws IOException {
		kept.add(new FileInputStream("/etc/passwd"));
	}

	static void channel() throws IOException {
		kept.add(FileChannel.open(Path.of("/etc/passwd")));
	}

	static void directory() throws IOException {
		kept.add(Files.newDirectoryStream(Path.of("/etc")));
	}

	static void processors() {
		kept.add(Runtime.getRuntime().availableProcessors());
		kept.add(((com.sun.management.OperatingSystemMXBean)java.lang.management.ManagementFactory
				.getOperatingSystemMXBean()).getTotalMemorySize());
	}

	static void jar() throws Exception {
		Path jar = Files.createTempFile("origins", ".jar");
		try (var out = new java.util.zip.ZipOutputStream(Files.newOutputStream(jar))) {
			out.putNextEntry(new java.util.zip.ZipEntry("hello"));
		}
		URLClassLoader loader = new URLClassLoader(new URL[] { jar.toUri().toURL() });
		kept.add(loader);
		kept.add(loader.getResource("hello"));
		jar.toFile().deleteOnExit();
	}

	static void process() throws IOException {
		kept.add(new ProcessBuilder("cat").start());
	}

	/* A library of one's own, as any JNI library: its path is in $ORIGINS_LIBRARY. */
	static native int open(String path);

	static void jni() {
		System.load(System.getenv("ORIGINS_LIBRARY"));
		kept.add(open("/etc/hostname"));
	}

	static void inherit() throws IOException {
		kept.add(new ProcessBuilder("sleep", "1000").redirectInput(new File("/dev/null"))
				.redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.DISCARD).start());
	}

	static void drbg() throws Exception {
		SecureRandom random = SecureRandom.getInstance("DRBG");
		random.nextInt();
		kept.add(random);
	}

	/* Closes all that was made before, as the advice says. */
	static void close() throws Exception {
		for (Object one : kept)
			if (one instanceof AutoCloseable closeable)
				closeable.close();
			else if (one instanceof Pipe pipe) {
				pipe.source().close();
				pipe.sink().close();
			} else if (one instanceof Process process) {
				process.getInputStream().close();
				process.getErrorStream().close();
				process.getOutputStream().close();
				process.destroy();
			}
		kept.clear();
	}

	public static void main(String[] args) throws Exception {
		for (String word : args)
			Origins.class.getDeclaredMethod(word).invoke(null);
		System.out.println("ready");
		System.out.flush();
		while (System.in.read() >= 0)
			;
	}
}
