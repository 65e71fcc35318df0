return {
  summary = "nothing at all",
  probes = {},
}
