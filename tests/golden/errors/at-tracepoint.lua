return {
  probes = {
    { "tracepoint:sched:sched_switch", at = "entry" },
  },
}
