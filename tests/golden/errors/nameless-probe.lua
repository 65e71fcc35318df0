return {
  probes = { { where = "ret < 0" } },
}
