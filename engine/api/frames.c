/* Stacks for a host's callback: an array of plain structs.
 *
 * The engine's frames have enums and names as they were found. The host's have words and names that are fit to be printed,
 * as Lua's have. Nearly all names are, and are borrowed; the others are written anew into memory that is used again for
 * the next event.
 *
 * An array of structs cannot check its use as the other functions do. So that a host which has kept one past its callback
 * finds something defined there, neither frames nor texts are given back before the handle, and when the callback
 * returns the frames are emptied: their kind is "stale", their names are NULL. */
#include "engine/api/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096 };

struct clean_chunk {
	struct clean_chunk *next;
	size_t used, size;
	char data[];
};

static struct clean_chunk *chunk_for(struct clean *clean, size_t len)
{
	struct clean_chunk **at = &clean->first;
	while (*at && (*at)->size - (*at)->used < len)
		at = &(*at)->next;
	if (!*at) {
		size_t size = len > CHUNK ? len : CHUNK;
		*at = malloc(sizeof(**at) + size);
		if (!*at)
			return NULL;
		**at = (struct clean_chunk){.size = size};
	}
	return *at;
}

static bool is_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

/* NULL stays NULL; without memory an unclean name is not shown. */
static const char *clean_text(struct clean *clean, const char *s)
{
	if (!s || is_clean(s))
		return s;
	struct text *scratch = &clean->scratch;
	text_reset(scratch);
	text_add_clean(scratch, s, strlen(s));
	struct clean_chunk *chunk = text_failed(scratch) ? NULL : chunk_for(clean, scratch->len + 1);
	if (!chunk)
		return NULL;
	char *copy = chunk->data + chunk->used;
	memcpy(copy, text_str(scratch), scratch->len + 1);
	chunk->used += scratch->len + 1;
	return copy;
}

static void fill(struct clean *clean, struct rille_frame *ret, const struct frame *frame)
{
	*ret = (struct rille_frame){
	        .address = frame->ip,
	        .offset = frame->offset,
	        .kind = frame_kind_name(frame->kind),
	        .tier = frame_tier_name(frame->tier),
	        .how = frame_how_name(frame->how),
	        .name = clean_text(clean, frame->name),
	        .signature = clean_text(clean, frame->signature),
	        .module = clean_text(clean, frame->module),
	        .build_id = frame->build_id,
	        .file = clean_text(clean, frame->file),
	        .line = frame->line > 0 ? frame->line : 0,
	        .inlined = frame->inlined,
	};
}

/* Room for n frames, with what a host may still look at left where it is. */
static int make_room(struct frames *frames, size_t n)
{
	size_t want = frames->room ? frames->room : 64;
	while (want < n)
		want *= 2;
	if (n <= frames->room)
		return 0;
	if (frames->list && frames->nold == sizeof(frames->old) / sizeof(*frames->old))
		return -ENOMEM;
	struct rille_frame *fresh = calloc(want, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	if (frames->list)
		frames->old[frames->nold++] = frames->list;
	frames->list = fresh;
	frames->room = want;
	return 0;
}

static int make_frames(struct events *events, struct frames *frames, const struct stack *stack)
{
	if (frames->made)
		return 0;
	if (make_room(frames, stack->nframes) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < stack->nframes; i++)
		fill(&events->clean, &frames->list[i], &stack->frames[i]);
	frames->n = stack->nframes;
	frames->made = true;
	return 0;
}

int rille_event_stack(const rille_event *object, int side, struct rille_stack *ret)
{
	int e;
	struct event *event = event_live(object, &e);
	if (!event)
		return e;
	rille *r = object->r;
	if (side != RILLE_USER && side != RILLE_KERNEL_SIDE)
		return err_set(&r->err, -EINVAL, ERR_RUNTIME, "bad-argument",
		        "rille_event_stack: a side is RILLE_USER or RILLE_KERNEL_SIDE, not %d", side);
	const struct stack *stack = side == RILLE_USER ? event_ustack(event) : event_kstack(event);
	struct frames *frames = side == RILLE_USER ? &r->events->user_frames : &r->events->kernel_frames;
	if (!stack)
		return -ENODATA;
	if (make_frames(r->events, frames, stack) < 0)
		return err_nomem(&r->err);
	struct rille_stack found = {
	        .frames = frames->list, .nframes = frames->n, .end = stack_end_name(stack->end), .site = stack->site};
	return handle_write_struct(r, "rille_event_stack", ret, &found, sizeof(found));
}

static void empty(struct frames *frames)
{
	for (size_t i = 0; frames->made && i < frames->n; i++)
		frames->list[i] = (struct rille_frame){.kind = "stale"};
	frames->made = false;
	frames->n = 0;
}

void frames_end(struct events *events)
{
	empty(&events->user_frames);
	empty(&events->kernel_frames);
	for (struct clean_chunk *chunk = events->clean.first; chunk; chunk = chunk->next)
		chunk->used = 0;
}

static void free_frames(struct frames *frames)
{
	for (size_t i = 0; i < frames->nold; i++)
		free(frames->old[i]);
	free(frames->list);
}

void frames_free(struct events *events)
{
	free_frames(&events->user_frames);
	free_frames(&events->kernel_frames);
	while (events->clean.first) {
		struct clean_chunk *next = events->clean.first->next;
		free(events->clean.first);
		events->clean.first = next;
	}
	text_fini(&events->clean.scratch);
}
