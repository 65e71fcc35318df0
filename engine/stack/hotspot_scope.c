/* Compiled methods: from a program counter to the chain of methods inlined there.
 *
 * A compiler describes the places where a thread can be seen in its code (calls, safepoints) by PcDesc records, sorted
 * by offset. One says where in the stream of scopes the innermost scope starts; a scope is (offset of its caller's
 * scope, index of its method in the nmethod's metadata, bci + 1), each an UNSIGNED5; caller 0 = there is none, this is
 * the compiled method.
 *
 * A thread that is seen elsewhere (a timer's signal, a call that cannot reach a safepoint) has no record for its pc. HotSpot
 * itself then takes the next record. But which methods are inlined there is another matter than here, so only what the
 * records before and after agree on is taken; the caller marks such frames.
 *
 * Where the streams lie changed three times: behind the code inside the nmethod (JDK 8-22), in a separate block of
 * immutable data (23, 24), and with the metadata moved to a block of mutable data (25). The fields that are present
 * tell which.
 *
 * The chain must lead strictly backwards, so a scope that names itself or a later one ends the walk. */
#include "engine/stack/hotspot_scope.h"

#include "engine/stack/unsigned5.h"

#include <errno.h>
#include <string.h>

enum {
	MAX_PCS_BYTES = 4 << 20,
	MAX_IMMUTABLE_BYTES = 64 << 20,
	MAX_METADATA_BYTES = 16 << 20,
	SCOPE_BYTES = 15, /* three numbers of at most five bytes */
};

static uint32_t field32(struct memory *memory, const struct hs_blob *blob, int32_t offset, bool *failed)
{
	if (offset == HS_ABSENT) {
		*failed = true;
		return 0;
	}
	return memory_u32(memory, blob->start + (uint32_t)offset, failed);
}

static uint64_t field64(struct memory *memory, const struct hs_blob *blob, int32_t offset, bool *failed)
{
	if (offset == HS_ABSENT) {
		*failed = true;
		return 0;
	}
	return memory_u64(memory, blob->start + (uint32_t)offset, failed);
}

/* JDK 8-22: [metadata][scopes][pcs][dependencies], all inside the blob. */
static int read_inside(
        const struct hs_layout *layout, struct memory *memory, const struct hs_blob *blob, struct hs_debug_info *ret)
{
	const struct hs_offsets *off = &layout->off;
	bool failed = false;
	ret->pcs = blob->start + field32(memory, blob, off->nmethod_scopes_pcs_offset, &failed);
	ret->pcs_end = blob->start + field32(memory, blob, off->nmethod_dependencies_offset, &failed);
	if (off->nmethod_scopes_data_begin != HS_ABSENT)
		ret->scopes = field64(memory, blob, off->nmethod_scopes_data_begin, &failed);
	else
		ret->scopes = blob->start + field32(memory, blob, off->nmethod_scopes_data_offset, &failed);
	ret->scopes_end = ret->pcs;
	ret->metadata = blob->start + field32(memory, blob, off->nmethod_metadata_offset, &failed);
	ret->metadata_end = ret->scopes;
	if (failed)
		return -EFAULT;
	uint64_t end = blob->start + blob->size;
	if (ret->metadata < blob->start || ret->metadata > ret->scopes || ret->scopes > ret->pcs ||
	        ret->pcs > ret->pcs_end || ret->pcs_end > end)
		return -EPROTO;
	return 0;
}

static int read_metadata(
        const struct hs_layout *layout, struct memory *memory, const struct hs_blob *blob, struct hs_debug_info *ret)
{
	const struct hs_offsets *off = &layout->off;
	bool failed = false;
	if (off->blob_mutable_data == HS_ABSENT) { /* JDK 23, 24: at the end of the blob */
		if (off->nmethod_metadata_offset == HS_ABSENT)
			return -EPROTO;
		uint64_t data = blob->start + field32(memory, blob, off->blob_data_offset, &failed);
		ret->metadata =
		        data + memory_u16(memory, blob->start + (uint32_t)off->nmethod_metadata_offset, &failed);
		ret->metadata_end = blob->start + blob->size;
		if (ret->metadata > ret->metadata_end)
			return -EPROTO;
	} else { /* JDK 25: behind the relocations */
		uint64_t data = field64(memory, blob, off->blob_mutable_data, &failed);
		uint32_t relocations = field32(memory, blob, off->blob_relocation_size, &failed);
		uint32_t size = field32(memory, blob, off->blob_mutable_data_size, &failed);
		if (!failed && (relocations > size || size > MAX_METADATA_BYTES))
			return -EPROTO;
		ret->metadata = data + relocations;
		ret->metadata_end = data + size;
	}
	return failed ? -EFAULT : 0;
}

/* JDK 23 and later: [dependencies …][pcs][scopes][…] in the immutable data. */
static int read_outside(
        const struct hs_layout *layout, struct memory *memory, const struct hs_blob *blob, struct hs_debug_info *ret)
{
	const struct hs_offsets *off = &layout->off;
	bool failed = false;
	uint64_t data = field64(memory, blob, off->nmethod_immutable_data, &failed);
	uint32_t size = field32(memory, blob, off->nmethod_immutable_data_size, &failed);
	uint32_t pcs = field32(memory, blob, off->nmethod_scopes_pcs_offset, &failed);
	uint32_t scopes = field32(memory, blob, off->nmethod_scopes_data_offset, &failed);
	if (off->nmethod_ref_count_offset != HS_ABSENT) {
		uint32_t end = field32(memory, blob, off->nmethod_ref_count_offset, &failed);
		size = end < size ? end : size;
	}
	if (failed)
		return -EFAULT;
	if (size > MAX_IMMUTABLE_BYTES || pcs > scopes || scopes > size)
		return -EPROTO;
	ret->pcs = data + pcs;
	ret->pcs_end = ret->scopes = data + scopes;
	ret->scopes_end = data + size;
	return read_metadata(layout, memory, blob, ret);
}

