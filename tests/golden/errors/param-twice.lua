return {
  params = { { "inode", "u64[]" }, { "inode", "bool" } },
  probes = { { "syscall:bind" } },
}
