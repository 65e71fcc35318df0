/* What every generated program starts with: types, and the kernel's helpers by number. The kernel's own headers are not
 * needed, since all that is used of them is fixed by its ABI. */
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u8 __attribute__((may_alias)) byte_of_text;
typedef u16 __attribute__((may_alias)) half_of_text;
typedef u32 __attribute__((may_alias)) word_of_text;
typedef u64 __attribute__((may_alias)) long_of_text;

#define bool _Bool
#define true 1
#define false 0
#define NULL ((void *)0)
#define SEC(name) __attribute__((section(name), used))
#define INLINE static __attribute__((always_inline, unused)) inline
#define ALIGNED __attribute__((aligned(8)))
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keeps the compiler from proving a bound again in another register, where the verifier would not see it. */
#define HIDE(x) __asm__ volatile("" : "+r"(x))

/* A u64 is made at most `max`, a constant, where the verifier sees it whatever the compiler does: with a test in C, it may
 * test one copy of the value and use another, which older verifiers take for two. */
#define AT_MOST(x, max) __asm__ volatile("if %0 <= %1 goto +1\n\t%0 = %1" : "+r"(x) : "i"(max))

/* Sets a variable to zeros of which the verifier does not know that they are: reading nothing gives them. What a loop
 * (bpf_loop()) changes has to begin so. Kernels before 6.7 verify the loop's body once, with what is known before it, and
 * remove the tests whose outcome is known then; later ones follow every value that a known one can become. */
#define UNKNOWN_ZEROS(x) bpf_probe_read_kernel(&(x), sizeof(x), NULL)

/* A map's attributes are the sizes of these pointers' targets; libbpf reads them from the BTF. */
#define MAP_NUMBER(name, value) int(*name)[value]
#define MAP_TYPE(name, type) type *name
enum {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_PERCPU_HASH = 5,
	MAP_PERCPU_ARRAY = 6,
	MAP_CGROUP_ARRAY = 8,
	MAP_LRU_HASH = 9,
	MAP_RINGBUF = 27,
	MAP_TASK_STORAGE = 29,
	MAP_NO_PREALLOC = 1 << 0,
	MAP_MMAPABLE = 1 << 10,
};

enum { ANY = 0, ONLY_NEW = 1 }; /* how to update an element */
enum { RB_NO_WAKEUP = 1, RB_FORCE_WAKEUP = 2, RB_AVAIL_DATA = 0 };

struct task_struct;
struct mm_struct;
struct vm_area_struct;
struct pt_regs;

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
/* Some kernels (6.1) leave what is behind the name as it was: the room has to be zeros where all of it counts. */
static long (*const bpf_get_current_comm)(void *to, u32 size) = (void *)16;
static u64 (*const bpf_get_current_task)(void) = (void *)35;
static long (*const bpf_current_task_under_cgroup)(void *map, u32 index) = (void *)37;
static long (*const bpf_get_stack)(void *ctx, void *to, u32 size, u64 flags) = (void *)67;
static u64 (*const bpf_get_current_cgroup_id)(void) = (void *)80;
static long (*const bpf_probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const bpf_probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*const bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static long (*const bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static void *(*const bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *data, u64 flags) = (void *)133;
static u64 (*const bpf_ringbuf_query)(void *ring, u64 flags) = (void *)134;
static void *(*const bpf_task_storage_get)(void *map, struct task_struct *task, void *value, u64 flags) = (void *)156;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static struct pt_regs *(*const bpf_task_pt_regs)(struct task_struct *task) = (void *)175;
static long (*const bpf_find_vma)(struct task_struct *task, u64 address, void *callback, void *ctx, u64 flags) =
        (void *)180;
static long (*const bpf_loop)(u32 n, void *callback, void *ctx, u64 flags) = (void *)181;

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* A place in a kernel structure. */
#define AT(type, base, offset) (*(type *)((char *)(base) + (offset)))

/* Its value, by a helper that cannot fault; a bad address gives 0. Pointers are always read so, though the running task
 * comes as a typed pointer that could be followed by plain loads: for each pointer so loaded the verifier searches all
 * types of the kernel by name, several times, to know whether it may be trusted (btf_nested_type_is_trusted()): 2 ms
 * each, 50 ms for a program with a stack and two descriptors. Probing costs some 10 ns when the program runs. */
#define FETCH(place)                                                                                                    \
	({                                                                                                              \
		typeof(place) value_ = 0;                                                                               \
		bpf_probe_read_kernel(&value_, sizeof(value_), (const void *)&(place));                                 \
		value_;                                                                                                 \
	})