int hs_debug_info_read(
        const struct hs_layout *layout, struct memory *memory, const struct hs_blob *blob, struct hs_debug_info *ret)
{
	int r = layout->off.nmethod_immutable_data != HS_ABSENT ? read_outside(layout, memory, blob, ret)
	                                                        : read_inside(layout, memory, blob, ret);
	if (r < 0)
		return r;
	return ret->pcs_end - ret->pcs <= MAX_PCS_BYTES ? 0 : -EPROTO;
}

/* What the records say about a pc. Offsets of scopes; 0 = none. */
struct described {
	uint32_t at;     /* for exactly this pc, else for the next one that is described */
	uint32_t before; /* for the last one before it */
	bool exact;
};

static uint32_t scope_of(const struct hs_layout *layout, struct memory *memory, uint64_t desc, bool *failed)
{
	int32_t scope = (int32_t)memory_u32(memory, desc + (uint32_t)layout->off.pcdesc_scope_offset, failed);
	return scope > 0 ? (uint32_t)scope : 0;
}

static struct described find_pcdesc(const struct hs_layout *layout, struct memory *memory,
        const struct hs_debug_info *info, int64_t pc_offset, bool *failed)
{
	struct described found = {0};
	uint64_t size = (uint64_t)layout->size.pcdesc;
	uint64_t low = 0, n = (info->pcs_end - info->pcs) / size, high = n;
	while (low < high && !*failed) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t desc = info->pcs + middle * size;
		int32_t at = (int32_t)memory_u32(memory, desc + (uint32_t)layout->off.pcdesc_pc_offset, failed);
		if (at == pc_offset)
			found.exact = true;
		if (at < pc_offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (!*failed && low < n)
		found.at = scope_of(layout, memory, info->pcs + low * size, failed);
	if (!*failed && !found.exact && low > 0)
		found.before = scope_of(layout, memory, info->pcs + (low - 1) * size, failed);
	return found;
}

/* One scope at an offset of the stream: 0 and the offset of its caller's. */
static int read_scope(const struct hs_layout *layout, struct memory *memory, const struct hs_debug_info *info,
        uint32_t offset, struct hs_scope *scope, uint32_t *ret_sender)
{
	uint8_t bytes[SCOPE_BYTES];
	uint64_t at = info->scopes + offset, room = info->scopes_end - at;
	size_t n = room < sizeof(bytes) ? room : sizeof(bytes);
	if (memory_read(memory, at, bytes, n) < 0)
		return -EFAULT;
	struct unsigned5 in = {.at = bytes, .end = bytes + n, .excluded = layout->unsigned5_excluded};
	*ret_sender = unsigned5_read(&in);
	uint32_t index = unsigned5_read(&in);
	scope->bci = (int32_t)(unsigned5_read(&in) - 1);
	if (in.failed || index == 0 || index > (info->metadata_end - info->metadata) / 8)
		return -EPROTO;
	bool failed = false;
	scope->method = memory_u64(memory, info->metadata + 8ULL * (index - 1), &failed);
	return failed ? -EFAULT : 0;
}

/* The scope at an offset and its callers. */
static int read_chain(const struct hs_layout *layout, struct memory *memory, const struct hs_debug_info *info,
        uint32_t offset, struct hs_scopes *ret)
{
	for (ret->n = 0;;) {
		uint32_t sender;
		if (offset >= info->scopes_end - info->scopes || ret->n == HS_MAX_SCOPES)
			return -EPROTO;
		int r = read_scope(layout, memory, info, offset, &ret->scope[ret->n], &sender);
		if (r < 0)
			return r;
		ret->n++;
		if (sender == 0)
			return 0;
		if (sender >= offset)
			return -EPROTO;
		offset = sender;
	}
}

/* Leaves what both chains have, from the compiled method inwards: up to and with the first that is at another place. */
static void keep_common(struct hs_scopes *scopes, const struct hs_scopes *other)
{
	uint32_t common = 0, n = scopes->n < other->n ? scopes->n : other->n;
	while (common < n) {
		const struct hs_scope *a = &scopes->scope[scopes->n - 1 - common];
		const struct hs_scope *b = &other->scope[other->n - 1 - common];
		if (a->method != b->method)
			break;
		common++;
		if (a->bci != b->bci)
			break;
	}
	if (common == 0)
		common = 1; /* the compiled method itself */
	memmove(scopes->scope, scopes->scope + scopes->n - common, common * sizeof(scopes->scope[0]));
	scopes->n = common;
}

int hs_scopes_find(const struct hs_layout *layout, struct memory *memory, const struct hs_blob *blob,
        const struct hs_debug_info *info, uint64_t pc, struct hs_scopes *ret)
{
	struct hs_scopes before = {0};
	bool failed = false;
	ret->n = 0;
	struct described found = find_pcdesc(layout, memory, info, (int64_t)(pc - blob->code), &failed);
	if (failed)
		return -EFAULT;
	if (found.at == 0)
		return -ENOENT;
	ret->exact = found.exact;
	int r = read_chain(layout, memory, info, found.at, ret);
	if (r < 0 || found.exact)
		return r;
	if (found.before)
		r = read_chain(layout, memory, info, found.before, &before);
	if (r == 0)
		keep_common(ret, &before);
	return r;
}
