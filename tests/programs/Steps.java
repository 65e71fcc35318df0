import java.io.FileDescriptor;
import java.io.FileInputStream;

/** Reads a byte at a time from standard input, one system call each, until there is no more. */
public class Steps {
    public static void main(String[] args) throws Exception {
        FileInputStream in = new FileInputStream(FileDescriptor.in);
        System.out.println("ready");
        while (in.read() >= 0) {
            System.out.println("read");
        }
    }
}
