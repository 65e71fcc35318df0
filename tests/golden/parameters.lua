-- For test_errors.py: parameters of every kind.
return {
  params = {
    { "family", "const:AF_", default = "unix" },
    { "level", "u8" },
    { "inode", "u64[]" },
    { "failed", "bool" },
  },
  probes = {
    { "syscall:socket", where = "family == $family && $level < 3 && (fd_inode(ret) in $inode || $failed)" },
  },
}
