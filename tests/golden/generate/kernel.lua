return {
  probes = {
    {
      "syscall:getppid",
      fields = { "start = task->mm->start_stack", "name = task->group_leader->comm", "up = task->real_parent->tgid" },
    },
  },
}
