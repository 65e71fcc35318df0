/* Which containers are traced: their cgroups of version 2. Whoever is in one, or in one below it, is a target, from the
 * moment it enters. */
struct {
	MAP_NUMBER(type, MAP_CGROUP_ARRAY);
	MAP_NUMBER(max_entries, RILLE_CGROUPS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u32);
} rille_cgroups SEC(".maps");
const volatile u32 rille_ncgroups = 0;

INLINE bool is_in_cgroup(void)
{
	for (u32 i = 0; i < RILLE_CGROUPS; i++)
		if (i < rille_ncgroups && bpf_current_task_under_cgroup(&rille_cgroups, i) == 1)
			return true;
	return false;
}
