return {
  params = { { "inode", "u46[]" } },
  probes = { { "syscall:bind" } },
}
