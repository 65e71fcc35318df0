/* Counting. An entry is one of its CPU alone, so that counting takes no lock and loses nothing; the reader adds the CPUs'
 * up. Maps are there with all their entries from the start: where memory is had while the kernel runs anywhere, it
 * may not be had. */
struct {
	MAP_NUMBER(type, MAP_PERCPU_ARRAY);
	MAP_NUMBER(max_entries, RILLE_AGGREGATES);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct rille_uncounted);
} rille_uncounted SEC(".maps");

SHARED void count_full(struct rille_stats *stats, u32 which)
{
	struct rille_uncounted *uncounted = bpf_map_lookup_elem(&rille_uncounted, &which);
	stats->lost_full++;
	if (uncounted)
		uncounted->full++;
}

SHARED void count_missing(u32 which)
{
	struct rille_uncounted *uncounted = bpf_map_lookup_elem(&rille_uncounted, &which);
	if (uncounted)
		uncounted->missing++;
}

/* The entry of a key, made if it is new; NULL: the map is full. */
INLINE struct rille_row *row_of(void *rows, void *key, struct rille_stats *stats, u32 which)
{
	struct rille_row *row = bpf_map_lookup_elem(rows, key), none = {0};
	if (row)
		return row;
	bpf_map_update_elem(rows, key, &none, ONLY_NEW);
	row = bpf_map_lookup_elem(rows, key);
	if (!row)
		count_full(stats, which);
	return row;
}

INLINE void count_one(void *rows, void *key, struct rille_stats *stats, u32 which)
{
	struct rille_row *row = row_of(rows, key, stats, which);
	if (row)
		row->count++;
}

INLINE void count_sum(void *rows, void *key, struct rille_stats *stats, u32 which, u64 value)
{
	struct rille_row *row = row_of(rows, key, stats, which);
	if (!row)
		return;
	row->count++;
	row->value += value;
}

#define KEEPS(name, type, better)                                                                                       \
	INLINE void name(void *rows, void *key, struct rille_stats *stats, u32 which, type value)                       \
	{                                                                                                               \
		struct rille_row *row = row_of(rows, key, stats, which);                                                \
		if (!row)                                                                                               \
			return;                                                                                         \
		if (!row->count++ || value better(type) row->value)                                                     \
			row->value = (u64)value;                                                                        \
	}
KEEPS(count_min_s, s64, <)
KEEPS(count_min_u, u64, <)
KEEPS(count_max_s, s64, >)
KEEPS(count_max_u, u64, >)

/* 0 of 0, else the number of the highest bit, from 1: what is between two powers of two is one bar. No branch depends on the
 * value. */
INLINE s64 power_bar_u(u64 v)
{
	u64 bar = v != 0, shift;
#define HALVE(bits)                                                                                                     \
	shift = (u64)(v >> bits != 0) * bits;                                                                           \
	v >>= shift;                                                                                                    \
	bar += shift
	HALVE(32);
	HALVE(16);
	HALVE(8);
	HALVE(4);
	HALVE(2);
	HALVE(1);
#undef HALVE
	return (s64)bar;
}

INLINE s64 power_bar_s(s64 v)
{
	return v < 0 ? -1 : power_bar_u((u64)v);
}

/* 0 below `from`, 1 to `bars` between, bars + 1 from `to` on. */
INLINE s64 even_bar_s(s64 v, s64 from, s64 to, u64 step)
{
	u64 bars = ((u64)to - (u64)from - 1) / step + 1;
	return v < from ? 0 : v >= to ? (s64)bars + 1 : (s64)(((u64)v - (u64)from) / step) + 1;
}

INLINE s64 even_bar_u(u64 v, s64 from, s64 to, u64 step)
{
	return v >> 63 ? even_bar_s(to, from, to, step) : even_bar_s((s64)v, from, to, step);
}

/* A length and that many bytes, into a room of `room` bytes that is zeros. */
INLINE void copy_bytes(void *to, u32 room, const void *from)
{
	u64 len = 0;
	bpf_probe_read_kernel(&len, 4, from);
	AT_MOST(len, room - 4);
	bpf_probe_read_kernel(to, (u32)len + 4, from);
}
