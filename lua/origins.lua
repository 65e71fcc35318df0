-- What stacks are about: what `rille.origin(stack)` tells, and `rille open` below a stack. A script adds its own
--          in front:
--
--     table.insert(rille.origins, 1, {
--       name = "pool", about = "the connection pool", match = { "com.example.Pool.*" }, advice = "Pool.close()",
--     })
--
-- match    patterns of frames, one of which has to be found; a list in it is patterns that have to be found in
--          that order, from
-- the call outwards. A pattern is NAME or MODULE!NAME, globs of * and ?. The entry whose (first) pattern is
--          nearest to
--          the call wins, then the first in this list.
-- except   frames that do not count for `match`
-- path     or: what the descriptor is, a file's path, or the address of a Unix socket or of its peer
-- general  only if nothing else matches
-- advice   one line. Those of Java were tried with JDK 17 and 25, the others as they say;
--          tests/live/test_origins.py repeats it
-- crac     a rule for the file that -Djdk.crac.resource-policies names, where Java owns the descriptor; {path}
--          is filled in.
-- These follow CRaC's documentation ("File descriptor policies"); they were not tried, for want of a JDK with
--          CRaC
return {
  -- The C library
  {
    name = "glibc-resolver",
    about = "glibc asks a DNS server for a name; closed once it is answered",
    advice = "Java: -Djdk.net.hosts.file=FILE answers names from a file, without sockets",
    match = { "__res_context_send", "__res_context_query", "send_dg", "send_vc" },
  },
  {
    name = "glibc-name-service-hosts",
    about = "glibc looks up a host: a name service daemon (nscd), /etc/hosts, resolv.conf",
    advice = "Java: -Djdk.net.hosts.file=FILE answers names from a file; nothing else is opened then",
    match = {
      { "__nscd_*", "getaddrinfo" }, { "open_socket", "getaddrinfo" }, { "*_nss_*", "getaddrinfo" },
      { "__nscd_*", "gethostby*" }, { "open_socket", "gethostby*" }, { "*_nss_*", "gethostby*" },
      { "__resolv_conf_load", "getaddrinfo" },
    },
  },
  {
    name = "glibc-name-service-jvm-start",
    about = "the JVM asks glibc for the user's name, and glibc a name service daemon (nscd, sssd, a domain daemon)",
    -- A module for nsswitch.conf that keeps its connection: open with -XX:-UsePerfData and -Duser.name=… too,
    -- since the JVM asks
    -- twice; gone with the user in /etc/passwd and "passwd: files …" in nsswitch.conf.
    advice = "put the user into /etc/passwd, and 'files' first in the line 'passwd:' of /etc/nsswitch.conf",
    match = {
      { "getpwuid_r", "PerfMemory::*" }, { "getpwuid_r", "*get_user_name*" }, { "getpwuid_r", "mmap_create_shared*" },
      { "getpwuid*", "GetJavaProperties" }, { "getpwuid*", "JNI_CreateJavaVM" },
      { "__nscd_*", "PerfMemory::*" }, { "__nscd_*", "GetJavaProperties" },
      { "*_nss_*", "PerfMemory::*" }, { "*_nss_*", "GetJavaProperties" },
      { "libnss_*.so*!*", "PerfMemory::*" }, { "libnss_*.so*!*", "GetJavaProperties" },
    },
  },
  {
    name = "glibc-name-service",
    about = "glibc looks up a user or a group: a name service daemon (nscd, sssd, a domain daemon), or /etc/passwd",
    advice = "put the name into /etc/passwd or /etc/group, and 'files' first in its line of /etc/nsswitch.conf",
    match = {
      "__nscd_*", "nscd_get*", "libnss_*.so*!*", "*_nss_*", "getpwuid*", "getpwnam*", "getgrgid*", "getgrnam*",
      "getgrouplist", "initgroups",
    },
    path = {
      "/var/lib/sss/mc/*", "/var/lib/sss/pipes/*", "/var/run/nscd/socket", "/run/nscd/socket", "/var/db/nscd/*",
      "/var/cache/nscd/*", "/var/lib/pbis/.lsassd", "/var/lib/pbis/.netlogond", "/run/systemd/userdb/*",
    },
  },

  -- The JVM
  {
    name = "jvm-perf-data",
    about = "the JVM's performance counters, a file that jps and jstat read",
    advice = "-XX:-UsePerfData",
    match = { "PerfMemory::*", "libjvm.so!open_directory_secure*", "libjvm.so!mmap_create_shared*" },
    path = { "/tmp/hsperfdata_*", "*/tmp/hsperfdata_*" },
  },
  {
    name = "jvm-cgroup",
    about = "the JVM reads the limits of its container",
    advice = "-XX:-UseContainerSupport (the JVM then sees the machine's processors and memory)",
    match = {
      "CgroupSubsystem*", "CgroupController*", "CgroupV?*", "CgroupUtil*", "OSContainer::*",
      "jdk.internal.platform.*",
      "*subsystem_file_line_contents*",
    },
    path = { "/sys/fs/cgroup/*", "/proc/*/cgroup", "/proc/cgroups" },
  },
  {
    name = "jvm-attach-listener",
    about = "the JVM listens for jcmd, jstack and other tools that attach; /tmp/.java_pidN",
    advice = "-XX:+DisableAttachMechanism, or do not attach: the socket stays once something has",
    match = { "*AttachListener*" },
    path = { "/tmp/.java_pid*", "*/tmp/.java_pid*" },
  },
  {
    name = "jvm-log",
    about = "the JVM's log file (-Xlog)",
    advice = "jcmd PID VM.log disable closes it",
    match = { "LogFileOutput::*" },
  },
  {
    name = "jdk-flight-recorder",
    about = "Java Flight Recorder's recording",
    advice = "jcmd PID JFR.stop name=1 closes it",
    match = { "JfrChunkWriter::*", "JfrRepository::*", "Jfr*::*", "jdk.jfr.*" },
    path = { "*.jfr" },
  },
  {
    name = "jdk-modules",
    about = "the JDK's own classes, lib/modules; open as long as the JVM runs",
    advice = "nothing to do: a JDK with CRaC knows of it",
    match = { "ImageFileReader::*" },
    path = { "*/lib/modules" },
  },
  {
    name = "jvm-class-data",
    about = "the archive of shared classes; closed once it is mapped",
    advice = "-Xshare:off",
    match = { "FileMapInfo::*" },
    path = { "*/classes.jsa", "*/classes_nocoops.jsa" },
  },

  -- The JDK
  {
    name = "jdk-watch-service",
    about = "a WatchService: inotify, and a socket pair that wakes its thread (a pipe or an eventfd in other JDKs)",
    advice = "close the WatchService; its thread and all three descriptors go",
    match = { "libnio.so!Java_sun_nio_fs_LinuxWatchService_*", "sun.nio.fs.LinuxWatchService.inotifyInit",
      "sun.nio.fs.LinuxWatchService.socketpair" },
  },
  {
    name = "netty-nio",
    about = "the Selector of one of Netty's event loops: epoll, and an eventfd that wakes it",
    -- tried with Netty 4.1.48
    advice = "EventLoopGroup.shutdownGracefully(), and wait for it",
    match = {
      { "sun.nio.ch.EPoll*", "io.netty.channel.nio.*" }, { "sun.nio.ch.EventFD.*", "io.netty.channel.nio.*" },
    },
  },
  {
    name = "netty-native",
    about = "Netty's own epoll transport: epoll, eventfd and timerfd of an event loop, or a channel",
    -- not tried: the native library is not among Debian's packages. The names are those of its sources.
    advice = "close the channels, then EventLoopGroup.shutdownGracefully(), and wait for it",
    match = {
      "libnetty_transport_native_*!*", "*netty_epoll_native_*", "*netty_unix_socket_*",
      "io.netty.channel.epoll.Native.*",
      "io.netty.channel.unix.Socket.*", "io.netty.channel.uring.*", "io.netty.incubator.channel.uring.*",
    },
  },
  {
    name = "nio-selector",
    about = "a java.nio Selector: epoll, and an eventfd (or pipe) that wakes it",
    advice = "close the Selector; CRaC closes and reopens one by itself if no channel is registered with it",
    match = { "sun.nio.ch.EPoll*", "sun.nio.ch.EventFD.*", "sun.nio.ch.PollSelector*" },
  },
  {
    name = "nio-pre-close-marker",
    about = "half of a socket pair that java.nio puts in the place of channels it closes; one a JVM, made with the "
      .. "first channel",
    -- It stays after all channels are closed; no setting of the JDK avoids it.
    advice = "nothing to do: it is shut on its other side, and cannot be closed",
    match = {
      "sun.nio.ch.FileDispatcherImpl.init*", "sun.nio.ch.SocketDispatcher.init*", "sun.nio.ch.UnixDispatcher.init*",
      "sun.nio.ch.UnixDispatcher.<clinit>", "libnio.so!Java_sun_nio_ch_*Dispatcher*_init*",
    },
  },
  {
    name = "jdk-secure-random",
    about = "SecureRandom (NativePRNG): /dev/random and /dev/urandom, open as long as the JVM runs; a temporary file "
      .. "needs it too",
    -- DRBG opens the same two. A JDK with CRaC lists them as "OK: claimed by java code".
    advice = "nothing to do: a JDK with CRaC claims them; no other SecureRandom avoids them",
    match = { "sun.security.provider.NativePRNG*", "sun.security.provider.*SeedGenerator*" },
    path = { "/dev/random", "/dev/urandom" },
  },
  {
    name = "jdk-net-probe",
    about = "the JDK finds out what the kernel's sockets can do; closed at once",
    advice = "nothing to do",
    match = {
      "libnet.so!IPv?_supported", "libnet.so!reuseport_supported", "libnet.so!ipv6_available",
      "libextnet.so!socketOptionSupported", "libextnet.so!*", "jdk.net.LinuxSocketOptions.*",
      "java.net.NetworkInterface.*", "libnet.so!enumInterfaces", "libnet.so!openSocket*",
    },
  },
  {
    name = "jdk-process",
    about = "the pipes to a process that Java started",
    advice = "redirect what is not needed (ProcessBuilder.redirectOutput(DISCARD), inheritIO()), or close the "
      .. "Process's streams",
    match = { "java.lang.ProcessImpl.forkAndExec", "java.lang.UNIXProcess.forkAndExec" },
    crac = "type: pipe\naction: close",
  },
  {
    name = "class-path",
    about = "a JAR that a class loader keeps open",
    advice = "URLClassLoader.close() for one's own loader; CRaC lets JARs of the class path stay open",
    match = {
      { "java.util.zip.ZipFile*", "jdk.internal.loader.*" }, { "java.util.zip.ZipFile*", "java.net.URLClassLoader.*" },
      "ClassLoader::create_class_path_entry*", "libzip.so!ZIP_*",
    },
    crac = "type: file\npath: {path}\naction: ignore",
  },
  {
    name = "zip-file",
    about = "a ZIP or JAR file that the program opened",
    advice = "close the ZipFile, JarFile or FileSystem",
    match = { "java.util.zip.ZipFile*", "java.util.jar.JarFile.*", "jdk.nio.zipfs.*" },
    crac = "type: file\npath: {path}\naction: reopen",
  },
  {
    name = "class-loading",
    about = "a class or a resource is read; closed once it is",
    advice = "nothing to do",
    match = { { "java.io.FileInputStream.*", "jdk.internal.loader.*" }, "jdk.internal.loader.URLClassPath*" },
  },
  {
    name = "library-loading",
    about = "a library is loaded; closed once it is mapped",
    advice = "nothing to do",
    match = {
      "ld-linux*!_dl_*", "ld-linux*!open_verify*", "ld-linux*!dl_main", "ElfFile::*", "os::dll_load*",
      "os::Linux::dlopen*",
    },
  },
  {
    name = "jni-library",
    about = "native code of a library that is not the JDK's",
    advice = "the library has to close it: look for its close or shutdown call; a resource policy cannot claim it",
    match = { "*!Java_*" },
    except = {
      "libjava.so!*", "libnio.so!*", "libnet.so!*", "libextnet.so!*", "libzip.so!*", "libmanagement*!*",
      "libprefs.so!*",
      "libjimage.so!*", "libattach.so!*", "libinstrument.so!*", "libj2pkcs11.so!*", "libj2gss.so!*", "libsctp.so!*",
      "libverify.so!*", "librmi.so!*", "libjaas.so!*", "libawt*!*", "libfontmanager.so!*", "libjsound.so!*",
      "libsaproc.so!*", "libdt_socket.so!*", "libjdwp.so!*", "libjvm.so!*", "libsyslookup.so!*", "libnetty_*!*",
    },
  },
  {
    name = "java-debugger",
    about = "the JVM's debug agent (JDWP)",
    advice = "start without -agentlib:jdwp",
    match = { "libdt_socket.so!*", "libjdwp.so!*" },
  },
  {
    name = "java-listening-socket",
    about = "a server's socket that Java opened",
    advice = "close the ServerSocket or ServerSocketChannel",
    match = { "sun.nio.ch.Net.serverSocket", { "*.socketCreate", "java.net.ServerSocket.*" } },
    crac = "type: socket\nlistening: true\naction: reopen",
  },
  {
    name = "java-accepted-socket",
    about = "a connection that a Java server accepted",
    advice = "close the Socket or SocketChannel that accept() returned",
    match = { "sun.nio.ch.Net.accept", "sun.nio.ch.UnixDomainSockets.accept*", "*.socketAccept" },
    crac = "type: socket\naction: close",
  },
  {
    name = "java-datagram-socket",
    about = "a UDP socket that Java opened",
    advice = "close the DatagramSocket or DatagramChannel",
    match = { { "sun.nio.ch.Net.socket", "sun.nio.ch.DatagramChannelImpl.*" }, "*.datagramSocketCreate" },
    crac = "type: socket\naction: close",
  },
  {
    name = "java-socket",
    about = "a socket that Java opened",
    advice = "close the Socket or SocketChannel",
    match = { "sun.nio.ch.Net.socket", "sun.nio.ch.UnixDomainSockets.socket*", "*.socketCreate" },
    crac = "type: socket\naction: close",
  },
  {
    name = "java-pipe",
    about = "a java.nio Pipe",
    advice = "close its source and its sink",
    match = { "sun.nio.ch.IOUtil.makePipe" },
    crac = "type: pipe\naction: close",
  },

  -- Node.js
  {
    name = "libuv-loop",
    about = "an event loop of libuv (Node.js has three, and one for each Worker): epoll, an eventfd, a pipe for "
      .. "signals",
    -- tried with Node.js 20
    advice = "those of Workers go with worker.terminate(); the others are Node.js's own",
    match = {
      "uv_loop_init", "uv__loop_*", "uv_default_loop", "uv__signal_global_init", "uv__platform_loop_init",
      "uv_async_init",
    },
  },
  {
    name = "node-child-process",
    about = "the pipes to a process that Node.js started",
    advice = "stdio: 'ignore' or 'inherit' for what is not needed",
    match = { "uv_spawn" },
  },

  -- What fits much
  {
    name = "java-directory",
    about = "a directory that Java lists",
    advice = "close the DirectoryStream, and the streams of Files.list(), walk() and find()",
    match = { "sun.nio.fs.UnixFileSystemProvider.newDirectoryStream", "sun.nio.fs.UnixSecureDirectoryStream*",
      "Java_java_io_UnixFileSystem_list*" },
    crac = "type: file\npath: {path}\naction: close",
    general = true,
  },
  {
    name = "java-file",
    about = "a file that Java opened",
    advice = "close the stream, reader or channel",
    match = { "java.io.FileInputStream.*", "java.io.FileOutputStream.*", "java.io.RandomAccessFile.*",
      "sun.nio.fs.UnixChannelFactory.*", "sun.nio.ch.FileChannelImpl.open" },
    crac = "type: file\npath: {path}\naction: reopen",
    general = true,
  },
  {
    name = "jvm-start",
    about = "the JVM looks at the machine while it starts",
    advice = "nothing to do",
    match = { "libjvm.so!Threads::create_vm*", "libjli.so!*" },
    general = true,
  },
}
