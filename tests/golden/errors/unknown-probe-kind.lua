return {
  probes = {
    { "sycall:socket" },
  },
}
